"""Damage to a data directory is reported, never served as truth (RELIABILITY P11). Each trial copies
a directory with tables and two live write-ahead logs, damages one place, and starts. Allowed: the
start is refused and the reason names a file or numbers; a question or the recount says what is
damaged; or every figure is right and every batch is known when it is sent again. Not allowed: a
smaller number with a success code, or an event that counts again.

FLIPS, ROTS (of each other kind), LOG_ROUNDS: how many trials."""

import collections
import os
import random
import re
import shutil
import subprocess
import tempfile
import time

import msgpack

from campaign import SEED, count, deadline, size
from daemon import BUILD, Daemon
from exact import Exact, Gateway
from fault.bit_rot import flip, rot
from fault.preload import preload
from sp import Refused, wait_for

FLIPS = int(os.environ.get("FLIPS") or size(60, 1000))
ROTS = int(os.environ.get("ROTS") or size(5, 200))
LOG_ROUNDS = int(os.environ.get("LOG_ROUNDS") or size(1, 25))
EXIT_DATA, EXIT_IO = 65, 75
NAMES = re.compile(r"code=\w+ why=\".*(\d|/|CURRENT|in CF \w+)")
NOT_COPIED = ("tallyd.log", "LOG", "ballast")


def scratch():
    shared = "/dev/shm"
    roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 << 30
    return tempfile.mkdtemp(prefix="tally-damage-", dir=shared if roomy else None)


class Base:
    """Tables from two starts, with days that were sealed, then an older live log and a newer one.
    Everything was acknowledged."""

    def __init__(self, root):
        self.directory = os.path.join(root, "base")
        os.mkdir(self.directory)
        with Daemon(directory=self.directory) as daemon:
            self.org = daemon.create_org(tz="Europe/Berlin")
            self.gateway = Gateway(0, self.org["gateway_token"], SEED, days=12)
            self.push(daemon, 30)
            for environment in ({}, {}, preload("two_logs")):
                daemon.kill()
                daemon.environment = environment
                daemon.start()
                self.push(daemon, 10)
                if not environment:
                    assert daemon.seal()["runs"] > 0
                self.push(daemon, 5)
            self.sums = Exact(daemon, self.org, [self.gateway]).acked_sums()
            daemon.verify()
            self.wait_marked(daemon)
            daemon.kill()
        assert len(logs_of(self.directory)) == 2, logs_of(self.directory)

    def push(self, daemon, batches):
        client = daemon.ingest()
        for _ in range(batches):
            assert self.gateway.send(client)
        client.close()
        daemon.wait_folded(self.gateway.seq)

    def wait_marked(self, daemon):
        """The high-water mark may lie behind for a moment; the promise begins with the mark."""
        control = daemon.control()
        if "marked_seq" in control.ask({"v": 1, "op": "stats"}):
            wait_for(lambda: control.ask({"v": 1, "op": "stats"})["marked_seq"]
                     >= self.gateway.seq, "the mark")
        control.close()

    def is_behind(self):
        """Whether the daemon that was killed had not yet folded what it acknowledged."""
        rows = subprocess.run([os.path.join(BUILD, "tallyd"), "dump", "mark", "--data", self.directory],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        seq = re.search(r"mark=rollup\s+group=\d+ seq=(\d+)", rows)
        return int(seq.group(1) if seq else 0) < self.gateway.seq

    def copy(self, to):
        shutil.copytree(self.directory, to, ignore=lambda folder, names: [
            name for name in names if name.endswith(".sock") or name in NOT_COPIED])


class LaggingBase(Base):
    """Three live logs, the middle one with nothing but derived rows: the daemon died before it had
    folded what it acknowledged, did that after its next start, and took in more after another."""

    def __init__(self, root, is_flushed):
        self.directory = os.path.join(root, "lagging-%d" % is_flushed)
        os.mkdir(self.directory)
        with Daemon(directory=self.directory) as daemon:
            self.org = daemon.create_org(tz="Europe/Berlin")
            self.gateway = Gateway(0, self.org["gateway_token"], SEED, days=12)
            self.push(daemon, 20)
            if is_flushed:
                daemon.stop()
                daemon.start()
            self.push_and_kill(daemon)
            daemon.environment = preload("two_logs")
            daemon.start()
            daemon.wait_folded(self.gateway.seq)
            daemon.kill()
            daemon.start()
            self.push(daemon, 3)
            self.sums = Exact(daemon, self.org, [self.gateway]).acked_sums()
            self.wait_marked(daemon)
            daemon.kill()
        assert len(logs_of(self.directory)) == 3, logs_of(self.directory)

    def push_and_kill(self, daemon):
        """Again, should the rollup have been as fast as the gateway."""
        for _ in range(20):
            client = daemon.ingest()
            for _ in range(20):
                assert self.gateway.send(client)
            daemon.kill()
            client.close()
            if self.is_behind():
                return
            daemon.start()
        raise AssertionError("the rollup is never behind")


def logs_of(directory):
    """The live write-ahead logs, the older first."""
    found = []
    for folder, _, names in os.walk(directory):
        found += [os.path.join(folder, name) for name in names if re.fullmatch(r"\d+\.log", name)]
    return sorted((path for path in found if os.path.getsize(path)), key=os.path.basename)


class Trial:
    def __init__(self, base, root, damage, rng):
        self.base = base
        self.directory = tempfile.mkdtemp(prefix="t", dir=root)
        self.data = os.path.join(self.directory, "d")
        base.copy(self.data)
        self.what = damage(self.data, rng)
        self.daemon = Daemon(directory=self.data, wait=False)

    def ended(self):
        return self.daemon.process.poll() is not None

    def is_caught_up(self):
        """Whether it answers, takes in, and shows what it has."""
        query, ingest = self.daemon.query_control(), self.daemon.ingest()
        try:
            ingest.connect()
            return query.ask({"v": 1, "op": "health"})["rollup"]["lag_groups"] == 0
        except (OSError, Refused):
            return False
        finally:
            query.close()
            ingest.close()

    def wait_up(self):
        """False when it ended."""
        wait_for(lambda: self.ended() or self.is_caught_up(), "ready, or the end")
        return not self.ended()

    def outcome_of_end(self):
        code, last = self.daemon.process.returncode, self.daemon.log().strip().splitlines()[-1]
        assert code in (EXIT_DATA, EXIT_IO), "exit code %d: %s" % (code, last)
        assert NAMES.search(last), "names nothing: " + last
        return "refused" if "start failed" in last else "stopped by it"

    def outcome_of_answers(self):
        """Ask for every figure, send everything again, recount."""
        exact = Exact(self.daemon, self.base.org, [])
        client = self.daemon.query()
        shown = exact.shown(client)
        client.close()
        wrong = None if shown == self.base.sums else "SILENT: shown %r, acknowledged %r" % tuple(
            sum(sums["requests"] for sums in members.values())
            for members in (shown, self.base.sums))
        client = self.daemon.ingest()
        for batch in self.base.gateway.acked:
            reply = msgpack.unpackb(client.raw(batch.body))
            if reply.get("ok") is False:
                raise Refused(reply["error"])
            if reply["duplicate"] != len(batch.events):
                wrong = wrong or "SILENT: counts again %d" % reply["accepted"]
        client.close()
        report = self.daemon.verify()
        if report["state"] != "done" or report["differences"]:
            return wrong or "verify reports"
        return wrong or "nothing was lost"

    def outcome(self):
        if self.wait_up():
            try:
                return self.outcome_of_answers()
            except Refused as refused:
                assert refused.code in ("storage_corrupt", "storage_unavailable"), refused
                return "reported on a question"
            except OSError:
                wait_for(self.ended, "the end of a daemon that hung up")
        return self.outcome_of_end()

    def run(self):
        """What became of it, in words; what is not allowed keeps its directory."""
        try:
            outcome = self.outcome()
        except AssertionError as error:
            outcome = "BAD: %s" % error
        if not self.ended():
            self.daemon.kill()
        self.log = self.daemon.log()
        if outcome.startswith(("SILENT", "BAD")):
            print("  damage: %s: %s; kept: %s" % (outcome, self.what, self.directory))
        else:
            shutil.rmtree(self.directory)
        return outcome


def run_trials(name, damages, share):
    """damages: functions of (directory, rng) -> what was done, each one trial."""
    end, rng, root = deadline(share), random.Random("%d %s" % (SEED, name)), scratch()
    base, outcomes = Base(root), collections.Counter()
    for damage in damages:
        if time.monotonic() > end:
            break
        outcomes[Trial(base, root, damage, rng).run().split(":")[0]] += 1
    text = ", ".join("%s %d" % pair for pair in sorted(outcomes.items()))
    count("damage", **{name: sum(outcomes.values()), "silently_wrong": outcomes["SILENT"]})
    assert not outcomes["SILENT"] and not outcomes["BAD"], "SEED=%d: %s" % (SEED, text)
    shutil.rmtree(root)
    return "%s: %s" % (name, text)


def test_one_bit_anywhere():
    return run_trials("bits_flipped", [lambda data, rng: rot(data, "flip", rng)] * FLIPS, 0.55)


def test_pages_and_files():
    kinds = [lambda data, rng, kind=kind: rot(data, kind, rng)
             for kind in ("zero", "swap", "truncate", "delete") for _ in range(ROTS)]
    return run_trials("pages_and_files", kinds, 0.3)


def cut(path, size_kept):
    os.truncate(path, size_kept)
    return "%s cut to %d bytes" % (os.path.basename(path), size_kept)


def last_record_of(path):
    """Where the last record begins. Records lie in blocks of 32 KiB: checksum, length (2), type."""
    with open(path, "rb") as file:
        data = file.read()
    at = last = 0
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        if room < 7:
            at += room
            continue
        last, at = at, at + 7 + int.from_bytes(data[at + 4:at + 6], "little")
    return last


def flip_between(path, first, last, rng):
    at, bit = rng.randrange(first, last), rng.randrange(8)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    return "%s: bit %d of byte %d" % (os.path.basename(path), bit, at)


def drop(path):
    os.unlink(path)
    return "%s deleted" % os.path.basename(path)


LOG_DAMAGES = {
    "bit mid-file": lambda old, new, rng: flip_between(
        new, os.path.getsize(new) // 4, os.path.getsize(new) // 2, rng),
    "bit in the last record": lambda old, new, rng: flip_between(
        new, last_record_of(new), os.path.getsize(new), rng),
    "torn tail": lambda old, new, rng: cut(
        new, os.path.getsize(new) - rng.randrange(1, os.path.getsize(new) - last_record_of(new))),
    "cut to half": lambda old, new, rng: cut(new, os.path.getsize(new) // 2),
    "cut to nothing": lambda old, new, rng: cut(new, 0),
    "deleted": lambda old, new, rng: drop(new),
    "bit in the older": lambda old, new, rng: flip(old, rng),
    "older cut": lambda old, new, rng: cut(old, rng.randrange(os.path.getsize(old))),
    "older deleted": lambda old, new, rng: drop(old),
}


def test_logs_of_derived_rows():
    """A log without a raw event in it leaves no hole in the journal. The steps that are missing are
    noticed, and folded again from the last flush point, or from the first group without one."""
    root, outcomes = scratch(), collections.Counter()
    for is_flushed, said in ((False, "the first group"), (True, "the last flush point")):
        base = LaggingBase(root, is_flushed)
        trial = Trial(base, root, lambda data, rng: drop(logs_of(data)[1]), None)
        outcomes[trial.run()] += 1
        assert 'folding again from="%s"' % said in trial.log, trial.log
    assert outcomes == {"nothing was lost": 2}, "SEED=%d: %s" % (SEED, outcomes)
    count("damage", derived_logs_lost=2)
    shutil.rmtree(root)


def test_write_ahead_logs():
    damages = [lambda data, rng, damage=damage, name=name: "%s: %s" % (
        name, damage(*logs_of(data), rng))
               for name, damage in LOG_DAMAGES.items() for _ in range(LOG_ROUNDS)]
    return run_trials("logs_damaged", damages, 0.15)
