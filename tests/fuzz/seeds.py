"""What fuzzing starts from: the golden bytes, frames made from seeded usage, and texts that people
write. write(name, folder) puts the seeds of one target into a folder."""

import json
import os
import random
import struct
import sys
import zlib

import msgpack

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import otlp  # noqa: E402
import workload  # noqa: E402

NOW_MS = 1795255200000
CHECKSUM_BYTES = 8


def golden(file):
    """name -> bytes of tests/golden/<file>.hex"""
    with open(os.path.join(ROOT, "tests", "golden", file + ".hex")) as lines:
        pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {name: bytes.fromhex(value) for name, value in pairs}


def events(seed, count):
    made = workload.generate(seed, NOW_MS, 30, 12, ["tally_ca_ab12cd34"])
    made += [{"id": "act_%08d" % i, "ts": NOW_MS - i, "kind": "activity", "session": "s-1",
              "email": "dev1@acme.test", "lines_added": 5 + i, "lines_removed": 2, "commits": 1,
              "pull_requests": 1, "active_ms": 60000, "edits_accepted": 3, "edits_rejected": 1}
             for i in range(2)]
    made += [{"id": "vio_%08d" % i, "ts": NOW_MS - i, "kind": "violation", "rule": "no-secrets",
              "severity": severity, "repo": "git@github.com:acme/api.git"}
             for i, severity in enumerate(("error", "warning", "info"))]
    made += [{"id": "enc_%08d" % i, "ts": NOW_MS, "model": "m", "input_tokens": 1,
              "output_tokens": 2, "email_enc": {"k": b"\1\2", "n": 7}, "commit": "ABCDEF0123",
              "x_more": [1, {"a": 2.5}], "pr": 7, "cost_nusd": None} for i in range(2)]
    random.Random(seed).shuffle(made)
    return made[:count]


def maps(chosen, **more):
    return msgpack.packb({"v": 1, "token": "t", "batch": "b-1", **more, "events": chosen})


def rows(chosen, **more):
    fields = sorted({name for event in chosen for name in event})
    return msgpack.packb({"v": 1, "token": "t", **more, "fields": fields,
                          "rows": [[event.get(name) for name in fields] for event in chosen]})


def batches():
    made = []
    for seed in range(40):
        chosen = events(seed, 1 + seed % 5)
        made += [maps(chosen), rows(chosen)]
    made += [maps(events(1, 1), **{"import": True, "x_trace": 1}),
             msgpack.packb({"v": 1, "token": "t", "events": [3, {}, {"id": None}]}),
             msgpack.packb({"v": 2, "token": "t", "events": [{}]})]
    return made


def values():
    """Every msgpack form once, and nests of them."""
    import datetime
    one_each = [None, True, 1, -1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1,
                2**63, 2**64 - 1, -32, -33, -128, -129, -32768, -32769, -2**31, -2**31 - 1,
                -2**63, 1.5, "", "a" * 31, "a" * 32, "a" * 300, b"", b"b" * 300, [], [1] * 16, {},
                {str(i): i for i in range(16)}, msgpack.ExtType(5, b"x"),
                msgpack.ExtType(5, b"xy"), msgpack.ExtType(6, b"xyzw"),
                msgpack.ExtType(5, b"x" * 8), msgpack.ExtType(5, b"x" * 16),
                msgpack.ExtType(5, b"x" * 20), msgpack.ExtType(5, b"x" * 300),
                datetime.datetime.fromtimestamp(0, datetime.timezone.utc)]
    made = [msgpack.packb(value, datetime=True) for value in one_each]
    made.append(msgpack.packb({"v": 1, "all": one_each[:30]}))
    made.append(b"\xca\x3f\x80\x00\x00")
    nest = 7
    for _ in range(17):
        nest = [nest, {"a": nest}] if len(msgpack.packb(nest)) < 200 else [nest]
        made.append(msgpack.packb(nest))
    return made


def frames():
    made = []
    for batch in batches()[:6]:
        packed = zlib.compress(batch, 1)
        made += [b"\xa0\0" + packed, b"\xf1\x09" + batch, b"\x41\x40" + batch, b"\xf0\0" + batch]
    made += [b"\x60\0" + zlib.compress(bytes(100000)), b"\xa1\x01" + bytes(900)]
    return made


def queries():
    ops = ["leaderboard", "dashboard", "series", "top_repos", "repos", "pulls", "models", "live",
           "export", "sessions", "session", "team", "reconcile", "health", "keys_resolve", "explain"]
    more = [{}, {"range": "7d", "tz": "Europe/Berlin", "metric": "tokens", "tokens": "uncached"},
            {"from": "2026-11-01T00:00:00Z", "to": NOW_MS, "limit": 5, "cursor": "YWJj"},
            {"scope": "pr:github.com/acme/api#7", "split": True, "range": "30d"},
            {"level": "bins"},
            {"session": "s-1", "member": "%032x" % 7, "repo": "acme/api", "pr": 7, "agent": "codex",
             "q": "find", "key": "tally_ca_ab12cd34", "split": "0", "limit": "7"}]
    return [msgpack.packb({"v": 1, "token": "t", "op": op, **more[i % len(more)]})
            for i, op in enumerate(ops)]


def commands():
    ops = ["org_create", "org_update", "token_create", "invite", "agent_create", "member_update",
           "stats", "verify", "dump", "ping"]
    return [msgpack.packb({"v": 1, "token": "t", "org": "acme", "op": op, "email": "a@b.c"})
            for op in ops]


def replies():
    error = {"code": "overloaded", "message": "busy", "field": "model", "limit": 5, "retry": "after"}
    return [msgpack.packb(reply) for reply in (
        {"v": 1, "ok": True, "batch": "b", "epoch": 2**63 - 1, "seq": 9, "accepted": 2,
         "duplicate": 0, "replaced": 0, "rejected": 1,
         "errors": [{"i": 0, "id": None, "code": "field_type", "field": "ts", "got": "x"}]},
        {"v": 1, "ok": False, "error": error, "retry_after_ms": 250},
        {"v": 1, "ok": False, "error": {"code": "unheard_of", "retry": "never"}},
        {"v": 1, "ok": False}, {})] + [bytes([code]) + bytes(10) for code in range(0, 70, 9)]


def documents():
    return [text.encode() for text in (
        '{"v":1,"rows":[{"name":"Ada \\u00e9 \\ud83d\\ude00","cost_nusd":12,"spark":[1,2]}]}',
        '[1,-2,3.5,1e3,true,false,null,"",{"a":{"b":[[]]}}]', "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
        '{"a":1,"a":2}', '["\\u0000"]', "[9223372036854775807,-9223372036854775808]",
        '{"metric":"cost","value":5}', " [ ] ")]


def shown():
    return values() + [msgpack.packb(value) for value in (
        {"metric": "cost", "value": 5, "spark": [1, -1], "cost_nusd": -10**15, "id": b"\1\2"},
        {"a": {"b": [[None, "\x00\x1f\"\\"]]}}, {"cost_nusd": 2**63 - 1}, {1: 2})]


def registry():
    kinds = {"org": 0, "member": 1, "agent": 2, "credential": 3, "signin": 4}
    return [bytes([kinds[key.split("_")[0]]]) + value for key, value in golden("registry").items()]


def refs():
    repos = ["git@github.com:Acme/API.git", "https://user:pw@github.com:443/acme/api.git/",
             "ssh://git@gitlab.com:22/group/sub/sub2/tool.git", "acme/api", "git://host.org/a/b",
             "https://dev.azure.com/org/project/_git/repo", "git@ssh.dev.azure.com:v3/org/p/r",
             "https://org.visualstudio.com/p/_git/r", "bitbucket.org/team/repo", "file:///x/y",
             "https://github.com/acme/api/tree/main?x=1#y"]
    pulls = ["https://github.com/acme/api/pull/7", "https://gitlab.com/a/b/-/merge_requests/9",
             "https://bitbucket.org/t/r/pull-requests/3", "acme/api#12", "#5", "5", "!6",
             "https://dev.azure.com/o/p/_git/r/pullrequest/44", "https://github.com/a/b/pull/7/files"]
    rest = ["ABCDEF0123456789", " Ada@Example.ORG ", "a@b", "\u00e9@x.y"]
    return [text.encode() for text in repos + pulls + rest]


def zones():
    made = []
    for zone in ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata",
                 "Africa/Casablanca", "America/Godthab", "Pacific/Apia", "Europe/Dublin"):
        with open("/usr/share/zoneinfo/" + zone, "rb") as file:
            made.append(struct.pack(">q", NOW_MS << 11) + file.read())
    return made


def transcripts():
    usage = {"input_tokens": 5, "output_tokens": 9, "cache_read_input_tokens": 7,
             "cache_creation_input_tokens": 3, "cache_creation": {"ephemeral_1h_input_tokens": 2}}
    claude = {"timestamp": "2026-11-21T10:00:00.000Z", "sessionId": "s-1", "gitBranch": "main",
              "requestId": "req_1",
              "message": {"id": "msg_1", "model": "claude-opus-4-6", "usage": usage}}
    total = {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 6,
             "reasoning_output_tokens": 2}
    codex = [{"type": "session_meta", "payload": {"id": "s-2", "model_provider": "openai", "git": {
        "repository_url": "git@github.com:a/b.git", "branch": "main", "commit_hash": "abcdef0"}}},
             {"type": "turn_context", "payload": {"model": "gpt-5.3-codex"}},
             {"type": "event_msg", "timestamp": "2026-11-21T10:00:00Z", "payload": {
                 "type": "token_count", "info": {"total_token_usage": total,
                                                 "last_token_usage": total}}}]
    later = json.loads(json.dumps(claude).replace("msg_1", "msg_2"))
    return [b"\0" + "\n".join(map(json.dumps, (claude, claude, later))).encode(),
            b"\1" + "\n".join(map(json.dumps, codex)).encode(),
            b"\0" + json.dumps(claude).encode(),
            b"\1" + "\n".join(map(json.dumps, codex + codex[2:])).encode()]


def exports():
    """(first byte, export): logs 0, metrics 1, traces 2; 4 more where addresses say who it is."""
    end = NOW_MS
    return [
        (0, otlp.logs([otlp.claude(end, "req_0001"), otlp.claude(end, None, **{"event.sequence": 7}),
                       otlp.claude(end, "req_0002", cost_usd=None, cost_usd_micros=99557)])),
        (4, otlp.logs([otlp.claude(end, "req_0001", **{"user.email": "a@b.c"}), otlp.log(end, "x")])),
        (0, otlp.logs([otlp.codex(end), otlp.codex(end, duration_ms=12.0)], "codex_cli_rs")),
        (1, otlp.metrics({"claude_code.lines_of_code.count": [
            otlp.point(end - 9, end, 4, type="added", session__id="s-1"),
            otlp.point(end - 9, end, 2, type="removed", ok=True, part=0.5)]})),
        (5, otlp.metrics({"claude_code.active_time.total": [otlp.point(end - 9, end, 12.75)],
                          "claude_code.commit.count": [otlp.point(end - 9, end, 1)]}, True)),
        (2, {"resourceSpans": []})]


def calls():
    tools = [("setSessionGitHubRepo", "repo", "acme/api"), ("addSessionPullRequest", "pullRequest", 7),
             ("addSessionCommit", "commit", "abcdef0"), ("setSessionName", "name", "caf\u00e9"),
             ("setSessionGitRepo", "repo", 5), ("none", "x", None)]
    made = [{"jsonrpc": "2.0", "id": i, "method": "tools/call",
             "params": {"name": name, "arguments": {"sessionId": "s-1", argument: of}}}
            for i, (name, argument, of) in enumerate(tools)]
    made += [{"jsonrpc": "2.0", "id": "a", "method": method, "params": {
        "protocolVersion": "2025-06-18"}} for method in ("initialize", "tools/list", "ping", "x")]
    made += [{"jsonrpc": "2.0", "method": "notifications/initialized"},
             {"jsonrpc": "2.0", "id": None, "method": "ping"}, {"jsonrpc": "2.0", "id": 1, "result": {}}]
    return [bytes([i % 4]) + json.dumps(one).encode() for i, one in enumerate(made + [made])]


def windows():
    times = [b"2026-11-21T10:00:00.123Z", b"1969-12-31T23:59:59+14:00", b"2026-11-21", b"24h",
             b"custom", b"9999-12-31T23:59:60.999999999-00:30"]
    numbers = [struct.pack(">BBqi", i, i, NOW_MS - i * 91 * 86400000, (1 << (i * 4 % 31)) - 5)
               for i in range(8)]
    return times + numbers


def settings():
    return [b"name = prod\ndays = 35\n; note\nbytes_max=4G\nverbose=true\n", b"days=0\n",
            b"[section]\nname=x\n", b"name=" + b"x" * 300, b"days = 7 ; after\n\n# c\nverbose = no\n"]


def base62(number, digits):
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(digits):
        number, rest = divmod(number, 62)
        text = alphabet[rest] + text
    return text


def tokens():
    made = []
    for tag in ("gw", "ca", "pat", "svc"):
        body = "tally_%s_%s_%s" % (tag, "ab12cd34", base62(3 ** 150, 43))
        for covered in (body, body + "_"):
            made.append(("%s_%s" % (body, base62(zlib.crc32(covered.encode()), 6))).encode())
    return made + [b"gateway", b"agent", b"personal", b"service"]


def texts():
    return [text.encode() for text in (
        "\u00e9\u20ac\U0001f600x", "0011aaBBff", "12.345678901", "-0.000000001", "$5", "1e9",
        "frame_malformed", "msg_0001aaaa", "undefined")] + [
            b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xff" * 9 + b"\x01",
            b"\x80\x01", bytes(range(1, 17))]


def targets_of_requests():
    return [text.encode() for text in (
        "/", "/api/v1/sessions?q=s-1&range=7d", "/api/v1/sessions/a%2Fb%20c", "//", "/%", "/%00",
        "/api/v1/agents/tally_ca_ab12cd34/rotate", "/a?x=1&x=2", "/a?x=+%2B&=&y", "x", "/%ff",
        "/a/b/c/d/e/f/g/h/i", "/?" + "&".join("p%d" % i for i in range(33)),
        "/api/v1/series?scope=pr:github.com/acme/api%232&split=1")]


def askers():
    """What a request says of who asks: the first byte says what is looked at."""
    secret = "0123456789abcdef" * 2
    cookies = ["tally_sid=" + secret, "a=b; tally_sid=%s; c" % secret, "tally_sid=; tally_sid=x",
               "tally_sid=1;tally_sid=2", "tally_sid=a b"]
    origins = ["1\napplication/json\nhttp://localhost:1\nsame-origin\nlocalhost:1",
               "1\n\n\nsame-origin\nlocalhost", "1\ntext/plain\nnull\n\nlocalhost", "\n\n\n\n"]
    addresses = ["10.0.0.0/8, ::1\n10.0.0.1\n192.0.2.1, 10.0.0.2",
                 "10.0.0.0/8\n10.0.0.1\nfor=\"[2001:db8::1]:80\";by=x, for=10.0.0.2",
                 "2001:db8::/33\n2001:db8::1\n[2001:db9::1]:443", "1.2.3.4/33\n\n"]
    heads = ["Host: localhost\nContent-Length: 5", "Host: tally.test:80\nTransfer-Encoding: chunked",
             "Host: localhost\nContent-Length: 5\nTransfer-Encoding: chunked",
             "Host: localhost\nHost: localhost", "Host: x\nX Y: z\nContent-Length : 3"]
    return [bytes([kind]) + text.encode() for kind, texts in enumerate(
        (cookies, origins, addresses, heads)) for text in texts]


def connections():
    """A byte that says where they are cut, and what is sent."""
    get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    post = "POST /a HTTP/1.1\r\nHost: h\r\n"
    return [b"\x80" + text.encode() for text in (
        get, get * 3, get.replace("GET", "HEAD"), "GET /a/b%20c?x=y HTTP/1.0\r\nHost: h\r\n\r\n",
        post + "Content-Length: 5\r\n\r\nhello" + get,
        post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + get,
        post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get,
        post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + get,
        post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + get,
        post + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" + get,
        post + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        post + "Content-Length: 700\r\n\r\n" + "x" * 700 + get,
        get.replace("Host: h", "Host: h\r\nX: a\r\n b"), get.replace("h\r", "evil\r"),
        "DELETE /a/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}" + get,
        "PUT /a HTTP/1.1\r\nHost: h\r\n\r\n", "GET\r\n\r\n", "\r\n\r\n" + get,
        get.replace("\r\n", "\n"), get.replace("GET /a", "GET http://h/a"))]


MORE = {
    "url": targets_of_requests, "cookie": askers, "http": connections,
    "import": transcripts, "window": windows, "conf": settings, "token": tokens, "text": texts,
    "highwater": lambda: list(golden("highwater").values()),
    "spool": lambda: list(golden("spool").values()) + [b"\0\5\0\7hello"],
    "query": queries, "command": commands, "reply": replies, "json": documents,
    "json_reply": shown, "registry": registry, "ref": refs, "zone": zones,
    "key": lambda: list(golden("key").values()),
    "mcp": calls,
    "otlp_json": lambda: [bytes([first]) + json.dumps(export, separators=(",", ":")).encode()
                          for first, export in exports()],
    "otlp_pb": lambda: [bytes([first]) + otlp.protobuf(export) for first, export in exports()],
}


def of(name):
    if name == "reader":
        return values() + batches()[:10]
    if name == "frame":
        return frames()
    if name == "differential":
        return values() + batches()[:40]
    if name == "batch":
        return batches()
    if name == "column":
        return [struct.pack(">H", 9) + value for value in golden("column").values()]
    if name == "block":
        return [golden("block")["block"][:-CHECKSUM_BYTES]]
    if name == "run":
        run, chunk = golden("run")["run"], golden("run")["chunk"]
        head = chunk[:-CHECKSUM_BYTES].index(b"\x01\x04\x90") - CHECKSUM_BYTES  # before the block
        return [b"\0" + run[:-CHECKSUM_BYTES],
                b"\1" + bytes([head]) + chunk[:head] + chunk[head + CHECKSUM_BYTES:-CHECKSUM_BYTES]]
    if name == "page":
        spans = {"hour": 0, "day": 1, "empty": 2}
        return [bytes([spans[key]]) + value[:-CHECKSUM_BYTES]
                for key, value in golden("page").items()]
    if name == "journal":
        return [struct.pack(">Q", no) + value
                for no, value in enumerate(golden("journal").values(), 1)]
    if name in MORE:
        return MORE[name]()
    if name == "session":
        return [value for key, value in golden("value").items() if key.startswith("session")]
    if name == "value":
        kinds = {"life": 0, "life_unused": 0, "intake": 1, "mark": 2}
        return [bytes([kinds[key]]) + value for key, value in golden("value").items()
                if key in kinds]
    return []


def write(name, folder):
    for number, content in enumerate(of(name)):
        with open(os.path.join(folder, "seed_%03d" % number), "wb") as out:
            out.write(content)
