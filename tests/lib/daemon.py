"""A real tallyd in a scratch directory, for tests."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from sp import Refused, Req, wait_for

BUILD = os.environ.get("BUILD", "build/release")


def sanitizer():
    """The sanitizer's runtime when tallyd is built with one (it must be preloaded first), or ""."""
    libraries = subprocess.run(["ldd", os.path.join(BUILD, "tallyd")], stdout=subprocess.PIPE,
                               text=True).stdout
    found = re.search(r"=> (\S*lib[at]san\.so\S*)", libraries)
    return found.group(1) if found else ""


def shifted(offset_ms):
    """The environment of a daemon whose wall clock is that much ahead."""
    return {"TALLY_WALL_OFFSET_MS": str(offset_ms), "LD_PRELOAD": " ".join((
        sanitizer(), os.path.abspath(os.path.join(BUILD, "tests/wall_clock.so"))))}


class Daemon:
    """Starts on creation; use it in a with block. The directory stays when the block fails."""

    def __init__(self, *options, directory=None, environment=None, wait=True):
        self.own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="tally-")
        self.options = list(options)
        self.environment = environment or {}
        self.process = None
        self.log_path = os.path.join(self.directory, "tallyd.log")
        self.start(wait)

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tallyd"), "--data", self.directory, "--ingest", "none",
             "--query", "none", "--disk-floor-bytes", "64M", "--ballast-bytes", "16M",
             *self.options],
            stderr=log, stdout=log, env=dict(os.environ, **self.environment))
        log.close()
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("tallyd ended with %d: %s" % (
                    self.process.returncode, self.log()[-2000:]))
            try:
                client = self.control()
                client.ask({"v": 1, "op": "ping"})
                client.close()
                return True
            except (OSError, ConnectionError, Refused):
                return False
        wait_for(ready, "tallyd to start")

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def address(self, name):
        return "ipc://%s/%s.sock" % (self.directory, name)

    def ingest(self):
        return Req(self.address("ingest"))

    def query(self):
        return Req(self.address("query"))

    def control(self):
        return Req(self.address("ingest-control"))

    def query_control(self):
        return Req(self.address("query-control"))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def create_org(self, name="acme", **params):
        client = self.control()
        reply = client.ask(dict({"v": 1, "op": "org_create", "name": name}, **params))
        client.close()
        return reply

    def stats(self):
        client = self.control()
        reply = client.ask({"v": 1, "op": "stats"})
        client.close()
        return reply

    def wait_folded(self, seq):
        """Until queries show everything up to seq."""
        client = self.query_control()
        wait_for(lambda: client.ask({"v": 1, "op": "health"})["seq"] >= seq, "rollup to catch up")
        client.close()

    def wait_caught_up(self):
        """Until queries show everything that is stored."""
        client = self.query_control()
        wait_for(lambda: client.ask({"v": 1, "op": "health"})["rollup"]["lag_groups"] == 0,
                 "rollup to catch up")
        client.close()

    def verify(self):
        """Run the audit to its end and return its report."""
        client = self.control()
        client.ask({"v": 1, "op": "verify", "start": True})
        report = wait_for(
            lambda: (lambda r: r if r["state"] != "running" else None)(
                client.ask({"v": 1, "op": "verify"})), "verify", 120)
        client.close()
        return report

    def __enter__(self):
        return self

    def dump_derived(self):
        """SHA-256 of `tally dump --derived`: the figures, whatever the order of arrival was."""
        done = subprocess.run([os.path.join(BUILD, "tally"), "dump", "--derived", "--data",
                               self.directory], stdout=subprocess.PIPE, check=True)
        return hashlib.sha256(done.stdout).hexdigest()

    def rebuild(self):
        """Drop every derived row and fold the journal again."""
        client = self.control()
        client.ask({"v": 1, "op": "rebuild", "start": True})
        wait_for(lambda: client.ask({"v": 1, "op": "rebuild"})["state"] == "done", "rebuild", 300)
        client.close()

    def seal(self):
        """Seal every day that has ended; what the order says of it at its end."""
        client = self.control()
        client.ask({"v": 1, "op": "seal", "start": True})
        reply = wait_for(
            lambda: (lambda r: r if r["state"] != "running" else None)(
                client.ask({"v": 1, "op": "seal"})), "sealing", 300)
        client.close()
        assert reply["state"] == "done", reply
        return reply

    def raw_keys(self, day):
        """The keys of a day's raw rows, as dump shows them: blocks, runs, chunks."""
        client, keys, after = self.control(), [], ""
        while True:
            reply = client.ask({"v": 1, "op": "dump", "family": "raw." + day, "after": after,
                                "limit": 200})
            keys += [row["text"] for row in reply["rows"]]
            after = reply.get("after", "")
            if not reply["rows"] or not after:
                client.close()
                return keys

    def derived_digest(self):
        """SHA-256 over every derived row as stored. The daemon must be down."""
        digest = hashlib.sha256()
        for family in ("cell.1h", "cell.1d", "session", "life"):
            digest.update(subprocess.run(
                [os.path.join(BUILD, "tallyd"), "dump", family, "--data", self.directory],
                stdout=subprocess.PIPE, check=True).stdout)
        return digest.hexdigest()

    def __exit__(self, kind, value, trace):
        try:
            if kind is None and self.process.poll() is None:
                report = self.verify()  # whatever a test did, a recount agrees (DESIGN 8.4)
                assert report["differences"] == 0, report
                assert self.stats().get("audit_mismatches", 0) == 0, "see %s" % self.log()
        except BaseException as error:
            kind = type(error)
            raise
        finally:
            self.clean_up(kind)

    def clean_up(self, kind):
        if self.process.poll() is None:
            self.kill()
        if kind is None and self.own:
            shutil.rmtree(self.directory)
        elif kind is not None:
            print("  kept: %s" % self.directory)
