"""The power goes under load from four gateways, also while tallyd starts. By the sync ledger (no
root needed), and with root on ext4 and xfs on a loop file. After each cut: what was acknowledged is
there, nothing is there twice, a recount finds no difference. Each round has a new directory and
ends with every figure against the oracle.

CUTS: how many on each kind of disk. DISK: only ledger, ext4 or xfs."""

import os
import random
import shutil
import tempfile
import time

from campaign import SEED, count, deadline, most, size
from crash_load import Load
from daemon import Daemon
from fault.power_cut import LoopDisk, freeze, why_not
from fault.preload import preload
from fault.sync_ledger import Ledger, settle

CUTS = int(os.environ.get("CUTS") or 0)
DISK = os.environ.get("DISK")
ROUND_CUTS = 15
HURRIES_MS = (20, 100, 500)  # between flush points, which come every five minutes otherwise


class LedgerDisk:
    """A directory that loses at a cut what was not synced."""

    def __init__(self, rng):
        self.base = tempfile.mkdtemp(prefix="tally-ledger-")
        self.directory = os.path.join(self.base, "d")
        self.ledger = os.path.join(self.base, "ledger")
        self.rng = rng
        os.mkdir(self.directory)
        self.environment = {"TALLY_LEDGER": self.ledger, "TALLY_LEDGER_DIR": self.directory}

    def cut(self):
        """The ledger says what was synced when the program died: nothing to do before."""

    def restore(self):
        Ledger(self.ledger).cut(self.directory, self.rng)
        settle(self.ledger, self.directory)

    def close(self):
        shutil.rmtree(self.base)


def make_disk(kind, rng):
    return LedgerDisk(rng) if kind == "ledger" else LoopDisk(kind)


def cut_and_restore(daemon, disk):
    if daemon.process.poll() is None:
        freeze(daemon.process.pid)
    disk.cut()
    daemon.kill()
    disk.restore()


def one_round(kind, seed, cuts_left, end):
    rng = random.Random(seed)
    disk = make_disk(kind, rng)
    cuts, slowest = 0, 0.0
    libraries = ["hurry"] + (["sync_ledger"] if kind == "ledger" else [])
    environment = preload(*libraries, TALLY_HURRY_MS=rng.choice(HURRIES_MS),
                          **getattr(disk, "environment", {}))
    with Daemon(directory=disk.directory, environment=environment) as daemon:
        with Load(daemon, seed) as load:
            while cuts < min(ROUND_CUTS, cuts_left) and time.monotonic() < end:
                load.run(rng.randrange(1, 30))
                cut_and_restore(daemon, disk)
                cuts += 1
                while rng.random() < 0.2:  # and once more while it recovers
                    daemon.start(wait=False)
                    time.sleep(rng.random() * 0.1)
                    cut_and_restore(daemon, disk)
                    cuts += 1
                started = time.monotonic()
                daemon.start()
                slowest = max(slowest, time.monotonic() - started)
                load.check_after_crash()
            load.exact.check_all()
            events = load.events()
    disk.close()
    return cuts, slowest, events


def run(kind, goal, share):
    if DISK not in (None, "", kind):
        return None
    reason = None if kind == "ledger" else why_not(kind)
    if reason:
        return "skipped: power cuts on %s: %s" % (kind, reason)
    end, cuts, rounds = deadline(share), 0, 0
    while cuts < (CUTS or goal) and time.monotonic() < end:
        seed = SEED + rounds
        try:
            found, slowest, events = one_round(kind, seed, (CUTS or goal) - cuts, end)
        except BaseException:
            print("  crash: DISK=%s SEED=%d, after %d cuts" % (kind, seed, cuts))
            raise
        cuts, rounds = cuts + found, rounds + 1
        count("crash", power_cuts=found, acked_events=events)
        most("crash", slowest_start_ms=int(slowest * 1000))
    count("crash", acked_missing=0, doubled=0)
    return "power cuts %d by %s" % (cuts, kind)


def test_power_cuts_by_the_ledger():
    return run("ledger", size(12, 150), 0.4)


def test_power_cuts_on_ext4():
    return run("ext4", size(6, 100), 0.3)


def test_power_cuts_on_xfs():
    return run("xfs", size(3, 50), 0.2)
