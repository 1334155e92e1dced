"""The same id with other content (RELIABILITY P2x): a conflict is named, kept and counted; a higher
revision replaces exactly, in whatever order revisions come."""

import random
import re
import time

from batch import encode, push
from campaign import SEED, count, deadline, size
from daemon import Daemon
from oracle import SUMS, Oracle
from sp import wait_for

DAY = 86400 * 1000
NOW = int(time.time() * 1000)

REQUEST = {
    "id": "content-request", "ts": NOW - 1000, "email": "a@acme.test", "agent": "codex",
    "email_enc": {"alg": "A256GCM", "ct": "aaaa"}, "session": "s1", "provider": "p", "model": "m",
    "input_tokens": 1, "output_tokens": 50, "cache_read_tokens": 1, "cache_write_tokens": 9,
    "cache_write_1h_tokens": 1, "reasoning_tokens": 1, "cost_nusd": 5, "saved_tokens": 1,
    "saved_nusd": 1, "status": 200, "duration_ms": 10, "repo": "acme/api", "pr": 1, "branch": "b",
    "commit": "abcdef0", "billing": "api", "tags": ["x"]}
REQUEST_CHANGES = {
    "ts": NOW - 2000, "email_enc": {"alg": "A256GCM", "ct": "bbbb"}, "session": "s2",
    "provider": "q", "model": "n", "input_tokens": 2, "output_tokens": 51, "cache_read_tokens": 2,
    "cache_write_tokens": 10, "cache_write_1h_tokens": 2, "reasoning_tokens": 2, "cost_nusd": 6,
    "saved_tokens": 2, "saved_nusd": 2, "status": 500, "duration_ms": 11, "repo": "acme/web",
    "pr": 2, "branch": "c", "commit": "abcdef1", "billing": "plan", "tags": ["x", "y"],
    "email": "b@acme.test", "agent": "claude_code"}
ACTIVITY = {
    "id": "content-activity", "ts": NOW - 1000, "kind": "activity", "email": "a@acme.test",
    "session": "s1", "lines_added": 1, "lines_removed": 1, "commits": 1, "pull_requests": 1,
    "active_ms": 1, "edits_accepted": 1, "edits_rejected": 1}
VIOLATION = {
    "id": "content-violation", "ts": NOW - 1000, "kind": "violation", "email": "a@acme.test",
    "session": "s1", "rule": "r", "severity": "error", "fix_ms": 5}
LINK = {
    "id": "content-link", "ts": NOW - 1000, "kind": "link", "session": "s1", "op": "set_name",
    "value": "abcdef0"}

# (event, field, another value, what the conflict names)
CASES = [(REQUEST, name, value, {"email": "member"}.get(name, name))
         for name, value in REQUEST_CHANGES.items()]
CASES += [(REQUEST, name, None, name) for name in (
    "session", "provider", "cost_nusd", "duration_ms", "repo", "pr", "branch", "commit", "tags",
    "email_enc")]
CASES += [(ACTIVITY, name, 2, name) for name in (
    "lines_added", "lines_removed", "commits", "pull_requests", "active_ms", "edits_accepted",
    "edits_rejected")]
CASES += [(ACTIVITY, "ts", NOW - 3000, "ts"), (ACTIVITY, "session", "s9", "session")]
CASES += [(VIOLATION, "rule", "q", "rule"), (VIOLATION, "severity", "info", "severity"),
          (VIOLATION, "fix_ms", 6, "fix_ms"), (VIOLATION, "ts", NOW - 3000, "ts")]
CASES += [(LINK, "value", "two", "value"), (LINK, "session", "s2", "session"),
          (LINK, "ts", NOW - 3000, "ts"), (LINK, "op", "add_commit", "op")]
CASES += [(VIOLATION, "kind", "activity", "kind")]


def rows_of(daemon, family):
    """Every stored row of a family, as text."""
    client = daemon.control()
    rows, after = [], None
    while after != "":
        reply = client.ask(dict({"v": 1, "op": "dump", "family": family, "limit": 1000},
                                **({"after": after} if after else {})))
        rows += reply["rows"]
        after = reply["after"] or ""
    client.close()
    return rows


def conflicts(daemon, token):
    client = daemon.query()
    rows = client.ask({"v": 1, "token": token, "op": "reconcile", "range": "24h"})["rows"]
    client.close()
    return sum(row["conflict"] for row in rows)


def other(event, field, value):
    """The event with another value in a field; None takes the field away."""
    changed = {name: v for name, v in event.items() if name != field or value is not None}
    if value is not None:
        changed[field] = value
    return changed


def test_one_field_at_a_time():
    with Daemon() as daemon:
        org = daemon.create_org()
        token, admin = org["gateway_token"], org["admin_token"]
        control = daemon.control()
        keys = [control.ask({"v": 1, "op": "agent_create", "org": "acme", "type": "codex",
                             "email": email})["agent_id"]
                for email in ("a@acme.test", "b@acme.test")]
        keyed = {"id": "content-by-key", "ts": NOW - 1000, "key": keys[0], "model": "m",
                 "input_tokens": 1, "output_tokens": 2}
        named = {"id": "content-by-member", "ts": NOW - 1000, "member": "%032x" % 7, "model": "m",
                 "input_tokens": 1, "output_tokens": 2}
        cases = CASES + [(keyed, "key", keys[1], "member"), (named, "member", "%032x" % 8,
                                                            "member")]
        firsts = [REQUEST, ACTIVITY, VIOLATION, LINK, keyed, named]
        client = daemon.ingest()
        reply = push(client, token, encode(firsts))
        assert reply["accepted"] == len(firsts), reply
        daemon.wait_folded(reply["seq"])
        before = daemon.dump_derived()
        for turn in range(2):  # then after a restart, where contents are read, not remembered
            for number, (event, field, value, named_field) in enumerate(cases):
                reply = push(client, token, encode([other(event, field, value)]))
                where = (field, value, reply)
                assert reply["rejected"] == 1, where
                assert reply["errors"][0]["code"] == "id_conflict", where
                assert reply["errors"][0]["field"] == named_field, where
                at = turn * len(cases) + number + 1
                wait_for(lambda: conflicts(daemon, admin) >= at, "the counter, %r" % (where,))
                kept = rows_of(daemon, "quarantine")
                times = sum(int(re.search(r"times=(\d+)", row["value"])[1]) for row in kept)
                assert (times, conflicts(daemon, admin)) == (at, at), where
                assert len(kept) == len({c[0]["id"] for c in cases[:number + 1]} if not turn
                                        else {c[0]["id"] for c in cases}), where
                assert any("differs=" + named_field in row["value"] for row in kept), where
            assert push(client, token, encode(firsts))["duplicate"] == len(firsts)
            client.close()
            daemon.stop() if turn else daemon.kill()
            daemon.start()
        assert daemon.dump_derived() == before, "a conflict moved a figure"
        count("truth", fields_changed=len(cases) * 2)


def revisions(rng, number):
    """Versions of one event: another time, perhaps day, member, session, model and price."""
    event_id = "rev-%012d-%08x" % (number, rng.getrandbits(32))
    revs = sorted(rng.sample(range(0, 12), rng.randrange(1, 6)))
    versions = []
    for rev in revs:
        event = {"id": event_id, "ts": NOW - 1 - rng.randrange(30 * DAY),
                 "email": "dev%d@acme.test" % rng.randrange(5), "agent": "codex",
                 "model": "m%d" % rng.randrange(3), "input_tokens": rng.randrange(1000),
                 "output_tokens": rng.randrange(1000)}
        if rev:
            event["rev"] = rev
        if rng.random() < 0.8:
            event["cost_nusd"] = rng.randrange(10 ** rng.randrange(1, 13))
        if rng.random() < 0.8:
            event["session"] = "s%d" % rng.randrange(40)
        if rng.random() < 0.3:
            event["repo"] = "github.com/acme/r%d" % rng.randrange(3)
        versions.append(event)
    order = rng.random()
    if order < 0.3:
        versions.reverse()
    elif order < 0.7:
        rng.shuffle(versions)
    if rng.random() < 0.3:
        versions.insert(rng.randrange(len(versions) + 1), rng.choice(versions))
    return versions


def weave(rng, sequences):
    """All sequences in one order that keeps the order within each."""
    order = [number for number, events in enumerate(sequences) for _ in events]
    rng.shuffle(order)
    takers = [iter(events) for events in sequences]
    return [next(takers[number]) for number in order]


def push_all(daemon, token, oracle, rng, events):
    client, at, seq = daemon.ingest(), 0, 0
    while at < len(events):
        part = events[at:at + rng.randrange(1, 200)]
        at += len(part)
        want = dict.fromkeys(("accepted", "duplicate", "replaced", "conflict"), 0)
        for event in part:
            want[oracle.push(event)] += 1
        reply = push(client, token, encode(part))
        got = {name: reply[name] for name in ("accepted", "duplicate", "replaced")}
        got["conflict"] = reply["rejected"]
        assert got == want, "seed %d: %r, want %r: %r" % (SEED, got, want, reply["errors"][:2])
        seq = reply["seq"]
    client.close()
    daemon.wait_folded(seq)
    oracle.freeze()


def check_days(daemon, token, oracle):
    """Org and members, in all and day by day."""
    client = daemon.query()
    reply = client.ask({"v": 1, "token": token, "op": "leaderboard", "range": "90d", "tz": "UTC",
                        "limit": 1000})
    edges = reply["window"]["bin_edges_ms"]
    events = [event for _, event in oracle.requests()]
    groups = oracle.by_member(events)
    rows = [(reply["org"], events)] + [(row, groups[row["email"]]) for row in reply["members"]]
    assert len(rows) == len(groups) + 1
    for row, mine in rows:
        want = oracle.totals(mine)
        for name in SUMS + ("tokens", "sessions"):
            assert row[name] == want[name], (SEED, name, row.get("email"), row[name], want[name])
        assert row["spark"] == oracle.spark(mine, edges, "cost"), (SEED, row.get("email"))
    client.close()


def test_revisions_in_any_order():
    rng = random.Random(SEED + 20)
    goal, done, end = size(500, 10000), 0, deadline(0.2)
    with Daemon() as daemon:
        org = daemon.create_org()
        oracle = Oracle()
        while done < goal and time.monotonic() < end:
            batch = [revisions(rng, done + i) for i in range(min(500, goal - done))]
            push_all(daemon, org["gateway_token"], oracle, rng, weave(rng, batch))
            done += len(batch)
            if rng.random() < 0.3:
                daemon.kill()
                daemon.start()
        check_days(daemon, org["admin_token"], oracle)
        before = daemon.dump_derived()
        daemon.rebuild()
        assert daemon.dump_derived() == before, "seed %d: a rebuild moved a figure" % SEED
        assert daemon.verify()["differences"] == 0
        count("truth", rev_sequences=done)
