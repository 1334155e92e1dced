"""The power goes under load from four gateways, also while tallyd starts. By the sync ledger (no
root needed), and with root on ext4 and xfs on a loop file. After each cut: what was acknowledged is
there, nothing is there twice, a recount finds no difference. Each round has a new directory and
ends with every figure against the oracle.

CUTS: how many for each kind of disk. DISK: only ledger, ext4 or xfs. BUDGET: seconds. SEED."""

import os
import random
import shutil
import tempfile
import time

from crash_load import Load
from daemon import Daemon
from fault.power_cut import LoopDisk, why_not
from fault.preload import preload
from fault.sync_ledger import Ledger, settle

SEED = int(os.environ.get("SEED") or time.time())
CUTS = int(os.environ.get("CUTS") or 0)
DISK = os.environ.get("DISK")
BUDGET = float(os.environ.get("BUDGET") or "inf")
ROUND_CUTS = 15


class LedgerDisk:
    """A directory that loses at a cut what was not synced."""

    def __init__(self, rng):
        self.base = tempfile.mkdtemp(prefix="tally-ledger-")
        self.directory = os.path.join(self.base, "d")
        self.ledger = os.path.join(self.base, "ledger")
        self.rng = rng
        os.mkdir(self.directory)
        self.environment = preload("sync_ledger", TALLY_LEDGER=self.ledger,
                                   TALLY_LEDGER_DIR=self.directory)

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
    disk.cut()
    daemon.kill()
    disk.restore()


def one_round(kind, seed, cuts_left, deadline):
    rng = random.Random(seed)
    disk = make_disk(kind, rng)
    cuts, slowest = 0, 0.0
    with Daemon(directory=disk.directory, environment=getattr(disk, "environment", {})) as daemon:
        with Load(daemon, seed) as load:
            while cuts < min(ROUND_CUTS, cuts_left) and time.monotonic() < deadline:
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


def run(kind, quick):
    deadline = time.monotonic() + BUDGET
    goal, cuts, rounds, events, slowest = CUTS or quick, 0, 0, 0, 0.0
    if DISK not in (None, "", kind):
        return None
    reason = None if kind == "ledger" else why_not(kind)
    if reason:
        return "crash: skipped: power cuts on %s: %s" % (kind, reason)
    while cuts < goal and time.monotonic() < deadline:
        seed = SEED + rounds
        try:
            found = one_round(kind, seed, goal - cuts, deadline)
        except BaseException:
            print("  crash: DISK=%s SEED=%d, after %d cuts" % (kind, seed, cuts))
            raise
        cuts, rounds, events = cuts + found[0], rounds + 1, events + found[2]
        slowest = max(slowest, found[1])
    return "crash: power cuts %d (%s), acked events %d, acked missing: 0, doubled: 0, slowest " \
        "start %.2f s" % (cuts, kind, events, slowest)


def test_power_cuts_by_the_ledger():
    return run("ledger", 12)


def test_power_cuts_on_ext4():
    return run("ext4", 6)


def test_power_cuts_on_xfs():
    return run("xfs", 3)
