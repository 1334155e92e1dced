"""Events one millisecond before, at and after each edge of time (RELIABILITY T4b) fall where the
oracle says: quarters, hours, days and bins of zones with half and quarter hours, on leap days and on
both days that clocks change; and the edges of what is accepted."""

import datetime
import random
import time

from batch import encode, push
from campaign import SEED, count, size
from daemon import Daemon, shifted
from oracle import Oracle, before_edges, fixed_edges

MINUTE = 60 * 1000
QUARTER = 15 * MINUTE
EVENTS_KEPT = 16384  # of one quarter (query/edge.c)
DAY = 86400 * 1000

# (now, zone): a moment behind each awkward day.
MOMENTS = [
    ("2028-02-29T23:59:58+00:00", "UTC"),  # a leap day, ending
    ("2028-03-01T05:29:58+05:30", "Asia/Kolkata"),
    ("2027-03-28T12:00:00+02:00", "Europe/Berlin"),  # forward
    ("2027-10-31T12:00:00+01:00", "Europe/Berlin"),  # back
    ("2026-11-01T01:30:00-05:00", "America/New_York"),  # inside the hour that comes twice
    ("2027-03-14T03:00:00-04:00", "America/New_York"),  # right after the hour that is missing
    ("2026-12-31T23:44:59+05:45", "Asia/Kathmandu"),
    ("2027-04-04T12:00:00+10:30", "Australia/Lord_Howe"),  # back by half an hour
    ("2026-12-01T00:00:00+12:45", "Pacific/Chatham"),
    ("2027-01-01T00:00:01-09:30", "Pacific/Marquesas"),
]


def ms(text):
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def make_events(edges, now_ms):
    """Three an edge, each with a price that no sum of others makes."""
    events = []
    for edge in sorted(edges):
        for step in (-1, 0, 1):
            ts = edge + step
            if 0 < ts < now_ms:
                events.append({"id": "edge-%016d" % ts, "ts": ts, "model": "m",
                               "email": "dev%d@acme.test" % (len(events) % 3), "agent": "codex",
                               "session": "s%d" % (len(events) % 7), "input_tokens": 1,
                               "output_tokens": 1, "cost_nusd": 1 + (1 << (len(events) % 49))})
    return events


def edges_of(zone, now_ms):
    """Every edge of every window and of the one before, and quarters about now."""
    edges = set(range(now_ms // QUARTER * QUARTER - 20 * QUARTER, now_ms + 1, QUARTER))
    for name in ("24h", "7d", "30d", "90d"):
        mine = fixed_edges(name, zone, now_ms)
        edges |= set(mine) | set(before_edges(name, zone, mine)[-8:])
    return edges


class Asker:
    def __init__(self, daemon, token, oracle, zone):
        self.client, self.token, self.oracle, self.zone = daemon.query(), token, oracle, zone

    def compare(self, **params):
        params = dict(params, tz=self.zone)
        reply = self.client.ask({"v": 1, "token": self.token, "op": "leaderboard", "limit": 1000,
                                 **params})
        edges = reply["window"]["bin_edges_ms"]
        if params["range"] == "custom":
            assert (edges[0], edges[-1]) == (params["from"], params["to"]), params
        else:
            want = fixed_edges(params["range"], self.zone, reply["as_of_ms"])
            assert edges == want, "%r: %r, want %r" % (params, edges, want)
        events = self.oracle.within(edges[0], edges[-1])
        groups = self.oracle.by_member(events)
        for row, mine in [(reply["org"], events)] + [
                (row, groups.get(row["email"], [])) for row in reply["members"]]:
            assert row["spark"] == self.oracle.spark(mine, edges, "cost"), (SEED, params)
            assert row["requests"] == len(mine), (SEED, params)
            assert row["sessions"] == len({e["session"] for e in mine}), (SEED, params)


def run_moment(text, zone, rng):
    now = ms(text)
    with Daemon(environment=shifted(now - int(time.time() * 1000))) as daemon:
        org = daemon.create_org("acme", tz=zone)
        edges = edges_of(zone, now)
        events = make_events(edges, now)
        rng.shuffle(events)
        oracle, client, seq = Oracle(), daemon.ingest(), 0
        for at in range(0, len(events), 300):
            part = events[at:at + 300]
            reply = push(client, org["admin_token"], encode(part), **{"import": True})
            taken = [oracle.push(event) for event in part].count("accepted")
            assert (reply["accepted"], reply["duplicate"]) == (taken, len(part) - taken), reply
            seq = reply["seq"]
        client.close()
        daemon.wait_folded(seq)
        oracle.freeze()
        asker = Asker(daemon, org["admin_token"], oracle, zone)
        for name in ("24h", "7d", "30d", "90d"):
            asker.compare(range=name)
        chosen = rng.sample(sorted(edges), size(6, 60))
        for edge in chosen:  # custom ranges that begin and end at -1, 0, +1
            first, last = edge + rng.randrange(-1, 2), min(now, edge + rng.choice(
                (1, 2, 3, QUARTER, DAY, DAY + 1)))
            if first < last:
                asker.compare(**{"range": "custom", "from": first, "to": last})
        for edge in rng.sample(sorted(edges), 3):  # asked again, it comes from what is kept
            first = edge + rng.randrange(-1, 2) - rng.randrange(2, 40) * DAY
            for limit in (1000, 999, 998):
                asker.compare(**{"range": "custom", "from": first, "to": edge, "limit": limit})
        count("truth", edges=len(edges))
    return len(edges)


def test_edges_of_windows():
    rng = random.Random(SEED + 30)
    moments = rng.sample(MOMENTS, size(5, len(MOMENTS)))
    for text, zone in moments:
        try:
            run_moment(text, zone, rng)
        except BaseException:
            print("  seed %d, %s, %s" % (SEED, zone, text))
            raise


def test_edges_inside_a_busy_quarter():
    """More events in one quarter than a daemon keeps for the edges of custom ranges, and another
    org's in the same blocks."""
    rng = random.Random(SEED + 31)
    quarter = int(time.time() * 1000) // QUARTER * QUARTER - 8 * QUARTER
    with Daemon() as daemon:
        orgs = {name: daemon.create_org(name, tz="UTC") for name in ("acme", "other")}
        control = daemon.control()
        keys = {name: control.ask({"v": 1, "op": "agent_create", "org": name, "type": "codex",
                                   "email": "dev@%s.test" % name})["agent_id"] for name in orgs}
        everybody = control.ask({"v": 1, "op": "token_create", "org": "acme", "type": "gateway",
                                 "name": "all", "all_orgs": True})["token"]
        control.close()
        oracles = {name: Oracle({keys[name]: ("dev@%s.test" % name, "codex")}) for name in orgs}
        client = daemon.ingest()
        for at in range(0, EVENTS_KEPT + 1000, 900):
            events = []
            for number in range(at, at + 1000):
                name = "acme" if number < at + 900 else "other"
                events.append({"id": "busy-%s-%010d" % (name, number), "key": keys[name],
                               "ts": quarter + rng.randrange(1000), "model": "m",
                               "session": "s%d" % (number % 7), "input_tokens": 1,
                               "output_tokens": 1, "cost_nusd": number})
                oracles[name].push(events[-1])
            rng.shuffle(events)
            reply = push(client, everybody, encode(events))
            assert reply["accepted"] == 1000, (SEED, reply["errors"][:2])
        client.close()
        daemon.wait_folded(reply["seq"])
        for name, oracle in oracles.items():
            oracle.freeze()
            asker = Asker(daemon, orgs[name]["admin_token"], oracle, "UTC")
            for edge in rng.sample(range(quarter + 1, quarter + 1000), 4):
                asker.compare(**{"range": "custom", "from": quarter - 1, "to": edge})
                asker.compare(**{"range": "custom", "from": edge,
                                 "to": quarter + 2 * QUARTER + 1})
        count("truth", edges=16)


def test_edges_of_what_is_accepted():
    """A batch is judged by one moment: its limits cut between two milliseconds."""
    with Daemon() as daemon:
        token = daemon.create_org()["gateway_token"]
        client = daemon.ingest()
        seen = set()
        for turn in range(20):
            now = int(time.time() * 1000)
            events = []
            for about, code in ((now - 35 * DAY, "time_too_old"), (now + 5 * MINUTE,
                                                                  "time_in_future")):
                events += [{"id": "window-%d-%016d" % (turn, ts), "ts": ts, "model": "m",
                            "input_tokens": 1, "output_tokens": 1}
                           for ts in range(about - 100, about + 100)]
            reply = push(client, token, encode(events))
            refused = {}
            for error in reply["errors"]:
                refused.setdefault((error["code"], error["limit"]), set()).add(
                    events[error["i"]]["ts"])
            for (code, limit), stamps in refused.items():
                want = {e["ts"] for e in events if (
                    e["ts"] < limit if code == "time_too_old" else e["ts"] > limit)}
                assert stamps == want, (code, limit, min(stamps), max(stamps))
                # The limit is 35 days or 5 minutes from a moment inside this exchange.
                moment = limit + 35 * DAY if code == "time_too_old" else limit - 5 * MINUTE
                assert now <= moment <= int(time.time() * 1000), (code, limit, now)
                seen.add(code)
        assert seen == {"time_too_old", "time_in_future"}, seen
        count("truth", edges=2)
