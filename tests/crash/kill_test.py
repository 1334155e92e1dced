"""kill -9 of tallyd under load from four gateways, at random times and while it starts: after each,
what was acknowledged is there, nothing is there twice, a recount finds no difference, and it is back
within two seconds. Each round has a new directory and ends with every figure against the oracle.

KILLS: how many. BUDGET: end after so many seconds, whatever is left. SEED."""

import os
import random
import time

from crash_load import Load
from daemon import Daemon, sanitizer

SEED = int(os.environ.get("SEED") or time.time())
KILLS = int(os.environ.get("KILLS") or 40)
BUDGET = float(os.environ.get("BUDGET") or "inf")
ROUND_KILLS = 25


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


def one_round(seed, kills_left, deadline):
    rng = random.Random(seed)
    kills, slowest = 0, 0.0
    with Daemon() as daemon:
        with Load(daemon, seed) as load:
            while kills < min(ROUND_KILLS, kills_left) and time.monotonic() < deadline:
                load.run(rng.randrange(1, 40))
                count, seconds = kill_and_start(daemon, rng)
                kills, slowest = kills + count, max(slowest, seconds)
                load.check_after_crash()
            load.exact.check_all()
            assert daemon.stop() == 0
            daemon.start()
            load.exact.check_present()
    return kills, slowest, load.events(), load.resent


def test_kills_under_load():
    deadline = time.monotonic() + BUDGET
    kills = rounds = events = resent = 0
    slowest = 0.0
    while kills < KILLS and time.monotonic() < deadline:
        seed = SEED + rounds
        try:
            found = one_round(seed, KILLS - kills, deadline)
        except BaseException:
            print("  crash: SEED=%d KILLS=%d, after %d kills" % (seed, KILLS, kills))
            raise
        kills, rounds, slowest = kills + found[0], rounds + 1, max(slowest, found[1])
        events, resent = events + found[2], resent + found[3]
    assert slowest < 2.0 or sanitizer(), "the slowest start took %.2f s" % slowest
    return "crash: kills %d, acked events %d, batches resent %d, acked missing: 0, doubled: 0, " \
        "slowest start %.2f s" % (kills, events, resent, slowest)
