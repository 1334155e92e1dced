"""kill -9 of tallyd under load from four gateways, at random times and while it starts: after each,
what was acknowledged is there, nothing is there twice, a recount finds no difference. Each round has
a new directory and ends with every figure against the oracle.

KILLS: how many (40; 1,000 in the long form)."""

import os
import random
import time

from campaign import SEED, count, deadline, most, size
from crash_load import Load
from daemon import Daemon
from fault.preload import preload

KILLS = int(os.environ.get("KILLS") or size(40, 1000))
ROUND_KILLS = size(25, 50)
HURRIES_MS = (20, 100, 500)  # between flush points, which come every five minutes otherwise


def kill_and_start(daemon, rng):
    """Returns the number of kills and the seconds until it was ready."""
    kills = 1
    daemon.kill()
    while rng.random() < 0.25:  # and once more while it recovers
        daemon.start(wait=False)
        time.sleep(rng.random() * 0.08)
        daemon.kill()
        kills += 1
    started = time.monotonic()
    daemon.start()
    return kills, time.monotonic() - started


def one_round(seed, kills_left, end):
    rng = random.Random(seed)
    kills, slowest = 0, 0.0
    with Daemon(environment=preload("hurry", TALLY_HURRY_MS=rng.choice(HURRIES_MS))) as daemon:
        with Load(daemon, seed) as load:
            while kills < min(ROUND_KILLS, kills_left) and time.monotonic() < end:
                load.run(rng.randrange(1, 25))
                more, seconds = kill_and_start(daemon, rng)
                kills, slowest = kills + more, max(slowest, seconds)
                load.check_after_crash()
            load.exact.check_all()
            assert daemon.stop() == 0
            daemon.start()
            load.exact.check_present()
    return kills, slowest, load.events(), load.resent


def test_kills_under_load():
    end, kills, rounds, slowest = deadline(0.8), 0, 0, 0.0
    while kills < KILLS and time.monotonic() < end:
        seed = SEED + rounds
        try:
            found, seconds, events, resent = one_round(seed, KILLS - kills, end)
        except BaseException:
            print("  crash: SEED=%d KILLS=%d, after %d kills" % (seed, KILLS, kills))
            raise
        kills, rounds, slowest = kills + found, rounds + 1, max(slowest, seconds)
        count("crash", kills=found, acked_events=events, batches_resent=resent)
    count("crash", acked_missing=0, doubled=0)
    most("crash", slowest_start_ms=int(slowest * 1000))
