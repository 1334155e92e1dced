"""The figures over HTTP: the same as over nng, in the forms a client asks for, and nobody else's."""

import gzip
import json
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from decimal import Decimal

import msgpack

import campaign
import schema
from bridge import Bridge, read_all
from daemon import BUILD, Daemon
from sp import wait_for

NOW = int(time.time() * 1000)
DAY = 86400000


def push(daemon, token, count=60, people=8):
    """Some usage; returns when it is in the figures."""
    pick = random.Random(campaign.SEED + count)
    events = [{"id": "http-%06d-%d" % (i, pick.getrandbits(30)), "ts": NOW - pick.randrange(6 * DAY),
               "email": "dev%d@acme.test" % pick.randrange(people), "agent": "codex",
               "model": "m%d" % pick.randrange(3), "session": "s-%d" % pick.randrange(9),
               "repo": "acme/api", "pr": 1 + pick.randrange(3), "input_tokens": 1000,
               "output_tokens": 10, "cost_nusd": pick.randrange(10**10), "duration_ms": 12}
              for i in range(count)]
    reply = daemon.ingest().ask({"v": 1, "token": token, "events": events})
    assert reply["accepted"] == count, reply
    daemon.wait_folded(reply["seq"])


# path, op, parameters over nng
FIGURES = [
    ("/leaderboard", "leaderboard", {}),
    ("/leaderboard?range=30d&metric=tokens&tokens=uncached&limit=3&tz=Asia%2FKolkata",
     "leaderboard", {"range": "30d", "metric": "tokens", "tokens": "uncached", "limit": 3,
                     "tz": "Asia/Kolkata"}),
    ("/leaderboard?limit=3&cursor=o3", "leaderboard", {"limit": 3, "cursor": "o3"}),
    ("/leaderboard?from=%d&to=2100-01-01T00:00:00Z&member=" % (NOW - DAY), None, None),
    ("/dashboard", "dashboard", {}),
    ("/dashboard?range=90d&metric=requests&limit=2", "dashboard",
     {"range": "90d", "metric": "requests", "limit": 2}),
    ("/series?scope=org", "series", {"scope": "org"}),
    ("/series?scope=pr:github.com/acme/api%232&split=1&range=24h", "series",
     {"scope": "pr:github.com/acme/api#2", "split": True, "range": "24h"}),
    ("/repos/top", "top_repos", {}),
    ("/repos?range=90d", "repos", {"range": "90d"}),
    ("/pulls", "pulls", {}),
    ("/models?metric=requests", "models", {"metric": "requests"}),
    ("/sessions?q=s-1", "sessions", {"q": "s-1"}),
    ("/sessions/s-1?limit=2", "session", {"session": "s-1", "limit": 2}),
    ("/team", "team", {}),
    ("/reconcile", "reconcile", {}),
    ("/explain?scope=org&limit=5", "explain", {"scope": "org", "limit": 5}),
]


def still(reply):
    """Without what time alone changes."""
    return {k: v for k, v in reply.items() if k not in ("as_of_ms", "seq", "v", "ok")}


def as_json(value, metric, key="", inherited=False):
    """What a msgpack reply is as JSON, said a second time."""
    money = key.endswith("_nusd") or inherited or (
        metric == "cost" and key in ("value", "prev_value", "total", "spark", "bars"))
    if isinstance(value, dict):
        return {re.sub("_nusd$", "_usd", k): as_json(v, metric, k) for k, v in value.items()}
    if isinstance(value, list):
        return [as_json(v, metric, "", money) for v in value]
    if money and isinstance(value, int):
        text = "%d.%09d" % divmod(abs(value), 10**9)
        text = re.sub(r"0{0,7}$", "", text)
        return ("-" if value < 0 else "") + text
    return value


def test_every_figure_is_the_one_nng_gives():
    with Daemon() as daemon:
        org = daemon.create_org(github_connected=True)
        push(daemon, org["gateway_token"])
        client = daemon.query()
        with Bridge(daemon) as bridge:
            for path, op, params in FIGURES:
                if op is None:
                    error = bridge.get("/api/v1" + path, org["admin_token"], 400)["error"]
                    assert (error["code"], error["field"]) == ("bad_param", "member"), error
                    continue
                wanted = client.ask(dict({"v": 1, "token": org["admin_token"], "op": op}, **params))
                status, headers, body = bridge.ask("/api/v1" + path, org["admin_token"],
                                                   Accept="application/msgpack")
                assert (status, headers["content-type"]) == (200, "application/msgpack"), path
                packed = msgpack.unpackb(body)
                assert still(packed) == still(wanted), path
                spelt = bridge.get("/api/v1" + path, org["admin_token"])
                assert still(spelt) == still(as_json(wanted, wanted.get("metric"))), path
            team = bridge.get("/api/v1/team", org["admin_token"])
            assert list(team) == ["members", "seats", "used"], team
            total = bridge.get("/api/v1/series", org["admin_token"])
            assert sum(map(Decimal, total["bars"])) == Decimal(total["total"])


def test_replies_are_as_the_document_says():
    with Daemon() as daemon:
        org = daemon.create_org(github_connected=True)
        push(daemon, org["gateway_token"])
        made = daemon.control().ask({"v": 1, "op": "agent_create", "org": "acme",
                                     "email": "ada@acme.test", "type": "codex"})
        with Bridge(daemon) as bridge:
            document = bridge.get("/api/v1/openapi.json")
            asked = set()
            for path, op, _ in FIGURES:
                plain = "/api/v1" + path.split("?")[0].replace("/s-1", "/{id}")
                entry = document["paths"][plain]["get"]
                if op is None:
                    continue
                asked.add(plain)
                for name in urllib.parse.parse_qs(path.partition("?")[2]):
                    assert name in [p["name"] for p in entry["parameters"]], (path, name)
                wanted = entry["responses"]["200"]["content"]["application/json"]["schema"]
                schema.check(document, wanted, bridge.get("/api/v1" + path, org["admin_token"]))
            resolved = bridge.get("/api/v1/keys/resolve", org["gateway_token"],
                                  X_Tally_Key=made["token"])
            schema.check(document, {"$ref": "#/components/schemas/Key"}, resolved)
            error = bridge.get("/api/v1/team", "", 401)
            schema.check(document, {"$ref": "#/components/schemas/Error"}, error)
            reads = {path for path, entry in document["paths"].items() if "get" in entry
                     and entry["get"]["tags"] not in (["admin"], ["session"])}
            asked |= {"/api/v1/live", "/api/v1/export", "/api/v1/keys/resolve", "/api/v1/openapi.json", "/livez", "/readyz"}
            assert reads <= asked, reads - asked
            ids = [o["operationId"] for e in document["paths"].values() for o in e.values()]
            assert len(ids) == len(set(ids)), ids


def test_the_document_has_every_route_and_no_other():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        document = bridge.get("/api/v1/openapi.json")
        assert len(document["paths"]) >= 15
        for path, entry in document["paths"].items():
            # The server itself says which methods a path has.
            status, headers, _ = bridge.ask(re.sub("{.*?}", "x", path), method="PUT")
            assert status == 405, (path, status)
            allowed = set(headers["allow"].split(", ")) - {"HEAD"}
            assert allowed == {method.upper() for method in entry}, (path, allowed)
        for path in ("/api", "/api/v1", "/api/v1/", "/api/v1/leaderboard/", "/api/v2/team",
                     "/api/v1/sessions/", "/livez/x"):
            assert bridge.get(path, "", 404)["error"]["code"] == "not_found", path


def test_refusals_have_one_shape():
    with Daemon() as daemon:
        org = daemon.create_org()
        with Bridge(daemon) as bridge:
            admin, gateway = org["admin_token"], org["gateway_token"]
            for path, token, method, status, code in (
                    ("/api/v1/team", "", "GET", 401, "unauthenticated"),
                    ("/api/v1/team", "nobody", "GET", 401, "unauthenticated"),
                    ("/api/v1/team", gateway, "GET", 403, "forbidden"),
                    ("/api/v1/sessions/none", admin, "GET", 404, "not_found"),
                    ("/api/v1/nothing", admin, "GET", 404, "not_found"),
                    ("/api/v1/team", admin, "DELETE", 405, "bad_method"),
                    ("/api/v1/team?flavour=1", admin, "GET", 400, "bad_param"),
                    ("/api/v1/team?token=x", admin, "GET", 400, "bad_param"),
                    ("/api/v1/team?have=x", admin, "GET", 400, "bad_param"),
                    ("/api/v1/leaderboard?op=team", admin, "GET", 400, "bad_param"),
                    ("/api/v1/leaderboard?range=8d", admin, "GET", 400, "bad_param"),
                    ("/api/v1/leaderboard?range=7d&range=24h", admin, "GET", 400, "bad_param"),
                    ("/api/v1/leaderboard?cursor=zz", admin, "GET", 400, "cursor_invalid"),
                    ("/api/v1/leaderboard?from=5&to=5", admin, "GET", 400, "range_invalid"),
                    ("/api/v1/sessions/%zz", admin, "GET", 400, "bad_param"),
                    ("/api/v1/sessions/%00", admin, "GET", 400, "bad_param"),
                    ("/api/v1/team?x=" + "a" * 4100, admin, "GET", 414, "uri_too_long")):
                got, headers, body = bridge.ask(path, token, method)
                error = json.loads(body)["error"]
                assert (got, error["code"]) == (status, code), (path, got, body)
                assert error["request_id"] == headers["x-request-id"], (error, headers)
                assert headers["cache-control"] == "no-store", headers
                assert headers["x-content-type-options"] == "nosniff", headers
                assert "default-src 'none'" in headers["content-security-policy"], headers
                assert "access-control-allow-origin" not in headers, headers
                packed = msgpack.unpackb(bridge.ask(path, token, method,
                                                    Accept="application/msgpack")[2])
                assert packed["error"]["code"] == code, packed


def test_unchanged_figures_are_not_sent_again():
    with Daemon() as daemon:
        org = daemon.create_org()
        push(daemon, org["gateway_token"])
        other = daemon.create_org("other")
        service = daemon.control().ask({"v": 1, "op": "token_create", "org": "acme",
                                        "type": "service", "name": "grafana"})
        with Bridge(daemon) as bridge:
            path = "/api/v1/leaderboard?range=30d"

            def ask(token=org["admin_token"], etag="", **headers):
                if etag:
                    headers["If_None_Match"] = etag
                return bridge.ask(path, token, **headers)

            def same_count():
                return daemon.control().ask({"v": 1, "op": "stats"})["query_same"]

            # The bridge's own copy, while a client asks again and again.
            before, first = same_count(), ask()[2]
            wait_for(lambda: ask() and same_count() > before, "a body to be served again")
            _, headers, body = ask()
            assert still(json.loads(body)) == still(json.loads(first))
            # The client's copy.
            etag = headers["etag"]
            status, headers, body = ask(etag=etag)
            assert (status, body, headers["etag"]) == (304, b"", etag)
            assert ask(etag=etag, Accept="application/msgpack")[0] == 200  # another form
            assert ask(etag='"%s' % etag[3:])[0] == 200  # not ours
            assert bridge.ask("/api/v1/repos?range=30d", org["admin_token"],
                              If_None_Match=etag)[0] == 200  # another question
            # Nobody else's, and nobody's who lost the right.
            assert ask(other["admin_token"], etag)[0] == 200
            assert json.loads(ask(other["admin_token"], etag)[2])["org"]["requests"] == 0
            assert ask("nobody", etag)[0] == 401
            etag = ask(service["token"])[1]["etag"]
            assert ask(service["token"], etag)[0] == 304
            daemon.control().ask({"v": 1, "op": "token_revoke", "org": "acme",
                                  "token_id": service["token_id"]})
            assert ask(service["token"], etag)[0] == 401
            assert ask(service["token"])[0] == 401
            # What changed is sent.
            etag = ask()[1]["etag"]
            push(daemon, org["gateway_token"], count=1)
            status, _, body = ask(etag=etag)
            assert (status, json.loads(body)["org"]["requests"]) == (200, 61)
            etag = ask()[1]["etag"]
            daemon.stop()
            daemon.start()
            daemon.wait_folded(61)
            wait_for(lambda: ask()[0] == 200, "the bridge to find tallyd again")
            assert ask(etag=etag)[0] == 200  # a mark of another life is worth nothing


def test_gzip_head_and_forms():
    with Daemon() as daemon:
        org = daemon.create_org()
        push(daemon, org["gateway_token"])
        with Bridge(daemon) as bridge:
            token, path = org["admin_token"], "/api/v1/leaderboard"
            status, headers, body = bridge.ask(path, token, Accept_Encoding="br, gzip")
            assert headers["content-encoding"] == "gzip" and "Accept-Encoding" in headers["vary"]
            assert "members" in json.loads(gzip.decompress(body))
            for refused in ("", "gzip;q=0", "identity"):
                assert "content-encoding" not in bridge.ask(path, token,
                                                            Accept_Encoding=refused)[1]
            status, headers, body = bridge.ask(path, token, "HEAD")
            assert (status, body) == (200, b"") and int(headers["content-length"]) > 1000
            assert bridge.ask("/livez", method="HEAD")[0] == 200
            assert bridge.get("/readyz") == {"v": 1, "ok": True}
            daemon.stop()
            assert bridge.get("/livez") == {"v": 1, "ok": True}
            daemon.start()
            wait_for(lambda: bridge.ask("/readyz")[0] == 200, "readiness")


def head(*lines, start="POST /api/v1/team HTTP/1.1"):
    return ("\r\n".join((start, "Host: localhost") + lines) + "\r\n\r\n").encode("latin-1")


SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

AMBIGUOUS = [
    head("Content-Length: 5", "Content-Length: 5") + b"hello",
    head("Content-Length: 0", "Content-Length: 63"),
    head("Content-Length: 5, 5") + b"hello",
    head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    head("Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
    head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    head("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + b"0\r\n\r\n",
    head("Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    head("Transfer-Encoding : chunked") + b"0\r\n\r\n",
    head("Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n",
    head("Content-Length : 63"),
    head("Content-Length: +63"),
    head("Content-Length: 0x3f"),
    head("Content-Length: -1"),
    head("Content-Length:"),
    head("X: a", " folded: b"),
    head("X: a", "\tContent-Length: 63"),
    head("X: a\rContent-Length: 63"),
    head("X: a\x01b"),
    head("X Y: a"),
    head("Host: localhost"),
    head("Host: evil.example", start="GET /livez HTTP/1.1").replace(b"Host: localhost\r\n", b""),
    b"GET /livez HTTP/1.1\r\n\r\n",
    b"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


def test_ambiguous_requests_end_the_connection():
    """Whatever follows an ambiguous request must not be taken for a request of its own."""
    with Daemon() as daemon, Bridge(daemon) as bridge:
        for request in AMBIGUOUS:
            heard = bridge.raw(request + SMUGGLED)
            assert heard.startswith(b"HTTP/1.1 400 "), (request, heard[:200])
            # (The library says its own refusals twice.)
            assert heard.count(b"HTTP/1.1 ") == heard.count(b"HTTP/1.1 400 "), (request, heard)
            assert b"Connection: close" in heard or b"connection: close" in heard, (request, heard)
            assert heard.count(b"X-Request-Id") <= 1, (request, heard)
        for request in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\0" * 100 + b"\r\n\r\n",
                        b"GET\r\n\r\n", b"GET /livez\r\n\r\n" + b"GET /livez HTTP/9.9\r\n\r\n",
                        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
                        head("Transfer-Encoding: chunked", start="POST /livez HTTP/1.1")
                        + b"fffffffffffffffff\r\n" + SMUGGLED):
            with bridge.dial() as sock:
                sock.sendall(request)
                sock.shutdown(socket.SHUT_WR)
                heard = read_all(sock)
            assert heard.count(b"HTTP/1.1 200") <= 1, (request, heard)
        assert bridge.get("/livez")["ok"]


def test_limits_of_the_head():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        start = "GET /livez HTTP/1.1"

        def status(request):
            return int(bridge.raw(request).split()[1])

        close = "Connection: close"
        assert status(head(close, *["X-%d: y" % i for i in range(62)], start=start)) == 200
        assert status(head(close, *["X-%d: y" % i for i in range(63)], start=start)) == 431
        room = 16384 - len(head(close, "X: ", start=start))
        assert status(head(close, "X: " + "y" * room, start=start)) == 200
        assert status(head(close, "X: " + "y" * (room + 1), start=start)) == 431
        assert status(head(close, "X: " + "y" * 100000, start=start)) == 431
        target = "/livez?x=" + "a" * (4096 - 9)
        assert status(head(close, start="GET %s HTTP/1.1" % target)) == 200
        assert status(head(close, start="GET %sa HTTP/1.1" % target)) == 414
        assert status(head(close, "Content-Length: 1", start=start) + b"x") == 413


def test_one_connection_many_requests():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        with bridge.dial() as sock:  # pipelined
            sock.sendall(head(start="GET /livez HTTP/1.1") * 20 + SMUGGLED)
            heard = read_all(sock)
        assert heard.count(b"HTTP/1.1 200") == 21, heard
        ids = re.findall(rb"X-Request-Id: (\S+)", heard)
        assert len(set(ids)) == 21
        with bridge.dial() as sock:  # the client waits to be told to go on
            sock.sendall(head("Content-Length: 1", "Expect: 100-continue",
                              start="POST /livez HTTP/1.1"))
            assert b"405" in read_all(sock).split(b"\r\n")[0]


def test_slow_peers_are_ended_and_others_served():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        slow = []
        for start in (b"", b"G", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "):
            for _ in range(5):
                sock = bridge.dial()
                sock.sendall(start)
                slow.append(sock)
        ended, began = 0, time.monotonic()
        while slow and time.monotonic() - began < 20:
            for sock in list(slow):
                try:
                    sock.send(b"a")
                    sock.setblocking(False)
                    if sock.recv(4096) == b"":
                        raise ConnectionResetError
                    slow.remove(sock)
                    ended += 1
                except BlockingIOError:
                    sock.setblocking(True)
                except OSError:
                    slow.remove(sock)
                    ended += 1
            assert bridge.get("/livez")["ok"]
            time.sleep(0.2)
        assert ended == 15, (ended, len(slow))


def test_where_it_listens():
    for options, told in ((("--listen", "0.0.0.0:0"), "--behind-proxy"),
                          (("--listen", "[::]:0"), "--behind-proxy"),
                          (("--listen", "192.0.2.1:80"), "--behind-proxy"),
                          (("--listen", "nonsense"), "--behind-proxy"),
                          (("--metrics", "0.0.0.0:0"), "loopback"),
                          (("--listen", "0.0.0.0:0", "--behind-proxy"), "--trusted-proxy"),
                          (("--behind-proxy", "--host", "t.test", "--trusted-proxy", "proxy"),
                           "--trusted-proxy: 'proxy'"),
                          (("--listen", "0.0.0.0:0", "--behind-proxy", "--trusted-proxy",
                            "192.0.2.1"), "--host")):
        done = subprocess.run([os.path.join(BUILD, "tally-http"), *options],
                              stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 78 and told in done.stderr, (options, done)
    with Daemon() as daemon:
        with Bridge(daemon, "--listen", "0.0.0.0:0", "--behind-proxy",
                    "--trusted-proxy", "192.0.2.1", "--host",
                    "tally.example, other.example") as bridge:
            for name in ("tally.example", "OTHER.example:443"):
                status, headers, _ = bridge.ask("/livez", Host=name)
                assert status == 200 and "max-age" in headers["strict-transport-security"]
            assert bridge.ask("/livez", Host="evil.example")[0] == 400


def test_metrics_are_what_happened():
    with Daemon() as daemon:
        org = daemon.create_org()
        with Bridge(daemon) as bridge:
            push(daemon, org["gateway_token"])
            for status in (200, 401, 200):
                bridge.get("/api/v1/leaderboard", org["admin_token"] if status == 200 else "", status)
            figures, text = bridge.metrics()
            assert figures["tally_up"] == "1"
            assert figures['tally_events_total{result="accepted"}'] == "60"
            assert figures["tally_committed_seq"] == figures["tally_rollup_seq"] == "60"
            assert figures['tally_http_replies_total{code="2xx"}'] == "2", figures
            assert figures['tally_http_replies_total{code="4xx"}'] == "1"
            assert int(figures["tally_commit_seconds_count"]) >= 1
            assert 0 < float(figures["tally_commit_fsync_seconds_sum"]) < 60
            assert figures['tally_query_seconds_count{op="leaderboard"}'] == "3"
            for secret in ("acme", "dev0", org["admin_token"], "s-1"):
                assert secret not in text
            # Its port serves nothing else, and the API's port no figures.
            other = Bridge.at(bridge.metrics_port)
            assert other.ask("/api/v1/team", org["admin_token"])[0] == 404
            assert bridge.ask("/metrics", org["admin_token"])[0] == 404
            assert other.ask("/metrics", Host="evil.example")[0] == 400
            daemon.stop()
            figures, _ = bridge.metrics()
            assert figures["tally_up"] == "0" and "tally_committed_seq" not in figures
            daemon.start()


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        pids = [int(word) for word in file.read().split()]
    names = {}
    for child in pids:
        with open("/proc/%d/comm" % child) as file:
            names[file.read().strip()] = child
    return names


def test_up_keeps_the_bridge_alive():
    with tempfile.TemporaryDirectory(prefix="tally-") as directory:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        up = subprocess.Popen(
            [os.path.join(BUILD, "tally"), "up", "--data", directory, "--ingest", "none",
             "--query", "none", "--http", "127.0.0.1:%d" % port, "--metrics", "127.0.0.1:0"], stderr=subprocess.DEVNULL)

        def is_ready():
            assert up.poll() is None, up.returncode
            done = subprocess.run(["curl", "-sf", "http://127.0.0.1:%d/readyz" % port],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return done.returncode == 0

        try:
            wait_for(is_ready, "tally up")
            for _ in range(3):
                os.kill(children(up.pid)["tally-http"], signal.SIGKILL)
                wait_for(is_ready, "the bridge to come back")
            up.send_signal(signal.SIGTERM)
            assert up.wait(timeout=30) == 0
            # tallyd's end is the end of all.
            up = subprocess.Popen(
                [os.path.join(BUILD, "tally"), "up", "--data", directory, "--ingest", "none",
                 "--query", "none", "--http=127.0.0.1:%d" % port, "--metrics=none"], stderr=subprocess.DEVNULL)
            wait_for(is_ready, "tally up")
            bridge = children(up.pid)["tally-http"]
            os.kill(children(up.pid)["tallyd"], signal.SIGKILL)
            assert up.wait(timeout=30) == 75
            assert not os.path.exists("/proc/%d" % bridge)
        finally:
            if up.poll() is None:
                up.kill()
