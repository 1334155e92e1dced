"""Telemetry over OTLP/HTTP: what agents send becomes usage once, in each encoding, and the rest is
counted and left alone. What an agent's key may do, and what it may not."""

import gzip
import json
import os
import tempfile
import time

import otlp
from agents import JSON, PROTOBUF, World

DATA = os.path.join("..", "shared", "data")
NOW = int(time.time() * 1000) - 60000


def test_a_call_counts_once_in_each_encoding():
    export = otlp.logs([otlp.claude(NOW, "req_%04d" % i) for i in range(3)])
    with World() as world:
        for times in range(2):
            _, text = world.export("logs", export)
            assert json.loads(text) == {}
            _, text = world.export("logs", export, kind=PROTOBUF)
            assert text == b""
        packed = gzip.compress(otlp.protobuf(export))
        world.export("logs", packed, kind=PROTOBUF, Content_Encoding="gzip")
        world.export("logs", gzip.compress(json.dumps(export).encode()), Content_Encoding="gzip")
        total = world.totals()
        assert (total["requests"], total["cost_usd"]) == (3, "0.0033"), total
        assert total["tokens"] == 3 * 370, total
        metrics, _ = world.bridge.metrics()
        assert metrics['tally_otlp_records_total{signal="logs",result="event"}'] == "18"


def test_recorded_payloads_give_the_published_figures():
    if not os.path.isdir(DATA):
        return "skipped, %s is not there" % DATA
    with open(os.path.join(DATA, "expected.json")) as file:
        expected = json.load(file)["otlp"]
    with World("--accept-past-days", "300") as world:
        requests = tokens = ignored = 0
        for name, wanted in expected.items():
            with open(os.path.join(DATA, "otlp", name)) as file:
                world.export("logs", file.read())
            for one in wanted["requests"]:
                requests += 1
                tokens += one["input"] + one["cache_read"] + one["cache_write"] + one["output"]
            ignored += sum(wanted["other_records"].values())
        world.daemon.wait_caught_up()
        start, end = 1767225600000, NOW
        total = world.bridge.get("/api/v1/leaderboard?range=custom&from=%d&to=%d" % (start, end),
                                 world.admin)["org"]
        # 0.027847249999999997 dollars to the nano, half to even; 99557 micros
        assert (total["requests"], total["cost_usd"]) == (requests, "0.12740425"), total
        assert total["tokens"] == tokens
        metrics, _ = world.bridge.metrics()
        assert metrics['tally_otlp_records_total{signal="logs",result="ignored"}'] == str(ignored)
        return "%d payloads" % len(expected)


def test_codex_counts_what_was_not_cached_apart_and_is_priced():
    with World() as world:
        export = otlp.logs([otlp.codex(NOW), otlp.codex(NOW + 1),
                            otlp.codex(NOW, **{"event.kind": "response.created"}),
                            otlp.codex(NOW, model="nobody-knows", session="conv-2")], "codex_cli_rs")
        for kind in (JSON, PROTOBUF, JSON):
            world.export("logs", export, kind=kind)
        total = world.totals()
        # 100 x 1750 + 900 x 175 + 50 x 14000 nano-dollars, twice; the third has no price
        assert (total["requests"], total["cost_usd"]) == (3, "0.002065"), total
        assert total["tokens"] == 3 * 1050 and total["unpriced"] == 1, total


def test_own_prices_stand_over_the_built_in_ones():
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("version acme-1\nnobody-knows - 1000 2000 100 0 0\n")
        file.flush()
        with World(bridge=("--prices", file.name)) as world:
            world.export("logs", otlp.logs([otlp.codex(NOW, model="nobody-knows")]))
            total = world.totals()
            assert (total["cost_usd"], total["unpriced"]) == ("0.00029", 0), total


def test_counters_become_activity_once():
    start = NOW - 120000
    sums = {
        "claude_code.lines_of_code.count": [
            otlp.point(start, NOW, 12, type="added", session__id="s-1"),
            otlp.point(start, NOW, 5, type="removed", session__id="s-1")],
        "claude_code.commit.count": [otlp.point(start, NOW, 2, session__id="s-1")],
        "claude_code.pull_request.count": [otlp.point(start, NOW, 1, session__id="s-1")],
        "claude_code.active_time.total": [otlp.point(start, NOW, 90.25, type="user",
                                                     session__id="s-1"),
                                          otlp.point(start, NOW, 30.5, type="cli",
                                                     session__id="s-1")],
        "claude_code.code_edit_tool.decision": [
            otlp.point(start, NOW, 4, decision="accept", tool="Edit", session__id="s-1"),
            otlp.point(start, NOW, 1, decision="reject", tool="Edit", session__id="s-1")],
        "claude_code.token.usage": [otlp.point(start, NOW, 99999, type="input")],
        "claude_code.cost.usage": [otlp.point(start, NOW, 12.5)],
        "claude_code.session.count": [otlp.point(start, NOW, 1)],
    }
    with World() as world:
        for kind in (JSON, PROTOBUF, JSON):
            world.export("metrics", otlp.metrics(sums), kind=kind)
        total = world.totals()
        assert total["requests"] == 0 and total["cost_usd"] == "0.00", total
        # The same as running totals, in three reports of which the second came last.
        for lines in (3, 12, 7, 12):
            sums["claude_code.lines_of_code.count"][0]["asInt"] = lines
            world.export("metrics", otlp.metrics(sums, cumulative=True), world.bob)
        team = world.team()
        assert team["ada@acme.test"]["lines"] == 17, team
        assert team["ada@acme.test"]["active_ms"] == 120750
        assert team["bob@acme.test"]["lines"] == 17
        assert team["bob@acme.test"]["active_ms"] == 120000  # running totals move by the second


def event(i, **fields):
    return dict({"id": "own-%06d" % i, "ts": NOW, "model": "m", "input_tokens": 1,
                 "output_tokens": 1, "cost_nusd": 5}, **fields)


def test_an_agents_key_speaks_for_itself_alone():
    with World() as world:
        # A gateway's rows first; then the key sends the same ids, with another cost and a higher rev.
        world.push([event(1, email="ada@acme.test", agent="claude_code"), event(2)], world.gateway)
        reply = world.push([event(1, cost_nusd=0), event(2, cost_nusd=0, rev=9)], world.ada)
        assert (reply["accepted"], reply["replaced"], reply["rejected"]) == (2, 0, 0), reply
        assert world.totals()["cost_usd"] == "0.00000001", world.totals()
        # And the other way round: an id that a key used first is free for the gateway.
        world.push([event(3, cost_nusd=0)], world.ada)
        reply = world.push([event(3, cost_nusd=7)], world.gateway)
        assert (reply["accepted"], reply["rejected"]) == (1, 0), reply
        key_id = world.bob[:17]
        bad = [event(4, email="bob@acme.test"), event(5, member="0" * 32), event(6, key=key_id),
               event(7, email_enc={"alg": "x"}), event(8, key=world.ada[:17])]
        reply = world.push(bad, world.ada)
        assert reply["accepted"] == 1, reply
        assert [(e["i"], e["code"], e["field"]) for e in reply["errors"]] == [
            (0, "forbidden", "email"), (1, "forbidden", "member"), (2, "forbidden", "key"),
            (3, "forbidden", "email_enc")], reply
        team = world.team()
        assert team["ada@acme.test"]["events"] == 5 and team["bob@acme.test"]["events"] == 0, team
        # One key's ids say nothing about another's.
        assert world.push([event(8)], world.bob)["accepted"] == 1
        assert world.push([event(8)], world.bob)["duplicate"] == 1


def test_a_key_links_its_own_members_sessions():
    with World() as world:
        def link(i, session, token):
            return world.push([{"id": "link-%06d" % i, "ts": NOW, "kind": "link",
                                "session": session, "op": "set_repo", "value": "acme/api"}], token)

        world.export("logs", otlp.logs([otlp.claude(NOW, "req_ada_1", "s-ada")]))
        world.export("logs", otlp.logs([otlp.claude(NOW, "req_bob_1", "s-bob")]), world.bob)
        world.daemon.wait_caught_up()
        assert link(1, "s-ada", world.ada)["accepted"] == 1
        reply = link(2, "s-bob", world.ada)
        assert [(e["i"], e["code"], e["field"]) for e in reply["errors"]] == [
            (0, "forbidden", "session")], reply
        # Usage that names another's session counts, without it: who is last would own the session.
        world.export("logs", otlp.logs([otlp.claude(NOW + 900, "req_ada_2", "s-bob")]))
        world.daemon.wait_caught_up()
        assert link(5, "s-bob", world.ada)["rejected"] == 1
        assert world.bridge.get("/api/v1/sessions/s-bob", world.admin)["requests"] == 1
        assert world.totals()["requests"] == 3
        # Nobody's session is not hers either.
        world.push([event(9, session="s-nobody")], world.gateway)
        world.daemon.wait_caught_up()
        assert link(6, "s-nobody", world.ada)["rejected"] == 1
        assert link(3, "s-early", world.ada)["accepted"] == 1  # before anything is known of it
        assert link(4, "s-bob", world.gateway)["accepted"] == 1
        world.daemon.wait_caught_up()
        repos = world.bridge.get("/api/v1/repos?range=24h", world.admin)["repos"]
        assert [(one["repo"], one["requests"]) for one in repos] == [("github.com/acme/api", 2)]
        # What an agent says of itself is marked as such.
        for session, is_marked in (("s-ada", True), ("s-nobody", False)):
            rows = world.bridge.get("/api/v1/sessions/" + session, world.admin)["rows"]
            assert [row["client_reported"] for row in rows] == [is_marked], rows


def test_a_gateways_export_says_who_it_is():
    who = {"user.email": "dee@acme.test"}
    with World() as world:
        world.export("logs", otlp.logs([
            otlp.claude(NOW, "req_dee_1", **who), otlp.claude(NOW, "req_dee_2"),
            otlp.claude(NOW, "req_dee_3", **{"user.email": "REDACTED"})]), world.gateway)
        # Under an agent's key the address is not asked: the key says who it is.
        world.export("logs", otlp.logs([otlp.claude(NOW, "req_dee_4", **who)]))
        board = world.board()
        team = {one["email"]: one["requests"] for one in board["members"] if one.get("email")}
        assert (team["dee@acme.test"], team["ada@acme.test"]) == (1, 1), team
        assert board["unattributed"]["requests"] == 2, board["unattributed"]


def test_what_cannot_be_taken_is_said_in_part():
    old = NOW - 40 * 86400000
    with World() as world:
        records = [otlp.claude(NOW, "req_good_1"), otlp.claude(old, "req_old_1"),
                   otlp.claude(NOW, "req_bad_1", input_tokens="many"),
                   otlp.claude(NOW, "req_bad_2", cost_usd="-1"),
                   otlp.claude(NOW, "req_bad_3", model=None),
                   otlp.log(NOW, "claude_code.user_prompt", prompt="x")]
        for kind in (JSON, PROTOBUF):
            _, text = world.export("logs", otlp.logs(records), kind=kind)
            if kind == JSON:
                part = json.loads(text)["partialSuccess"]
                assert part["rejectedLogRecords"] == "4", part
                assert "cannot be read" in part["errorMessage"], part
            else:
                assert text[:4] == b"\x0a" + bytes([len(text) - 2]) + b"\x08\x04", text
        _, text = world.export("metrics", otlp.metrics({
            "claude_code.commit.count": [otlp.point(NOW - 1, NOW, -1)],
            "claude_code.lines_of_code.count": [otlp.point(0, NOW, 1, type="added")]}))
        assert json.loads(text)["partialSuccess"]["rejectedDataPoints"] == "2", text
        assert world.totals()["requests"] == 1


def test_exports_that_are_refused():
    good = otlp.logs([otlp.claude(NOW, "req_x_0001")])
    bomb, large = gzip.compress(b" " * (9 << 20)), gzip.compress(b"{}" + b" " * (7 << 20))
    with World() as world:
        for token, body, kind, headers, status in (
                ("", good, JSON, {}, 401), ("nobody", good, JSON, {}, 401),
                (world.admin, good, JSON, {}, 403),
                (world.admin, otlp.logs([]), JSON, {}, 403),
                ("nobody", b"", PROTOBUF, {}, 401),
                (world.ada, good, "text/plain", {}, 415),
                (world.ada, "{", JSON, {}, 400), (world.ada, "[]", JSON, {}, 400),
                (world.ada, b"\x0a\xff\xff\xff\xff\x0f", PROTOBUF, {}, 400),
                (world.ada, b"x", JSON, {"Content_Encoding": "gzip"}, 400),
                (world.ada, gzip.compress(b"{}")[:-4], JSON, {"Content_Encoding": "gzip"}, 400),
                (world.ada, gzip.compress(b"{}"), JSON, {"Content_Encoding": "br"}, 415),
                (world.ada, bomb, JSON, {"Content_Encoding": "gzip"}, 413),
                (world.ada, b"\x0a\x00" * 100000, PROTOBUF, {}, 200),
                (world.ada, b"\x0a\x00" * 500000, PROTOBUF, {}, 413),  # more parts than memory
                ("nobody", large, JSON, {"Content_Encoding": "gzip"}, 401),
                (world.ada, large, JSON, {"Content_Encoding": "gzip"}, 200),
                (world.ada, " " * ((1 << 20) + 1), JSON, {}, 413)):
            got = world.bridge.ask("/v1/logs", token, "POST",
                                   json.dumps(body) if isinstance(body, dict) else body,
                                   Content_Type=kind, **headers)
            assert got[0] == status, (body[:20] if not isinstance(body, dict) else "", got)
            if status != 200 and len(body) <= 1 << 20 and kind != PROTOBUF:
                assert json.loads(got[2])["message"], got
        assert world.export("traces", {"resourceSpans": []})[1] == b"{}"
        assert world.export("traces", b"\x0a\x00", kind=PROTOBUF)[1] == b""
        assert world.bridge.ask("/v1/logs", world.ada)[0] == 405


def test_an_exporter_is_told_to_come_again():
    """With 503: what the rest of the API calls 507, exporters would never send again."""
    good = otlp.logs([otlp.claude(NOW, "req_y_0001")])
    with World() as world:
        world.daemon.stop()  # and comes back with a disk that is too full for it
        world.daemon.options += ["--disk-floor-bytes", "1000000G"]
        world.daemon.start()
        status, headers, text = world.bridge.ask("/v1/logs", world.ada, "POST", json.dumps(good),
                                                 Content_Type=JSON)
        assert status == 503 and int(headers["retry-after"]) >= 1, (status, headers)
        assert json.loads(text)["code"] == 14, text
        world.daemon.stop()
        del world.daemon.options[-2:]
        world.daemon.start()
        world.export("logs", good)
        assert world.totals()["requests"] == 1
