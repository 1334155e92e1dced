"""Gateways behind a network that cuts, repeats, delays and loses: every event counts once."""

import json
import os
import random
import subprocess
import sys
import time

import msgpack

from daemon import Daemon
from sp import Req, wait_for

SEED = int(os.environ.get("SEED") or time.time())
PROXY = "tests/lib/fault/proxy.py"


class Proxy:
    def __init__(self, connect, *faults):
        self.process = subprocess.Popen(
            [sys.executable, "-B", PROXY, "--listen", "tcp://127.0.0.1:0", "--connect", connect,
             "--seed", str(SEED), *faults], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def stop(self):
        """What it did."""
        self.process.terminate()
        return json.loads(self.process.communicate(timeout=20)[0])


def push_until_acked(client, body):
    """The reply that came in the end, and how many tries it took."""
    for tries in range(1, 1000):
        try:
            return msgpack.unpackb(client.raw(body)), tries
        except OSError:
            continue
    raise AssertionError("seed %d: never acknowledged" % SEED)


def push_through(faults, batches, timeout_s):
    rng = random.Random(SEED)
    cost = events = known = tries = 0
    with Daemon() as daemon:
        org = daemon.create_org()
        proxy = Proxy(daemon.address("ingest"), *faults)
        client = Req(proxy.address, timeout_s)
        for _ in range(batches):
            now = int(time.time() * 1000)
            prices = [rng.randrange(10 ** 9) for _ in range(rng.randrange(1, 40))]
            rows = [[rng.getrandbits(128).to_bytes(16, "big"), now - 1, "ada@acme.test", "m", 1, 1, price]
                    for price in prices]
            reply, more = push_until_acked(client, msgpack.packb({
                "v": 1, "token": org["gateway_token"],
                "fields": ["id", "ts", "email", "model", "input_tokens", "output_tokens",
                           "cost_nusd"], "rows": rows}))
            assert reply["accepted"] + reply["duplicate"] == len(rows), (SEED, reply)
            known += reply["duplicate"]
            tries += more
            events += len(rows)
            cost += sum(prices)
        client.close()
        done = proxy.stop()
        query = daemon.query()
        ask = {"v": 1, "token": org["admin_token"], "op": "leaderboard", "range": "24h"}
        wait_for(lambda: query.ask(ask)["org"]["requests"] >= events, "all events to show")
        total = query.ask(ask)["org"]
        query.close()
        assert (total["requests"], total["cost_nusd"]) == (events, cost), (SEED, total)
    return done, "seed %d: tries %d for %d batches, events %d, told as known %d" % (
        SEED, tries, batches, events, known)


def test_cut_repeated_lost_and_late_frames_count_once():
    done, note = push_through(["--cut", "5", "--duplicate", "4", "--drop-replies", "6",
                               "--delay-ms", "0", "3", "--half-open", "4"], 80, 0.2)
    for fault in ("cut", "duplicated", "dropped_replies", "delayed", "half_open"):
        assert done[fault] > 0, (SEED, done)
    return note


def test_a_frame_cut_at_each_of_its_first_bytes_counts_once():
    for at in (0, 8, 13):
        done, _ = push_through(["--cut", "2", "--cut-at", str(at)], 4, 5)
        assert done["requests"] >= 4, done


def test_a_dripping_network_is_only_slow():
    done, note = push_through(["--drip", "1", "--drip-rate", "20000"], 6, 20)
    assert done["dripped"] > 0, (SEED, done)
    return note
