"""SIGTERM under load from four gateways, once and twice (P14): what was acknowledged is there, nothing
is there twice, and it takes ten seconds at most. One signal ends with 0; a second one while it stops
ends at once with 75, or with 0 when it came too late.

STOPS: how many by one signal (5; 500 in the long form); a fifth as many by two."""

import os
import random
import signal
import time

from campaign import SEED, count, deadline, most, size
from crash_load import Load
from daemon import Daemon

STOPS = int(os.environ.get("STOPS") or size(5, 500))
STOPS_TWICE = max(5, STOPS // 5)
STOP_S_MAX = 10.0

ROUND = 100  # stops of one directory: its sessions still fit the pages that are compared


def stop(daemon, rng, twice):
    """Returns the exit code and the seconds it took."""
    started = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    if twice:
        time.sleep(rng.random() * 0.2)
        daemon.process.send_signal(signal.SIGTERM)
    code = daemon.process.wait(timeout=3 * STOP_S_MAX)
    return code, time.monotonic() - started


def stops(wanted, twice, seed, end):
    """Returns the exit codes and the longest stop."""
    rng, codes, slowest = random.Random(seed), [], 0.0
    with Daemon() as daemon:
        with Load(daemon, seed) as load:
            while len(codes) < wanted and time.monotonic() < end:
                load.run(rng.randrange(1, 40))
                code, seconds = stop(daemon, rng, twice)
                codes.append(code)
                slowest = max(slowest, seconds)
                assert code == 0 or (twice and code == 75), (code, daemon.log()[-2000:])
                daemon.start()
                load.check_after_crash()
            load.exact.check_all()
        count("stops", acked_events=load.events(), batches_resent=load.resent)
    return codes, slowest


def run(wanted, twice, seed, end):
    codes, slowest = [], 0.0
    try:
        while len(codes) < wanted and time.monotonic() < end:
            more, longest = stops(min(ROUND, wanted - len(codes)), twice, seed + len(codes), end)
            codes += more
            slowest = max(slowest, longest)
    except BaseException:
        print("  stops: SEED=%d STOPS=%d" % (SEED, STOPS))
        raise
    assert slowest <= STOP_S_MAX, "a stop took %.2f s" % slowest
    count("stops", **{"by_two_signals" if twice else "by_one_signal": len(codes)},
          lost=0, doubled=0, exit_0=codes.count(0), exit_75=codes.count(75))
    most("stops", longest_ms=int(slowest * 1000))


def test_one_signal():
    run(STOPS, False, SEED, deadline(0.3))


def test_two_signals():
    run(STOPS_TWICE, True, SEED + 1, deadline(0.2))
