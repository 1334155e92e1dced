"""Exports: every row once, in order, of one snapshot; safe to open; cut streams are seen to be cut."""

import csv
import io
import json
import os
import random
import socket
import subprocess
import time
from decimal import Decimal

import campaign
from bridge import Bridge, read_all
from daemon import BUILD, Daemon, shifted
from sp import Refused, wait_for

NOW = int(time.time() * 1000)
HOUR = 3600000


def push(daemon, token, count, seed=0, **more):
    pick = random.Random(campaign.SEED + seed)
    sent = []
    for at in range(0, count, 1000):
        events = [{"id": "export-%d-%08d" % (seed, at + i), "ts": NOW - pick.randrange(20 * HOUR),
                   "email": "dev%d@acme.test" % pick.randrange(5), "agent": "codex", "model": "m",
                   "session": "s-%d" % pick.randrange(50), "input_tokens": pick.randrange(1000),
                   "output_tokens": 3, "cost_nusd": pick.randrange(10**10), **more}
                  for i in range(min(1000, count - at))]
        reply = daemon.ingest().ask({"v": 1, "token": token, "events": events})
        assert reply["accepted"] == len(events), reply
        daemon.wait_folded(reply["seq"])
        sent += events
    return sent


def export(bridge, token, **params):
    query = "&".join("%s=%s" % pair for pair in params.items())
    status, headers, body = bridge.ask("/api/v1/export?" + query, token)
    assert status == 200, (status, body)
    return headers, body.decode()


def test_rows_are_every_request_once_and_add_up():
    with Daemon() as daemon:
        org = daemon.create_org()
        sent = push(daemon, org["gateway_token"], 9000)
        with Bridge(daemon) as bridge:
            headers, text = export(bridge, org["admin_token"], range="24h", format="ndjson")
            assert headers["content-type"] == "application/x-ndjson", headers
            assert headers["transfer-encoding"] == "chunked", headers
            rows = [json.loads(line) for line in text.splitlines()]
            assert len(rows) == len({r["id"] for r in rows}) == len(sent)
            assert [(r["ts"], r["id"]) for r in rows] == sorted((r["ts"], r["id"]) for r in rows)
            total = bridge.get("/api/v1/series?range=24h", org["admin_token"])["total"]
            assert sum(Decimal(r["cost_usd"]) for r in rows) == Decimal(total)
            headers, text = export(bridge, org["admin_token"], range="24h")
            assert headers["content-type"] == "text/csv; charset=utf-8", headers
            assert "attachment" in headers["content-disposition"], headers
            table = list(csv.DictReader(io.StringIO(text)))
            assert [(int(r["ts"]), r["id"]) for r in table] == [(r["ts"], r["id"]) for r in rows]
            assert table[0]["email"].endswith("@acme.test") and table[0]["pr"] == "", table[0]
            assert sum(Decimal(r["cost_usd"]) for r in table) == Decimal(total)
            headers, text = export(bridge, org["admin_token"], range="24h", level="bins")
            bins = list(csv.DictReader(io.StringIO(text)))
            assert sum(int(r["requests"]) for r in bins) == len(sent)
            assert sum(Decimal(r["cost_usd"]) for r in bins) == Decimal(total)
            return "%d rows" % len(rows)


def test_clocks_that_run_ahead_are_in_order():
    # Two minutes before a quarter of an hour ends, so that stamps ahead are in the next one.
    now = NOW // 900000 * 900000 + 780000
    with Daemon(environment=shifted(now - int(time.time() * 1000))) as daemon:
        org = daemon.create_org()
        events = [{"id": "ahead-%06d" % i, "ts": now + (i * 7919) % 280000 - 20 * (i % 7) * 60000,
                   "email": "a@acme.test", "agent": "codex", "model": "m", "input_tokens": 1,
                   "output_tokens": 1} for i in range(600)]
        reply = daemon.ingest().ask({"v": 1, "token": org["gateway_token"], "events": events})
        assert reply["accepted"] == 600, reply
        daemon.wait_folded(reply["seq"])
        client, cursor, rows = daemon.query(), None, []
        while True:
            page = client.ask(dict({"v": 1, "token": org["admin_token"], "op": "export",
                                    "range": "24h", "limit": 37},
                                   **({"cursor": cursor} if cursor else {})))
            assert len(page["rows"]) <= 37
            rows += [row[0] for row in page["rows"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert rows == sorted(e["ts"] for e in events)
        assert rows[-1] // 900000 > now // 900000


def test_pages_are_of_one_snapshot():
    with Daemon() as daemon:
        org = daemon.create_org()
        sent = push(daemon, org["gateway_token"], 500)
        client = daemon.query()

        def ask(cursor=None, token=org["admin_token"], **more):
            request = {"v": 1, "token": token, "op": "export", "range": "24h", "limit": 100, **more}
            return client.ask(dict(request, **({"cursor": cursor} if cursor else {})))

        def refusal(*args, **more):
            try:
                ask(*args, **more)
            except Refused as refused:
                return refused.code
            raise AssertionError("answered")

        first = ask()
        push(daemon, org["gateway_token"], 500, seed=1)
        rows, page = list(first["rows"]), first
        while page["next_cursor"]:
            before, page = page["next_cursor"], ask(page["next_cursor"])
            rows += page["rows"]
            assert page["seq"] == first["seq"]
        assert len(rows) == len(sent)
        assert refusal(before) == "cursor_invalid"  # over
        for wrong in ("o5", "x", "x" * 67, before[:-1] + "g"):
            assert refusal(wrong) == "cursor_invalid", wrong
        # A cursor is its opener's.
        mine = ask()
        other = daemon.control().ask({"v": 1, "op": "token_create", "org": "acme",
                                      "type": "service", "name": "x"})["token"]
        assert refusal(mine["next_cursor"], token=other) == "cursor_invalid"
        assert refusal(token=org["gateway_token"]) == "forbidden"
        stranger = daemon.create_org("other")["admin_token"]
        assert refusal(mine["next_cursor"], token=stranger) == "cursor_invalid"
        assert ask(mine["next_cursor"])["rows"]
        # A few at a time.
        for _ in range(7):
            ask()
        assert refusal() == "overloaded"


def test_cells_are_safe_in_a_spreadsheet():
    with Daemon() as daemon:
        org = daemon.create_org()
        names = ["=HYPERLINK(1)", "+1", "-1", "@x", 'say "hi", all', "plain"]
        for i, name in enumerate(names):
            push(daemon, org["gateway_token"], 1, seed=i, model=name, session="cell-%d" % i)
        with Bridge(daemon) as bridge:
            text = export(bridge, org["admin_token"], range="24h")[1]
            assert sorted(row["model"] for row in csv.DictReader(io.StringIO(text))) == sorted(
                ("'" if name[0] in "=+-@" else "") + name for name in names)
            for line in text.splitlines():
                assert not any(cell[:1] in "=+-@" for cell in line.split(",") if cell), line
            text = export(bridge, org["admin_token"], range="24h", format="ndjson")[1]
            assert {json.loads(line)["model"] for line in text.splitlines()} == set(names)


def test_the_command_line_writes_the_same():
    with Daemon() as daemon:
        org = daemon.create_org()
        push(daemon, org["gateway_token"], 9000)
        out = os.path.join(daemon.directory, "rows.csv")

        def tally(*options):
            return subprocess.run([os.path.join(BUILD, "tally"), "export", "--data",
                                   daemon.directory, "--range", "24h", *options],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with Bridge(daemon) as bridge:
            for more, params in (((), {}), (("--format", "ndjson"), {"format": "ndjson"}),
                                 (("--level", "bins"), {"level": "bins"})):
                done = tally(*more)
                assert done.returncode == 0 and not done.stderr, done.stderr
                text = export(bridge, org["admin_token"], range="24h", **params)[1]
                assert done.stdout.decode() == text, more
            done = tally("--out", out)
            assert (done.returncode, done.stdout) == (0, b""), done
            assert b"9000 rows in " in done.stderr, done.stderr
            with open(out) as file:
                assert file.read() == export(bridge, org["admin_token"], range="24h")[1]
        for wrong in (("--token", org["gateway_token"]), ("--level", "x"), ("--format", "x")):
            done = tally("--out", out + "2", *wrong)
            assert done.returncode != 0 and done.stderr, wrong
            assert not [name for name in os.listdir(daemon.directory) if name.startswith("rows.csv2")]


def test_who_may_not_and_what_is_wrong():
    with Daemon() as daemon:
        org = daemon.create_org()
        made = daemon.control().ask({"v": 1, "op": "invite", "org": "acme",
                                     "email": "ada@acme.test", "role": "member"})
        assert made["ok"]
        with Bridge(daemon) as bridge:
            for token, params, status, code in (
                    ("", "", 401, "unauthenticated"),
                    (org["gateway_token"], "", 403, "forbidden"),
                    (org["admin_token"], "format=xml", 400, "bad_param"),
                    (org["admin_token"], "level=all", 400, "bad_param"),
                    (org["admin_token"], "cursor=x", 400, "bad_param"),
                    (org["admin_token"], "range=1d", 400, "bad_param")):
                error = bridge.get("/api/v1/export?" + params, token, status)["error"]
                assert error["code"] == code, (params, error)
            headers, text = export(bridge, org["admin_token"])
            assert text.count("\n") == 1 and text.startswith("ts,id,member_id,email,agent"), text


def begin(bridge, token):
    """An export to a peer that reads nothing but its first bytes: more than sockets hold."""
    sock = socket.socket()
    sock.settimeout(30)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", bridge.port))
    sock.sendall(("GET /api/v1/export?range=24h&format=ndjson HTTP/1.1\r\nHost: localhost\r\n"
                  "Authorization: Bearer %s\r\n\r\n" % token).encode())
    return sock, sock.recv(1000)


def test_a_cut_export_is_seen_to_be_cut():
    with Daemon() as daemon:
        org = daemon.create_org()
        sent = push(daemon, org["gateway_token"], 12000)
        with Bridge(daemon) as bridge:
            service = daemon.control().ask({"v": 1, "op": "token_create", "org": "acme",
                                            "type": "service", "name": "once"})
            sock, heard = begin(bridge, service["token"])
            assert heard.startswith(b"HTTP/1.1 200 "), heard
            # Nothing is read meanwhile, so the export waits; then it may not go on.
            daemon.control().ask({"v": 1, "op": "token_revoke", "org": "acme",
                                  "token_id": service["token_id"]})
            heard += read_all(sock)
            sock.close()
            assert not heard.endswith(b"0\r\n\r\n"), heard[-100:]
            assert heard.count(b"\n{") < len(sent), len(heard)
            assert export(bridge, org["admin_token"], range="24h")[1].count("\n") == 12001


def test_a_peer_that_leaves_frees_its_place():
    with Daemon() as daemon:
        org = daemon.create_org()
        push(daemon, org["gateway_token"], 12000)
        with Bridge(daemon) as bridge:
            held = [begin(bridge, org["admin_token"]) for _ in range(4)]
            assert all(heard.startswith(b"HTTP/1.1 200 ") for _, heard in held), held
            error = bridge.get("/api/v1/export", org["admin_token"], 503)["error"]
            assert error["code"] == "overloaded", error
            for sock, _ in held:
                sock.close()
            wait_for(lambda: bridge.ask("/api/v1/export", org["admin_token"])[0] == 200, "a place")
            held = begin(bridge, org["admin_token"])
        # The block's end stopped the bridge with an export under way.
        held[0].close()
