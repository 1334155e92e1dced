"""An event counts once (RELIABILITY P2): sent again, reordered, split anew, mixed with others, through
two gateways at the same instant, across restarts, under another time, weeks later."""

import random
import threading
import time

from batch import encode, push, split
from campaign import SEED, count, size
from daemon import Daemon, shifted
from sp import Req, wait_for

MINUTE = 60 * 1000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SENDS = size(50, 1000)  # of one 1,000-event batch
RESTARTS = size(3, 20)


def make_events(rng, how_many, now_ms, **fields):
    return [dict({"id": rng.getrandbits(128).to_bytes(16, "big"),
                  "ts": now_ms - 1 - rng.randrange(30 * DAY),
                  "email": "dev%d@acme.test" % rng.randrange(20), "agent": "codex",
                  "session": "s-%d" % rng.randrange(50), "model": "m%d" % rng.randrange(3),
                  "input_tokens": rng.randrange(5000), "output_tokens": rng.randrange(500),
                  "cost_nusd": rng.randrange(10 ** 10)}, **fields) for _ in range(how_many)]


def org_figures(daemon, token, **params):
    client = daemon.query()
    reply = client.ask(dict({"v": 1, "token": token, "op": "leaderboard", "range": "90d"},
                            **params))
    client.close()
    return reply["org"]


def check_once(daemon, token, events, seq):
    daemon.wait_folded(seq)
    org = org_figures(daemon, token)
    assert org["requests"] == len(events), (org["requests"], len(events))
    assert org["cost_nusd"] == sum(event["cost_nusd"] for event in events)
    assert org["input_tokens"] == sum(event["input_tokens"] for event in events)


def gateways(daemon, org):
    """Two credentials of the org."""
    control = daemon.control()
    other = control.ask({"v": 1, "op": "token_create", "org": "acme", "type": "gateway",
                         "name": "second"})["token"]
    control.close()
    return [org["gateway_token"], other]


class Sender(threading.Thread):
    """Sends all events some times over, each time in another way."""

    def __init__(self, daemon, token, encoded, times, seed, start):
        super().__init__()
        self.client = Req(daemon.address("ingest"))
        self.token, self.encoded, self.times = token, encoded, times
        self.rng, self.start_together = random.Random(seed), start
        self.verdicts = dict.fromkeys(("accepted", "duplicate", "replaced", "rejected", "seq"), 0)
        self.error = None

    def send(self, part):
        reply = push(self.client, self.token, part)
        for name in self.verdicts:
            self.verdicts[name] = (max if name == "seq" else int.__add__)(
                self.verdicts[name], reply[name])

    def run(self):
        try:
            self.start_together.wait()
            for turn in range(self.times):
                if turn % 4 == 0:
                    self.send(self.encoded)  # as it was
                    continue
                mixed = self.encoded[:]
                self.rng.shuffle(mixed)
                for part in split(self.rng, mixed, 1, 1000 if turn % 4 == 1 else 250):
                    self.send(part)
            self.client.close()
        except Exception as error:  # told by the test, not lost with the thread
            self.error = error


def send_together(daemon, tokens, encoded, times, seed):
    """Both gateways at the same instant; the sum of their verdicts."""
    start = threading.Barrier(len(tokens))
    senders = [Sender(daemon, token, encoded, times, seed + i, start)
               for i, token in enumerate(tokens)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
        if sender.error:
            raise sender.error
    sums = {name: sum(s.verdicts[name] for s in senders) for name in senders[0].verdicts}
    sums["seq"] = max(s.verdicts["seq"] for s in senders)
    count("truth", events_sent=times * len(tokens) * len(encoded), counted=sums["accepted"])
    return sums


def test_a_batch_counts_once_however_often_and_however_it_is_sent():
    rng = random.Random(SEED)
    events = make_events(rng, 1000, int(time.time() * 1000))
    encoded = encode(events)
    with Daemon() as daemon:
        org = daemon.create_org()
        tokens = gateways(daemon, org)
        sums = dict.fromkeys(("accepted", "duplicate", "replaced", "rejected"), 0)
        rounds = RESTARTS + 1
        for turn in range(rounds):
            each = (SENDS // 2 * (turn + 1) // rounds) - (SENDS // 2 * turn // rounds)
            got = send_together(daemon, tokens, encoded, each, SEED + 2 * turn)
            for name in sums:
                sums[name] += got[name]
            if turn == 0:
                seq = got["seq"]
            check_once(daemon, org["admin_token"], events, seq)
            if turn < RESTARTS:
                daemon.kill() if turn % 2 else daemon.stop()
                daemon.start()
        want = {"accepted": 1000, "duplicate": (SENDS - 1) * 1000, "replaced": 0, "rejected": 0}
        assert sums == want, "seed %d: %r" % (SEED, sums)
        assert daemon.verify()["differences"] == 0
    return "seed %d: %d sends, %d restarts: 1000 accepted, %d duplicates" % (
        SEED, SENDS, RESTARTS, sums["duplicate"])


def test_two_gateways_at_the_same_instant():
    rng = random.Random(SEED + 1)
    with Daemon() as daemon:
        org = daemon.create_org()
        tokens = gateways(daemon, org)
        events = []
        for turn in range(size(10, 200)):
            fresh = make_events(rng, 1000, int(time.time() * 1000))
            events += fresh
            got = send_together(daemon, tokens, encode(fresh), 1, SEED + 10 * turn)
            assert (got["accepted"], got["duplicate"]) == (1000, 1000), (SEED, turn, got)
            seq = got["seq"]
        check_once(daemon, org["admin_token"], events, seq)


def test_an_id_twice_in_one_batch():
    rng = random.Random(SEED + 2)
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        events = make_events(rng, 500, int(time.time() * 1000))
        twice = encode(events) * 2
        rng.shuffle(twice)
        reply = push(client, org["gateway_token"], twice)
        assert (reply["accepted"], reply["duplicate"]) == (500, 500), (SEED, reply)
        check_once(daemon, org["admin_token"], events, reply["seq"])


def test_another_org_is_another_id_and_another_time_is_a_conflict():
    rng = random.Random(SEED + 3)
    now = int(time.time() * 1000)
    events = make_events(rng, 500, now)
    with Daemon() as daemon:
        orgs = [daemon.create_org("acme"), daemon.create_org("other")]
        client = daemon.ingest()
        for org in orgs:  # T2e
            reply = push(client, org["gateway_token"], encode(events))
            assert reply["accepted"] == 500, (SEED, reply)
        stamped = [dict(event, ts=event["ts"] - 1 - rng.randrange(DAY)) for event in events]
        for turn in range(2):  # T2d; the second time after a restart, without prints
            for org in orgs:
                reply = push(client, org["gateway_token"], encode(stamped))
                assert reply["rejected"] == 500, (SEED, reply)
                assert {(e["code"], e["field"]) for e in reply["errors"]} == {
                    ("id_conflict", "ts")}, (SEED, reply["errors"][:3])
            client.close()
            daemon.kill()
            daemon.start()
        for org in orgs:
            check_once(daemon, org["admin_token"], events, 1000)
        count("truth", events_sent=3000, counted=1000)


def codes(reply):
    return [error["code"] for error in reply["errors"]]


def test_weeks_later():
    """T2f. Ids are known for as long as their events could be accepted, and longer."""
    started = time.time()
    now = int(started * 1000)
    rng = random.Random(SEED + 4)
    recent = make_events(rng, 1, now, ts=now - 1000)[0]
    late = make_events(rng, 1, now, ts=now - 34 * DAY)[0]
    ahead = make_events(rng, 1, now, ts=now + 4 * MINUTE)[0]
    with Daemon() as daemon:
        org = daemon.create_org()
        gateway, admin = org["gateway_token"], org["admin_token"]
        assert push(daemon.ingest(), gateway, encode([recent, late, ahead]))["accepted"] == 3

        def later(offset_ms, *options):
            daemon.stop()
            daemon.options = list(options)
            daemon.environment = shifted(offset_ms)
            daemon.start()
            return daemon.ingest(), now + offset_ms

        client, then = later(34 * DAY + 23 * HOUR)
        reply = push(client, gateway, encode([recent, ahead, late, dict(late, ts=then - 1000)]))
        assert reply["duplicate"] == 2, reply
        assert codes(reply) == ["time_too_old", "id_conflict"], reply
        # Stamped ahead, so it can be accepted 35 days after it arrived: its id must still be known.
        client, then = later(35 * DAY + MINUTE)
        assert push(client, gateway, encode([ahead]))["duplicate"] == 1
        client, then = later(35 * DAY + HOUR)
        reply = push(client, gateway, encode([recent, late, ahead]))
        assert codes(reply) == ["time_too_old"] * 3, reply
        reply = push(client, gateway, encode([dict(e, ts=then - 1000)
                                              for e in (recent, late, ahead)]))
        assert codes(reply) == ["id_conflict"] * 3, reply
        reply = push(client, admin, encode([recent, late, ahead]), **{"import": True})
        assert reply["duplicate"] == 3, reply
        # Long after the ids left memory an import still knows them, from the days themselves.
        client, then = later(50 * DAY)
        reply = push(client, admin, encode([recent, late, ahead]), **{"import": True})
        assert reply["duplicate"] == 3, reply
        assert org_figures(daemon, admin)["requests"] == 3
        # After retention nothing is taken, and what was counted stays counted.
        client, then = later(80 * DAY, "--retention-days", "72")
        wait_for(lambda: "expired days=" in daemon.log(), "expiry")
        reply = push(client, admin, encode([recent, late, ahead]), **{"import": True})
        assert codes(reply) == ["time_too_old"] * 3, reply
        assert org_figures(daemon, admin)["requests"] == 2  # late was 114 days ago: out of 90
        daemon.kill()
        daemon.start()
        assert org_figures(daemon, admin)["requests"] == 2
        count("truth", events_sent=22, counted=3)
