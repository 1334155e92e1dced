"""Order and lateness change no number (RELIABILITY P4), and what is derived can be dropped (P6): every
permutation of one set of events gives the same bytes of `tally dump --derived`."""

import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

from batch import encode, push, split
from campaign import SEED, count, deadline, size
from daemon import BUILD, Daemon
from sp import Req
from workload import generate

PERMUTATIONS = size(5, 100)
EVENTS = size(20000, 100000)
NOW = int(time.time() * 1000)


def make_events(seed, how_many, keys):
    """At least so many, with links, revisions, duplicates and every field."""
    events, sessions = [], how_many // 15
    while len(events) < how_many:
        events = generate(seed, NOW, 30, sessions, keys)
        sessions += sessions // 4
    return events


class Gateway(threading.Thread):
    def __init__(self, address, token, parts):
        super().__init__()
        self.client, self.token, self.parts = Req(address), token, parts
        self.seq, self.error = 0, None

    def run(self):
        try:
            for part in self.parts:
                reply = push(self.client, self.token, part)
                assert reply["rejected"] == 0, reply["errors"][:3]
                self.seq = max(self.seq, reply["seq"])
            self.client.close()
        except Exception as error:  # told by the test, not lost with the thread
            self.error = error


def push_parts(daemon, token, encoded, rng):
    """In parts of random sizes, by two gateways side by side; returns when all is folded."""
    parts = list(split(rng, encoded))
    gateways = [Gateway(daemon.address("ingest"), token, parts[i::2]) for i in range(2)]
    for gateway in gateways:
        gateway.start()
    for gateway in gateways:
        gateway.join()
        if gateway.error:
            raise gateway.error
    daemon.wait_folded(max(gateway.seq for gateway in gateways))


class Template:
    """A data directory in which an org and its agents exist; permutations start from copies."""

    def __init__(self):
        with Daemon() as daemon:
            org = daemon.create_org()
            control = daemon.control()
            self.keys = sorted(control.ask({
                "v": 1, "op": "agent_create", "org": "acme", "email": email,
                "type": kind})["agent_id"] for email, kind in (
                    ("dev0@acme.test", "codex"), ("lead@acme.test", "claude_code")))
            control.close()
            self.token = org["gateway_token"]
            assert daemon.stop() == 0
            self.directory = tempfile.mkdtemp(prefix="tally-")
            shutil.copytree(daemon.directory, self.directory, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("*.sock"))

    def start(self):
        copy = tempfile.mkdtemp(prefix="tally-")
        shutil.copytree(self.directory, copy, dirs_exist_ok=True)
        daemon = Daemon(directory=copy)
        daemon.own = True
        return daemon


def rebuilt_offline(daemon):
    """The dumps of a directory nobody has open, before and after its derived rows were dropped."""
    def tallyd(*words):
        return subprocess.run([os.path.join(BUILD, "tallyd"), *words, "--data", daemon.directory],
                              stdout=subprocess.PIPE, check=True).stdout
    before = tallyd("dump", "derived")
    tallyd("rebuild")
    assert tallyd("dump", "derived") == before, "seed %d: a rebuild moved a figure" % SEED
    return before


def test_permutations_give_equal_bytes():
    rng = random.Random(SEED)
    template = Template()
    encoded = encode(make_events(SEED, EVENTS, template.keys))
    first, done, end = None, 0, deadline(0.6)
    while done < PERMUTATIONS and time.monotonic() < end:
        order = random.Random(SEED + done)
        mixed = encoded[:]
        order.shuffle(mixed)
        with template.start() as daemon:
            push_parts(daemon, template.token, mixed, order)
            digest = daemon.dump_derived()
            first = first or digest
            assert digest == first, "permutation %d of seed %d differs from the first" % (
                done, SEED)
            done += 1
            if done == 1:  # T6c, in a running daemon
                daemon.rebuild()
                assert daemon.dump_derived() == first, "seed %d: rebuild" % SEED
        count("truth", events_sent=len(encoded), permutations_equal=1)
    shutil.rmtree(template.directory)
    assert done > 1
    return "seed %d: %d permutations of %d events, %s" % (SEED, done, len(encoded), first[:16])


def test_cells_of_many_pages():
    """As many sessions in a day as make several pages of a cell; which session is in which page
    hangs on the order of arrival. Late links move rows and share them among pull requests."""
    rng, sessions = random.Random(SEED + 2), 9000
    events = [{"id": "many-%06d" % i, "ts": NOW - 1 - rng.randrange(86400000), "model": "m",
               "email": "dev%d@acme.test" % rng.randrange(9), "session": "s%d" % (i % sessions),
               "cost_nusd": rng.randrange(10 ** 9), "input_tokens": 7, "output_tokens": 1}
              for i in range(2 * sessions)]
    for i in rng.sample(range(sessions), 300):
        at = {"ts": NOW - 5, "kind": "link", "session": "s%d" % i}
        events += [dict(at, id="late-repo-%05d" % i, op="set_repo", value="github.com/acme/app"),
                   dict(at, id="late-pull-%05d" % i, op="add_pr", value="%d" % rng.randrange(1, 5))]
    dumps = set()
    for _ in range(2):
        mixed = encode(events)
        rng.shuffle(mixed)
        with Daemon() as daemon:
            push_parts(daemon, daemon.create_org()["gateway_token"], mixed, rng)
            dumps.add(daemon.dump_derived())
            daemon.rebuild()
            dumps.add(daemon.dump_derived())
            daemon.verify()
            assert daemon.stop() == 0
            pages = subprocess.run([os.path.join(BUILD, "tallyd"), "dump", "cell.1d", "--data",
                                    daemon.directory], stdout=subprocess.PIPE, check=True).stdout
            rows = [int(part.split(b" ")[0]) for part in pages.split(b" rows=")[1:]]
            assert b" part=2" in pages and 1000 < max(rows) <= 2 * 4096, rows
    assert len(dumps) == 1, "seed %d" % SEED


def test_two_tallys_that_have_nothing_in_common_but_the_events():
    """Orgs made in another order, other secrets, other numbers for everything; offline as well."""
    rng = random.Random(SEED + 1)
    events = {name: encode(make_events(SEED + n, 1500, []))
              for n, name in enumerate(("acme", "beta", "corp"))}
    dumps = []
    for turn in range(2):
        with Daemon() as daemon:
            names = rng.sample(sorted(events), len(events))
            for name in names:
                org = daemon.create_org(name)
                mixed = rng.sample(events[name], len(events[name]))
                push_parts(daemon, org["gateway_token"], mixed, rng)
            online = daemon.dump_derived()
            assert daemon.stop() == 0
            dumps.append(rebuilt_offline(daemon))
            daemon.start()
            assert daemon.dump_derived() == online
    assert dumps[0] == dumps[1], "seed %d" % SEED
    assert b'"beta" 1d ' in dumps[0] and b" split=" in dumps[0] and b" link=add_pr" in dumps[0]
    # And it is no constant: one event more is seen.
    with Daemon() as daemon:
        for name in sorted(events):
            org = daemon.create_org(name)
            push_parts(daemon, org["gateway_token"], events[name], rng)
        push_parts(daemon, org["gateway_token"], encode([{
            "id": "one-event-more", "ts": NOW - 5, "model": "m", "input_tokens": 1,
            "output_tokens": 0}]), rng)
        assert daemon.dump_derived() != online
