"""Sealed days hold the same events: every figure, every event behind it, every recount and rebuild is
the same before and after; what is sent again is known, what comes late is counted, and a day that
got more is sealed again."""

import os
import random
import subprocess
import time

from batch import encode, push, split
from compare import Compare
from daemon import BUILD, Daemon
from oracle import Oracle
from sp import wait_for
from workload import generate

SEED = int(os.environ.get("SEED") or time.time())
DAY = 86400 * 1000
NOW = int(time.time() * 1000)
KEYS = (("dev0@acme.test", "codex"), ("lead@acme.test", "claude_code"))


def day_name(ms):
    return time.strftime("%Y-%m-%d", time.gmtime(ms // 1000))


class Place(Compare):
    """A daemon with an org of 30 days, in two unequal halves, and the oracle that saw the same."""

    def __init__(self, daemon, seed, sessions=60):
        self.daemon, self.sent = daemon, []
        org = daemon.create_org("acme", tz="Europe/Berlin")
        self.gateway = org["gateway_token"]
        control, keys = daemon.control(), {}
        for email, kind in KEYS:
            made = control.ask({"v": 1, "op": "agent_create", "org": "acme", "email": email,
                                "type": kind})
            keys[made["agent_id"]] = (email, made["agent_id"])
        control.close()
        self.keys = sorted(keys)
        super().__init__(daemon, org["admin_token"], Oracle(keys), random.Random(seed))
        self.push_all(generate(seed, NOW, 30, sessions, self.keys))

    def push_all(self, events):
        self.sent += events
        client, seq = self.daemon.ingest(), 0
        for part in self.parts(events):
            reply = client.ask({"v": 1, "token": self.gateway, "events": part})
            verdicts = [self.oracle.push(event) for event in part]
            assert [reply["accepted"], reply["duplicate"], reply["replaced"], reply["rejected"]] \
                == [verdicts.count(verdict) for verdict in (
                    "accepted", "duplicate", "replaced", "conflict")], (reply, verdicts)
            seq = max(seq, reply["seq"])
        client.close()
        self.daemon.wait_folded(seq)
        self.oracle.freeze()

    def restart(self):
        if self.daemon.process.poll() is None:
            self.daemon.kill()
        self.daemon.start()
        self.query = self.daemon.query()

    def parts(self, events):
        at = 0
        while at < len(events):
            step = self.rng.randrange(1, 200)
            yield events[at:at + step]
            at += step

    def explained(self):
        """Every event behind the org's figures of the last 30 days, in an order of its own."""
        reply = self.ask("explain", scope="org", range="30d", limit=1000)
        events = [sorted(event.items()) for cell in reply["cells"] for event in cell["events"]]
        return sorted(map(repr, events)), reply["total"]

    def request_rows(self):
        """The request rows of some sessions, page by page."""
        rows = []
        for session in sorted({e["session"] for e in self.sent if e.get("session")})[:12]:
            cursor = None
            while True:
                more = {"cursor": cursor} if cursor else {}
                reply = self.ask("session", session=session, limit=7, **more)
                rows.append((session, reply["rows"]))
                cursor = reply.get("next_cursor")
                if not cursor:
                    break
        return rows

    def state(self):
        return self.daemon.dump_derived(), self.explained(), self.request_rows()

    def is_whole(self):
        report = self.daemon.verify()
        assert report["differences"] == 0, report

    def send_again(self):
        """Everything that was ever sent: nothing is new, whatever the day has become. What is
        answered is what the oracle says: the same again, or a conflict as before."""
        client = self.daemon.ingest()
        for part in self.parts(self.sent):
            reply = client.ask({"v": 1, "token": self.gateway, "events": part})
            assert (reply["accepted"], reply["replaced"]) == (0, 0), (SEED, reply)
            assert all(e["code"] == "id_conflict" for e in reply["errors"]), (SEED, reply["errors"])
        client.close()


def test_sealing_changes_no_answer():
    with Daemon() as daemon:
        place = Place(daemon, SEED)
        before = place.state()
        sealed = daemon.seal()
        assert sealed["days"] >= 25 and sealed["events"] > 500, sealed
        keys = daemon.raw_keys(day_name(NOW - 9 * DAY))
        assert keys and all(key.startswith("run to group=") for key in keys), keys
        assert place.state() == before, "seed %d" % SEED
        place.check()
        place.is_whole()
        place.send_again()
        place.is_whole()
        place.restart()
        assert place.state() == before, "seed %d: after a restart" % SEED
        place.send_again()
        place.is_whole()
        daemon.rebuild()
        assert place.state() == before, "seed %d: rebuilt from sealed days" % SEED
        place.is_whole()
        assert daemon.seal()["events"] == 0


def test_sealed_days_take_late_events_and_revisions():
    """In pieces: some of it, sealed, more of it into the sealed days, sealed again, and so on."""
    with Daemon() as daemon:
        place = Place(daemon, SEED + 1, sessions=12)
        for turn in range(3):
            daemon.seal()
            late = [dict(event, rev=event.get("rev", 0) + 1 + turn, cost_nusd=event["cost_nusd"] + 1)
                    for event in place.sent if "cost_nusd" in event and event["cost_nusd"]
                    and event.get("kind", "request") == "request"][turn::7]
            place.push_all(late + generate(SEED + 100 + turn, NOW, 30, 8, place.keys))
            before = place.state()
            place.is_whole()
            place.check_some()
            if turn == 1:
                place.restart()
            assert daemon.seal()["events"] > 0
            assert place.state() == before, "seed %d turn %d" % (SEED, turn)
            place.is_whole()
            place.send_again()
        daemon.rebuild()
        assert place.state() == before, "seed %d" % SEED


def test_the_command_line():
    """`tally seal` follows the order to its end; `tally dump` shows what it made."""
    def tally(*words):
        return subprocess.run([os.path.join(BUILD, "tally"), *words, "--data", daemon.directory],
                              stdout=subprocess.PIPE, check=True, text=True).stdout
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        for days in range(4):
            reply = client.ask({"v": 1, "token": org["gateway_token"], "events": [
                {"id": "seal-%d-%d" % (days, n), "ts": NOW - days * DAY - n, "model": "m",
                 "input_tokens": 1, "output_tokens": 1} for n in range(50)]})
        client.close()
        daemon.wait_folded(reply["seq"])
        assert tally("seal") == "sealed 3 days, 150 events\n"
        lines = tally("dump", "raw." + day_name(NOW - 2 * DAY)).splitlines()
        assert lines[0].startswith("run to group=") and " rows=50 " in lines[1], lines[:3]
        assert sum("input_tokens=1" in line and " from=0" in line for line in lines) == 50, lines
        assert daemon.stats()["sealed_events"] == 150


def test_offline():
    """`tallyd seal` on a directory nobody has open: the derived rows stay byte for byte the same,
    also when they are folded again."""
    def tallyd(*words):
        return subprocess.run([os.path.join(BUILD, "tallyd"), *words, "--data", daemon.directory],
                              stdout=subprocess.PIPE, check=True).stdout.decode()
    with Daemon() as daemon:
        place = Place(daemon, SEED + 2)
        assert daemon.stop() == 0
        rows, text = daemon.derived_digest(), tallyd("dump", "derived")
        assert "sealed 0 days" not in tallyd("seal")
        assert daemon.derived_digest() == rows and tallyd("dump", "derived") == text
        assert "0 differences" in tallyd("verify")
        tallyd("rebuild")
        assert daemon.derived_digest() == rows, "seed %d" % SEED
        assert tallyd("seal") == "sealed 0 days, 0 events\n"
        place.restart()
        place.check_some()
        place.send_again()


def test_runs_are_cut_and_days_expire_with_them():
    """A day of more events than a run takes, and its end."""
    rng = random.Random(SEED)
    with Daemon() as daemon:
        org = daemon.create_org()
        start = (NOW // DAY - 80) * DAY
        events = [{"id": rng.randbytes(16), "ts": start + rng.randrange(DAY), "model": "m",
                   "email": "dev%d@acme.test" % rng.randrange(50), "session": "s%d" % (n // 40),
                   "input_tokens": rng.randrange(900), "output_tokens": 1,
                   "cost_nusd": rng.randrange(10 ** 9)} for n in range(70000)]
        encoded = encode(events)
        client = daemon.ingest()
        replies = [push(client, org["admin_token"], part, **{"import": True})
                   for part in split(rng, encoded, 500, 1000)]
        assert sum(reply["accepted"] for reply in replies) == len(events)
        daemon.wait_folded(replies[-1]["seq"])
        before = daemon.dump_derived()
        sealed = daemon.seal()
        assert (sealed["events"], sealed["runs"]) == (70000, 3), sealed
        keys = daemon.raw_keys(day_name(start))
        assert sum("chunk" in key for key in keys) == 18, keys
        assert daemon.dump_derived() == before and daemon.verify()["differences"] == 0
        again = [push(client, org["admin_token"], part, **{"import": True})
                 for part in split(rng, encoded, 500, 1000)]
        assert sum(reply["duplicate"] for reply in again) == len(events)
        client.close()
        daemon.kill()
        daemon.start()
        client = daemon.ingest()
        again = [push(client, org["admin_token"], part, **{"import": True})
                 for part in split(rng, rng.sample(encoded, 3000), 500, 1000)]
        assert sum(reply["duplicate"] for reply in again) == 3000
        # A row of today, or there is nothing to tell a wrong clock by.
        client.ask({"v": 1, "token": org["gateway_token"], "events": [dict(
            events[0], id="seal-today", ts=NOW)]})
        client.close()
        assert daemon.stop() == 0
        daemon.options = ["--retention-days", "72"]
        daemon.start()
        wait_for(lambda: "expired days=1" in daemon.log(), "expiry")
        assert daemon.verify()["differences"] == 0
        daemon.kill()
        daemon.start()
        assert daemon.verify()["differences"] == 0
