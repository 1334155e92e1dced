"""One file call in a hundred fails with EIO, drawn by the seed, for minutes, while four gateways push
and a supervisor starts tallyd again each time it ends: with exit code 75, for nothing else is due
after an error of the disk. Most starts fail as well. Every few seconds the faults pause: then
everything acknowledged is there, once, whatever was acknowledged in between.

SECONDS: how long. ONE_IN: calls for one error."""

import collections
import os
import shutil
import signal
import tempfile
import time

from campaign import SEED, count, deadline, size
from crash_load import Load
from daemon import Daemon
from fault.kth_syscall import Kth

SECONDS = float(os.environ.get("SECONDS") or size(10, 600))
ONE_IN = int(os.environ.get("ONE_IN") or 100)
ROUND_S = size(4, 15)
EXIT_IO = 75


class Supervisor:
    """Starts a daemon again whenever it ends, and counts how it did."""

    def __init__(self, daemon, load):
        self.daemon, self.load = daemon, load
        self.codes = collections.Counter()

    def look(self):
        """Gateways hold when nobody answers; they are sent off again here."""
        code = self.daemon.process.poll()
        if code is not None:
            assert code in (EXIT_IO, -signal.SIGABRT), \
                "exit code %d: %s" % (code, self.daemon.log()[-1500:])
            self.codes[code] += 1
            self.daemon.start(wait=False)
        for pusher in self.load.pushers:
            if pusher.held.is_set():
                pusher.release()
        assert not self.load.errors(), self.load.errors()

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.01)


def scratch():
    shared = "/dev/shm"
    roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 << 30
    return tempfile.mkdtemp(prefix="tally-random-", dir=shared if roomy else None)


def test_one_call_in_a_hundred_fails_for_minutes():
    root, end = scratch(), min(deadline(1), time.monotonic() + SECONDS)
    data = os.path.join(root, "d")
    os.mkdir(data)
    kth = Kth(os.path.join(root, "kth"), data, "EIO", seed=SEED)
    with Daemon(directory=data, environment=kth.environment()) as daemon:
        with Load(daemon, SEED, verify_each=False) as load:
            supervisor, rounds = Supervisor(daemon, load), 0
            while time.monotonic() < end:
                kth.arm(1, stride=ONE_IN)
                supervisor.run(min(ROUND_S, max(0, end - time.monotonic())))
                kth.arm(0)
                daemon.kill()
                daemon.start()
                load.check_after_crash()
                rounds += 1
            load.exact.check_all()
            acks, events = load.acks(), load.events()
    shutil.rmtree(root)
    count("random errors", errors=kth.struck, exit_75=supervisor.codes[EXIT_IO],
          aborted_in_rocksdb=supervisor.codes[-signal.SIGABRT], acknowledged_batches=acks,
          acknowledged_events=events, checks=rounds, false_acks=0, doubled=0)
    return "%d of %d file calls failed" % (kth.struck, kth.calls)
