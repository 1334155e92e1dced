"""The k-th call that changes a file fails, is short, is interrupted, or the process dies at it: in
start-up, expiry of old days, commit, creation of day families, rollup, sealing and stop. Whatever
happens, nothing acknowledged is lost, and sending the rest again counts it exactly once. A failure
that tally cannot live with ends it with exit code 75, never with an acknowledgement.

One run is: copy a prepared directory, start, push fixed batches one at a time, stop; then start
again without faults and check. POINTS: how many (k, kind) are drawn, seeded; "all" is every k of a
run, up to K_MAX (the long form). STRIDE=n takes each n-th k. KINDS: words. CALLS: by name with commas,
those that count; all without it. BATCHES: how long a run is. LANES: runs at once. ERRORS: how many under load."""

import os
import random
import re
import shutil
import signal
import tempfile
import threading
import time

from campaign import SEED, count, deadline, size
from crash_load import Load
from daemon import Daemon
from exact import Exact, Gateway
from fault.kth_syscall import Kth
from fault.sync_ledger import Ledger, settle
from sp import Refused, wait_for

POINTS = os.environ.get("POINTS") or size("60", "all")
K_MAX = int(os.environ.get("K_MAX") or 2000)
STRIDE = int(os.environ.get("STRIDE") or 1)
CALLS = os.environ.get("CALLS")
KINDS = (os.environ.get("KINDS") or "EIO ENOSPC short EINTR kill").split()
ERRORS = int(os.environ.get("ERRORS") or size(10, 200))
LANES = int(os.environ.get("LANES") or size(1, 2))
ROUND_ERRORS = 20
BATCHES = int(os.environ.get("BATCHES") or 10)
DAY = 86400 * 1000
EXIT_IO = 75
OPTIONS = ["--retention-days", "72"]


def scratch():
    """In memory where there is room: the faults are made by hand, the disk has no part in it."""
    shared = "/dev/shm"
    roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 << 30
    return tempfile.mkdtemp(prefix="tally-grid-", dir=shared if roomy else None)


def is_harmless(call, name):
    """RocksDB can live without room set aside, without a file's end cut off (for which it opens a log
    once more), without a file removed, and without OPTIONS. A folder's sync is not harmless, but only
    a power cut can tell which."""
    return (call in ("unlink", "fallocate", "ftruncate") or name == "db"
            or (call, name) == ("reopen", "N.log") or name.startswith(("OPTIONS", "LOG")))


class Base:
    """A directory with some days, one of them due to expire, killed so that a start has to recover;
    and what its gateway knows."""

    def __init__(self, root):
        self.directory = os.path.join(root, "base")
        os.mkdir(self.directory)
        with Daemon(directory=self.directory) as daemon:
            self.org = daemon.create_org(tz="Europe/Berlin")
            self.import_old(daemon)
            gateway = self.gateway(0)
            client = daemon.ingest()
            for _ in range(3):
                gateway.send(client)
            client.close()
            daemon.wait_folded(gateway.seq)
            daemon.verify()
            daemon.kill()
        self.acked = gateway.acked

    def import_old(self, daemon):
        """Beyond the longest range that is asked for, so it moves no figure that is checked."""
        client, now_ms = daemon.ingest(), int(time.time() * 1000)
        events = [{"id": "old-%d" % i, "ts": now_ms - (100 + i) * DAY, "model": "m",
                   "email": "dev0@acme.test", "input_tokens": 1, "output_tokens": 1}
                  for i in range(2)]
        client.ask({"v": 1, "token": self.org["admin_token"], "import": True, "events": events})
        client.close()

    def gateway(self, number):
        return Gateway(number, self.org["gateway_token"], 77, days=4 if number == 0 else 12)

    def copy(self, to):
        shutil.copytree(self.directory, to, ignore=lambda folder, names: [
            name for name in names if name.endswith(".sock")
            or name in ("tallyd.log", "LOG", "ballast")])


class Run:
    """One (kind, k)."""

    def __init__(self, base, root, kind, k):
        self.base, self.kind, self.k = base, kind, k
        self.directory = tempfile.mkdtemp(prefix="r", dir=root)
        data = os.path.join(self.directory, "d")
        base.copy(data)
        calls = "write,pwrite" if kind == "short" else CALLS
        self.kth = Kth(os.path.join(self.directory, "kth"), data, kind, calls=calls,
                       trace=os.path.join(self.directory, "trace"))
        self.kth.arm(k)
        self.is_stopping = False  # in order, when the fault was met
        self.rng = random.Random("%d %s %d" % (SEED, kind, k))
        self.ledger = os.path.join(self.directory, "ledger")
        settle(self.ledger, data)
        environment = self.kth.environment(
            "sync_ledger", TALLY_LEDGER=self.ledger, TALLY_LEDGER_DIR=data)
        self.daemon = Daemon(*OPTIONS, directory=data, environment=environment, wait=False)
        self.done, self.fresh = base.gateway(0), base.gateway(1)
        self.done.acked = base.acked

    def ended(self):
        return self.daemon.process.poll() is not None

    def wait_listening(self):
        client = self.daemon.ingest()
        while not self.ended():
            try:
                client.connect()
                return client
            except OSError:
                time.sleep(0.002)
        return None

    def push(self):
        """One batch at a time, each folded before the next, so that k means the same in each run."""
        client = self.wait_listening()
        for number in range(BATCHES if client else 0):
            deadline = time.monotonic() + 20
            try:
                if number == BATCHES // 2:
                    self.seal(deadline)
                while not self.fresh.send(client):
                    assert time.monotonic() < deadline, "refuses and does not end"
                self.wait_folded(deadline)
            except OSError:
                return
        if client:
            client.close()

    def seal(self, deadline):
        """To its end, well or not: a failed write ends the daemon."""
        control, state = self.daemon.control(), "starting"
        while state in ("starting", "running"):
            assert time.monotonic() < deadline, "sealing hangs"
            time.sleep(0.001)
            try:
                state = control.ask({"v": 1, "op": "seal", "start": state == "starting"})["state"]
            except Refused as refused:  # it listens before the sealer runs
                state = refused.code
        control.close()

    def wait_folded(self, deadline):
        query = self.daemon.query_control()
        while query.ask({"v": 1, "op": "health"})["seq"] < self.fresh.seq:
            assert time.monotonic() < deadline, "rollup hangs"
            time.sleep(0.001)
        query.close()

    def end(self):
        """The exit code: its own within two seconds after a fault, or by a stop in order."""
        if not self.may_survive():
            wait_for(self.ended, "exit code 75 after %s of %s" % self.kth.call(self.k), 10)
        elif not self.ended():
            self.is_stopping = self.kth.struck == 0
            self.daemon.process.send_signal(signal.SIGTERM)
        return self.daemon.process.wait(timeout=60)

    def check_code(self, code):
        """An assertion in RocksDB is as good as exit code 75: nothing is acknowledged after it."""
        allowed = {"kill": (-signal.SIGKILL,)}.get(self.kind, (EXIT_IO, -signal.SIGABRT))
        if self.may_survive():
            allowed += (0,)
        assert code in allowed, "exit code %d: %s" % (code, self.daemon.log()[-1500:])

    def may_survive(self):
        """RocksDB repeats what is short or interrupted in a write or open."""
        return (self.kth.struck == 0 or self.kind in ("short", "EINTR")
                or is_harmless(*self.kth.call(self.k)) or self.is_cut_short())

    def is_cut_short(self):
        """A compaction that a stop ends anyway: what it read is still there."""
        return self.is_stopping and self.kth.call(self.k)[1] == "N.sst"

    def check_exact(self):
        """After the fault the power goes too, in half of the runs: what was acknowledged in spite of
        it must have been synced."""
        if self.rng.random() < 0.5:
            Ledger(self.ledger).cut(self.daemon.directory, self.rng)
        self.daemon.environment = {}
        self.daemon.start()
        exact = Exact(self.daemon, self.base.org, [self.done, self.fresh])
        exact.check_present()
        exact.resend()
        exact.check_present()
        assert self.daemon.verify()["differences"] == 0
        self.daemon.kill()

    def run(self):
        """Returns (exit code, whether the fault was met, calls in all)."""
        try:
            self.push()
            code = self.end()
            self.check_code(code)
            self.check_exact()
        except BaseException:
            self.daemon.clean_up(AssertionError)
            print("  grid: %s k=%d, %s of %s" % (self.kind, self.k, *self.kth.call(self.k)))
            raise
        shutil.rmtree(self.directory)
        return code, self.kth.struck > 0, self.kth.calls


def draw_points(calls, rng):
    """calls: kind -> how many a run has. All of them in random order, or as many as asked for."""
    points = [(kind, k) for kind in KINDS for k in range(1, min(calls[kind], K_MAX) + 1, STRIDE)]
    rng.shuffle(points)
    return points if POINTS == "all" else points[:int(POINTS)]


class Lane(threading.Thread):
    def __init__(self, base, root, points, end):
        super().__init__()
        self.base, self.root, self.points, self.end = base, root, points, end
        self.codes, self.error = {}, None
        self.start()

    def run(self):
        while self.points and time.monotonic() < self.end:
            kind, k = self.points.pop()
            try:
                code, struck, _ = Run(self.base, self.root, kind, k).run()
            except BaseException as error:  # reported by the test
                self.error = error
                self.points.clear()
                return
            if struck:
                self.codes[code] = self.codes.get(code, 0) + 1


OUTCOMES = {0: "survived", EXIT_IO: "exit_75", -signal.SIGABRT: "aborted_in_rocksdb",
            -signal.SIGKILL: "killed"}


def test_the_kth_call_goes_wrong():
    end, root = deadline(0.8), scratch()
    base = Base(root)
    whole, writes = (Run(base, root, kind, 0).run()[2] for kind in ("EIO", "short"))
    calls = {kind: writes if kind == "short" else whole for kind in KINDS}
    points = draw_points(calls, random.Random(SEED))
    drawn = len(points)
    lanes = [Lane(base, root, points, end) for _ in range(LANES)]
    for lane in lanes:
        lane.join()
        for code, found in lane.codes.items():
            count("grid", **{OUTCOMES[code]: found})
    for lane in lanes:
        if lane.error:
            print("  grid: SEED=%d" % SEED)
            raise lane.error
    shutil.rmtree(root)
    count("grid", points=drawn - len(points), false_acks=0, doubled=0)
    return "a run makes %d calls, %d of them writes; %d of %d points run, each k up to the end of a " \
        "run: %s" % (whole, writes, drawn - len(points), drawn, not points and POINTS == "all")


def strike(kth, daemon, rng):
    """Arm one error within the next calls and wait for what it does. Returns whether it was fatal."""
    at, struck = kth.calls + rng.randrange(1, 60), kth.struck
    kth.arm(at)
    wait_for(lambda: kth.struck > struck, "the error")
    is_fatal = not is_harmless(*kth.call(at))
    if is_fatal:
        wait_for(lambda: daemon.process.poll() is not None, "exit after %s of %s" % kth.call(at))
        # An assertion in RocksDB, when another write meets the error first, is as good.
        assert daemon.process.returncode in (EXIT_IO, -signal.SIGABRT), daemon.process.returncode
    else:
        daemon.kill()
    kth.arm(0)
    return is_fatal


def errors_in_one_directory(seed, errors_left, end):
    """Returns how many errors were met, and how many of them ended the daemon."""
    rng, root = random.Random(seed), scratch()
    data = os.path.join(root, "d")
    os.mkdir(data)
    kth = Kth(os.path.join(root, "kth"), data, "EIO", calls="write,pwrite,fdatasync",
              trace=os.path.join(root, "trace"))
    met = fatal = 0
    with Daemon(directory=data, environment=kth.environment()) as daemon:
        with Load(daemon, seed) as load:
            while met < min(errors_left, ROUND_ERRORS) and time.monotonic() < end:
                load.run(rng.randrange(1, 10))
                fatal += strike(kth, daemon, rng)
                met += 1
                daemon.start()
                load.check_after_crash()
            load.exact.check_all()
    shutil.rmtree(root)
    return met, fatal


def test_io_errors_under_load():
    """The same with four gateways that never wait: whatever was acknowledged before the error is
    there, and the daemon ends with exit code 75."""
    end, done, rounds = deadline(0.2), 0, 0
    while done < ERRORS and time.monotonic() < end:
        met, fatal = errors_in_one_directory(SEED + rounds, ERRORS - done, end)
        done, rounds = done + met, rounds + 1
        count("grid", errors_under_load=met, exit_75=fatal)
