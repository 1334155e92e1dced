"""kill -9 of tallyd under load, fifty times, recovery included: every acknowledged event is there,
none counts twice, verify is clean, and it is back within two seconds."""

import os
import random
import threading
import time

import msgpack

from daemon import Daemon, sanitizer
from sp import Refused, Req, wait_for

SEED = int(os.environ.get("SEED") or time.time())
KILLS = int(os.environ.get("KILLS") or 50)
DAY = 86400 * 1000


class Gateway(threading.Thread):
    """Pushes batches for ever; what is not acknowledged is sent again as it was."""

    def __init__(self, number, address, token, seed):
        super().__init__(name="gateway-%d" % number)
        self.number, self.address, self.token = number, address, token
        self.rng = random.Random(seed)
        self.acked_events = self.acked_cost = 0
        self.duplicates = 0
        self.acks = 0
        self.stopping = False
        self.error = None

    def make_batch(self):
        now = int(time.time() * 1000)
        count = self.rng.choice([1, 10, 100, 300])
        rows, cost = [], 0
        for _ in range(count):
            price = self.rng.randrange(10 ** 9)
            cost += price
            late = self.rng.randrange(30 * DAY) if self.rng.random() < 0.02 else 0
            rows.append([self.rng.getrandbits(128).to_bytes(16, "big"), now - 1 - late,
                         "dev%d@acme.test" % self.rng.randrange(20), "claude_code",
                         "s%d-%d" % (self.number, self.rng.randrange(50)), "opus",
                         self.rng.randrange(1000), self.rng.randrange(1000), price])
        frame = {"v": 1, "token": self.token, "fields": [
            "id", "ts", "email", "agent", "session", "model", "input_tokens", "output_tokens",
            "cost_nusd"], "rows": rows}
        return msgpack.packb(frame), count, cost

    def run(self):
        try:
            self.push()
        except Exception as error:  # reported by the test, not lost with the thread
            self.error = error

    def push(self):
        client = Req(self.address)
        while not self.stopping:
            body, count, cost = self.make_batch()
            reply = None
            while reply is None:
                try:
                    reply = msgpack.unpackb(client.raw(body))
                except OSError:
                    time.sleep(0.002)  # the daemon is being started again
                    continue
                if reply.get("ok") is False and reply["error"]["retry"] in ("same", "after"):
                    reply = None
            assert reply.get("rejected") == 0, reply
            assert reply["accepted"] + reply["duplicate"] == count, reply
            self.duplicates += reply["duplicate"]
            self.acked_events += count
            self.acked_cost += cost
            self.acks += 1
        client.close()


def check_totals(daemon, token, gateways):
    client = daemon.query()
    events = sum(g.acked_events for g in gateways)
    cost = sum(g.acked_cost for g in gateways)

    def ask():
        return client.ask({"v": 1, "token": token, "op": "leaderboard", "range": "90d"})["org"]
    try:
        wait_for(lambda: ask()["requests"] == events, "all acknowledged events to show")
    except AssertionError:
        raise AssertionError("acknowledged %d events, shown %d" % (events, ask()["requests"]))
    assert ask()["cost_nusd"] == cost
    client.close()


def test_fifty_kills_under_load():
    rng = random.Random(SEED)
    slowest = 0.0
    print("  crash seed %d" % SEED)
    with Daemon() as daemon:
        org = daemon.create_org()
        gateways = [Gateway(n, daemon.address("ingest"), org["gateway_token"], SEED + n)
                    for n in range(2)]
        for gateway in gateways:
            gateway.start()
        for _ in range(KILLS):
            goal = sum(g.acks for g in gateways) + rng.randrange(1, 25)
            wait_for(lambda: sum(g.acks for g in gateways) >= goal or any(
                g.error for g in gateways), "acks")
            assert not any(g.error for g in gateways), [g.error for g in gateways]
            daemon.kill()
            if rng.random() < 0.2:  # and once more while it recovers
                daemon.start(wait=False)
                time.sleep(rng.random() * 0.05)
                daemon.kill()
            started = time.monotonic()
            daemon.start()
            slowest = max(slowest, time.monotonic() - started)
        for gateway in gateways:
            gateway.stopping = True
        for gateway in gateways:
            gateway.join(60)
            assert gateway.error is None, gateway.error
        check_totals(daemon, org["admin_token"], gateways)
        assert daemon.verify()["differences"] == 0
        assert daemon.stop() == 0
        daemon.start()
        check_totals(daemon, org["admin_token"], gateways)
    assert slowest < 2.0 or sanitizer(), "the slowest start took %.2f s" % slowest
    return "crash: kills %d, acked events %d, resent and known %d, missing: 0, doubled: 0, " \
        "slowest start %.2f s" % (KILLS, sum(g.acked_events for g in gateways),
                                  sum(g.duplicates for g in gateways), slowest)
