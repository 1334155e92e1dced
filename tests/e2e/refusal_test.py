"""Bad input over nng: each code has an input that triggers it, siblings of a bad event are stored,
and frames that lie or bomb neither crash the daemon nor make it grow."""

import os
import re
import socket
import struct
import time

import msgpack

from daemon import Daemon
from sp import Refused, Req, wait_for

NOW = int(time.time() * 1000)
DAY = 86400 * 1000
counter = [0]


def event(**fields):
    counter[0] += 1
    made = {"id": "event-%08d" % counter[0], "ts": NOW - 1000, "model": "m", "input_tokens": 1,
            "output_tokens": 2}
    made.update(fields)
    return {name: value for name, value in made.items() if value is not ...}


def link(**fields):
    made = event(kind="link", session="s", model=..., input_tokens=..., output_tokens=...)
    made.update(fields)
    return made


# (code, field, the event). One reject each; a good sibling goes with every one.
EVENTS = [
    ("event_not_map", None, 7),
    ("event_not_map", None, ["a"]),
    ("field_missing", "id", event(id=...)),
    ("field_missing", "ts", event(ts=...)),
    ("field_missing", "model", event(model=...)),
    ("field_missing", "input_tokens", event(input_tokens=...)),
    ("field_missing", "output_tokens", event(output_tokens=None)),
    ("field_missing", "session", link(session=None, op="set_name", value="x")),
    ("field_missing", "value", link(op="set_name")),
    ("field_type", "ts", event(ts="yesterday")),
    ("field_type", "model", event(model=5)),
    ("field_type", "input_tokens", event(input_tokens=1.5)),
    ("field_type", "kind", event(kind="dance")),
    ("field_type", "session", event(session=b"bytes")),
    ("field_unknown", "flavour", event(flavour="mint")),
    ("event_too_large", None, event(x_padding="p" * 9000)),
    ("id_invalid", "id", event(id=b"\0" * 16)),
    ("id_invalid", "id", event(id=b"\xff" * 16)),
    ("id_invalid", "id", event(id="short")),
    ("id_invalid", "id", event(id="undefined")),
    ("id_invalid", "id", event(id="x" * 65)),
    ("id_invalid", "id", event(id=b"not 16 bytes")),
    ("time_too_old", "ts", event(ts=NOW - 36 * DAY)),
    ("time_in_future", "ts", event(ts=NOW + 10 * 60000)),
    ("time_invalid", "ts", event(ts=0)),
    ("time_invalid", "ts", event(ts=-5)),
    ("time_invalid", "ts", event(ts=NOW // 1000)),
    ("time_invalid", "ts", event(ts=2 ** 53 + 1)),
    ("amount_not_integer", "cost_nusd", event(cost_nusd=0.5)),
    ("amount_not_integer", "cost_nusd", event(cost_nusd="1.00")),
    ("amount_not_integer", "cost_nusd", event(cost_nusd=float("nan"))),
    ("amount_negative", "cost_nusd", event(cost_nusd=-1)),
    ("amount_too_large", "cost_nusd", event(cost_nusd=10 ** 15 + 1)),
    ("amount_negative", "saved_nusd", event(saved_nusd=-1)),
    ("tokens_negative", "input_tokens", event(input_tokens=-1)),
    ("tokens_too_large", "cache_read_tokens", event(cache_read_tokens=10 ** 10 + 1)),
    ("tokens_inconsistent", "reasoning_tokens", event(output_tokens=5, reasoning_tokens=6)),
    ("key_unknown", "key", event(key="tally_ca_zzzzzzzz")),
    ("string_too_long", "model", event(model="m" * 129)),
    ("string_too_long", "session", event(session="s" * 65)),
    ("string_not_utf8", "model", "RAW-UTF8"),
    ("string_control", "model", event(model="a\nb")),
    ("repo_invalid", "value", link(op="set_repo", value="not a repo")),
    ("pr_invalid", "value", link(op="add_pr", value="#x")),
    ("commit_invalid", "value", link(op="add_commit", value="xyz")),
]


def encode(one):
    if one == "RAW-UTF8":
        good = msgpack.packb(event(model="QQ"))
        return good.replace(b"\xa2QQ", b"\xa2\xff\xfe")
    return msgpack.packb(one)


def frame(token, encoded):
    """A batch of already encoded events."""
    return (b"\x83" + msgpack.packb("v") + b"\x01" + msgpack.packb("token")
            + msgpack.packb(token) + msgpack.packb("events")
            + b"\xdd" + struct.pack(">I", len(encoded)) + b"".join(encoded))


def code_of(client, body):
    reply = msgpack.unpackb(client.raw(body))
    return reply["error"]["code"] if reply.get("ok") is False else None


def test_each_event_code_and_its_siblings():
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        for code, field, bad in EVENTS:
            body = frame(org["gateway_token"], [encode(event()), encode(bad), encode(event())])
            reply = msgpack.unpackb(client.raw(body))
            where = (code, field, bad if not isinstance(bad, dict) else {
                k: str(v)[:40] for k, v in bad.items()}, reply)
            assert reply.get("error") is None, where
            assert (reply["accepted"], reply["rejected"]) == (2, 1), where
            error = reply["errors"][0]
            assert (error["i"], error["code"]) == (1, code), where
            assert field is None or field in (error.get("field"), error.get("got")), where
        # A whole batch of bad ones, each index named.
        bad = [encode(bad) for _, _, bad in EVENTS]
        reply = msgpack.unpackb(client.raw(frame(org["gateway_token"], bad)))
        assert [e["i"] for e in reply["errors"]] == list(range(len(EVENTS)))
        assert [e["code"] for e in reply["errors"]] == [code for code, _, _ in EVENTS]
        assert reply["accepted"] == 0
        duplicate = b"\x86" + encode(event())[1:] + msgpack.packb("model") + msgpack.packb("n")
        reply = msgpack.unpackb(client.raw(frame(org["gateway_token"], [duplicate])))
        assert reply["errors"][0]["code"] == "field_duplicate", reply
        counts = reconcile(daemon, org["admin_token"])
        assert counts["received"] == counts["accepted"] + counts["rejected"], counts
        assert daemon.verify()["differences"] == 0


def reconcile(daemon, token):
    client = daemon.query()
    days = client.ask({"v": 1, "token": token, "op": "reconcile", "range": "24h"})["rows"]
    client.close()
    return {key: sum(day[key] for day in days) for key in (
        "received", "accepted", "duplicate", "replaced", "conflict", "rejected", "late",
        "unpriced")}


def test_limits_are_taken_and_one_past_is_not():
    with Daemon() as daemon:
        token = daemon.create_org()["gateway_token"]
        client = daemon.ingest()
        for field, limit, make in (
                ("model", 128, lambda n: "m" * n), ("session", 64, lambda n: "s" * n),
                ("input_tokens", 10 ** 10, lambda n: n), ("cost_nusd", 10 ** 15, lambda n: n),
                ("id", 64, lambda n: ("i%d" % counter[0]).ljust(n, "x"))):
            for over in (-1, 0, 1):
                one = event(**{field: make(limit + over)})
                if field == "id":
                    one["id"] = ("i%d-" % counter[0]).ljust(limit + over, "x")
                reply = client.ask({"v": 1, "token": token, "events": [one]})
                assert reply["accepted"] == (over <= 0), (field, over, reply)
        reply = client.ask({"v": 1, "token": token, "events": [event() for _ in range(1000)]})
        assert reply["accepted"] == 1000
        # The window's edges, by the daemon's own clock.
        for ts, verdict in ((NOW - 35 * DAY + 60000, 1), (NOW - 35 * DAY - 60000, 0)):
            assert client.ask({"v": 1, "token": token,
                               "events": [event(ts=ts)]})["accepted"] == verdict


def test_tags_that_are_wrong_leave_the_spend():
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        reply = client.ask({"v": 1, "token": org["gateway_token"], "events": [
            event(repo="no repo at all", cost_nusd=5), event(repo="acme/api", pr=-3, cost_nusd=7),
            event(commit="zz", cost_nusd=11)]})
        assert (reply["accepted"], reply["rejected"]) == (3, 0), reply
        daemon.wait_folded(reply["seq"])
        top = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard"})
        assert top["org"]["cost_nusd"] == 23


def test_each_batch_code():
    with Daemon() as daemon:
        org = daemon.create_org()
        other = daemon.create_org("other")
        token = org["gateway_token"]
        client = daemon.ingest()
        good = {"v": 1, "token": token, "events": [event()]}
        pack = msgpack.packb
        cases = [
            ("frame_malformed", b""),
            ("frame_malformed", b"\xc1"),
            ("frame_malformed", b"\xdd\x0f\xff\xff\xff"),
            ("frame_malformed", pack(good)[:-1]),
            ("frame_malformed", pack(good) + b"\0"),
            ("frame_malformed", pack([1, 2])),
            ("frame_malformed", b"\x78\x9cgarbage"),
            ("too_deep", b"\x91" * 5000 + b"\x01"),
            ("too_deep", pack(dict(good, events=[event(x_deep=[[[[1]]]])]))),
            ("batch_empty", pack(dict(good, events=[]))),
            ("too_many_events", pack(dict(good, events=[event() for _ in range(1001)]))),
            ("version_unsupported", pack(dict(good, v=99))),
            ("unauthenticated", pack(dict(good, token="nobody"))),
            ("unauthenticated", pack(dict(good, token=token[:-1] + "0"))),
            ("forbidden", pack(dict(good, token=org["admin_token"]))),
            ("field_missing", pack({"v": 1, "events": [event()]})),
            ("field_unknown", pack({"v": 1, "token": token,
                                    "fields": ["id", "flavour"], "rows": [[1, 2]]})),
            ("frame_too_large", pack(dict(good, x_pad=b"p" * (1 << 20)))),
        ]
        for code, body in cases:
            got = code_of(client, body)
            assert got == code, (code, got, body[:60])
        assert client.ask(good)["accepted"] == 1
        # Nobody reaches another org with a key of its own.
        control = daemon.control()
        made = control.ask({"v": 1, "op": "agent_create", "org": "other",
                            "email": "eve@other.test", "type": "codex"})
        # ... nor learns that there is such a key.
        foreign = client.ask({"v": 1, "token": token, "events": [event(key=made["agent_id"])]})
        nobody = client.ask({"v": 1, "token": token, "events": [event(key="tally_cx_zzzzzzzz")]})
        for reply in (foreign, nobody):
            assert set(reply["errors"][0]) == {"i", "id", "code", "field", "got"}, reply
            assert reply["errors"][0]["code"] == "key_unknown", reply
        every = control.ask({"v": 1, "op": "token_create", "org": "acme", "type": "gateway",
                             "name": "all", "all_orgs": True})["token"]
        reply = client.ask({"v": 1, "token": every, "events": [
            event(), event(key="tally_ca_zzzzzzzz"), event(key=made["agent_id"])]})
        assert [e["code"] for e in reply["errors"]] == ["org_unknown", "org_unknown"], reply
        assert reply["accepted"] == 1
        control.ask({"v": 1, "op": "agent_delete", "org": "other", "agent": made["agent_id"],
                     "confirm": made["agent_id"]})
        later = int(time.time() * 1000) + 1000
        reply = client.ask({"v": 1, "token": every, "events": [
            event(key=made["agent_id"], ts=later), event(key=made["agent_id"], ts=NOW - DAY)]})
        assert [e["code"] for e in reply["errors"]] == ["key_revoked"], reply
        assert reply["accepted"] == 1  # usage dated before the revocation is still taken
        revoked = control.ask({"v": 1, "op": "token_create", "org": "acme", "type": "gateway",
                               "name": "soon gone"})
        control.ask({"v": 1, "op": "token_revoke", "org": "acme",
                     "token_id": revoked["token_id"]})
        assert code_of(client, pack(dict(good, token=revoked["token"]))) == "unauthenticated"
        assert other


def test_same_id_other_content_names_the_field():
    with Daemon() as daemon:
        token = daemon.create_org()["gateway_token"]
        client = daemon.ingest()
        base = event(email="a@acme.test", agent="codex", session="s1", provider="p", cost_nusd=5,
                     cache_read_tokens=1, cache_write_tokens=9, cache_write_1h_tokens=1,
                     output_tokens=50, reasoning_tokens=1, saved_tokens=1, saved_nusd=1,
                     status=200, duration_ms=10, repo="acme/api", pr=1, branch="b",
                     commit="abcdef0", billing="api", tags=["x"])
        assert client.ask({"v": 1, "token": token, "events": [base]})["accepted"] == 1
        changes = dict(ts=NOW - 2000, session="s2", provider="q", model="n", input_tokens=2,
                       output_tokens=51, cache_read_tokens=2, cache_write_tokens=10,
                       cache_write_1h_tokens=2, reasoning_tokens=2, cost_nusd=6, saved_tokens=2,
                       saved_nusd=2, status=500, duration_ms=11, repo="acme/web", pr=2,
                       branch="c", commit="abcdef1", billing="plan", tags=["y"],
                       email="b@acme.test", agent="claude_code")
        for name, value in changes.items():
            reply = client.ask({"v": 1, "token": token, "events": [dict(base, **{name: value})]})
            assert reply["rejected"] == 1, (name, reply)
            error = reply["errors"][0]
            assert error["code"] == "id_conflict", (name, reply)
            if name != "email":
                assert error["field"] == name, (name, reply)
        reply = client.ask({"v": 1, "token": token, "events": [base]})
        assert reply["duplicate"] == 1
        assert daemon.verify()["differences"] == 0


def rss_kib(daemon):
    with open("/proc/%d/status" % daemon.process.pid) as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def test_lying_and_half_sent_frames_cost_nothing():
    with Daemon() as daemon:
        token = daemon.create_org()["gateway_token"]
        client = daemon.ingest()
        client.ask({"v": 1, "token": token, "events": [event()]})
        before = rss_kib(daemon)
        for claim in (b"\xdd\x10\0\0\0", b"\xdf\x7f\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
                      b"\xdb\xff\xff\xff\xff", b"\x81\xa1v\xdd\xff\xff\xff\xff"):
            for _ in range(200):
                assert code_of(client, claim) == "frame_malformed"
        for depth in (6, 100, 100000, 1000000):
            assert code_of(client, b"\x91" * depth) in ("too_deep", "frame_malformed")
            assert code_of(client, b"\x81\xa1a" * min(depth, 300000)) in (
                "too_deep", "frame_malformed")
        half = []
        path = daemon.address("ingest")[len("ipc://"):]
        for size in [1 << 19] * 100 + [(1 << 62), (1 << 40)] * 20:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(path)
            sock.sendall(b"\0SP\0\0\x30\0\0")
            try:
                sock.recv(8)
                sock.sendall(b"\x01" + struct.pack(">Q", size) + b"\x80\0\0\1abc")
            except OSError:
                pass
            half.append(sock)
        # Honest work goes on beside them.
        for _ in range(50):
            assert client.ask({"v": 1, "token": token, "events": [event()]})["accepted"] == 1
        grown = rss_kib(daemon) - before
        assert grown < 120 * 1024, "the daemon grew by %d KiB" % grown
        for sock in half:
            sock.close()
        assert daemon.process.poll() is None
        # A frame of the transport's limit is dropped by the transport: ask on a new connection.
        try:
            Req(daemon.address("ingest"), timeout_s=2).raw(b"\x80" * (3 << 20))
        except OSError:
            pass
        assert client.ask({"v": 1, "token": token, "events": [event()]})["accepted"] == 1


def test_wrong_queries_are_named():
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.query()
        for params, code in (
                ({"op": "nothing"}, "bad_param"),
                ({"op": "leaderboard", "range": "8d"}, "bad_param"),
                ({"op": "leaderboard", "tz": "Mars/Olympus"}, "bad_param"),
                ({"op": "leaderboard", "tz": "../../etc/passwd"}, "bad_param"),
                ({"op": "leaderboard", "metric": "fame"}, "bad_param"),
                ({"op": "leaderboard", "limit": 0}, "bad_param"),
                ({"op": "leaderboard", "limit": 1001}, "bad_param"),
                ({"op": "leaderboard", "flavour": 1}, "bad_param"),
                ({"op": "leaderboard", "range": "custom", "from": 5, "to": 5}, "range_invalid"),
                ({"op": "leaderboard", "range": "custom", "from": NOW - 500 * DAY, "to": NOW},
                 "range_too_long"),
                ({"op": "leaderboard", "cursor": "zzz"}, "cursor_invalid"),
                ({"op": "session", "session": "none"}, "not_found"),
                ({"op": "series", "scope": "member:" + "0" * 32}, "not_found")):
            try:
                reply = client.ask(dict({"v": 1, "token": org["admin_token"]}, **params))
                raise AssertionError("%r was answered: %r" % (params, reply))
            except Refused as refused:
                assert refused.code == code, (params, refused.code, refused)
