"""Clients that others wrote: the protocol's MCP SDK and OpenTelemetry's exporters for JavaScript. What
they send counts once, to the nano-dollar, however often and in whatever encoding they send it."""

import random
import time

import campaign
from agents import World
from foreign import foreign_test, run

NOW = int(time.time() * 1000) - 60000
SEED = campaign.SEED
PRICE = {"input": 5000, "cache_read": 500, "cache_write": 6250, "output": 25000}


def claude_logs(draw, count):
    """Records, and what they come to: requests, tokens, nano-dollars."""
    logs, tokens, cost_nusd = [], 0, 0
    for i in range(count):
        parts = {name: draw.randrange(1, 50000) for name in PRICE}
        nusd = sum(PRICE[name] * of for name, of in parts.items())
        tokens += sum(parts.values())
        attributes = {"event.name": "api_request", "session.id": "s-%d" % (i % 3),
                      "model": "claude-opus-4-6", "request_id": "req_otel_%05d" % i,
                      "input_tokens": parts["input"], "output_tokens": str(parts["output"]),
                      "cache_read_tokens": parts["cache_read"],
                      "cache_creation_tokens": parts["cache_write"], "duration_ms": 1234}
        # A cost as a double, as text, in millionths, and none, which the prices make up for.
        if i % 4 == 0:
            attributes["cost_usd"] = nusd / 1e9
        elif i % 4 == 1:
            attributes["cost_usd"] = repr(nusd / 1e9)
        elif i % 4 == 2:
            attributes["cost_usd_micros"] = nusd // 1000
            nusd = nusd // 1000 * 1000
        cost_nusd += nusd
        logs.append({"ts_ms": NOW + i, "body": "claude_code.api_request", "attributes": attributes})
        logs.append({"ts_ms": NOW + i, "body": "claude_code.tool_result",
                     "attributes": {"event.name": "tool_result", "session.id": "s-0"}})
    return logs, count, tokens, cost_nusd


def codex_logs(draw, count):
    logs, tokens, cost_nusd = [], 0, 0
    for i in range(count):
        cached, fresh, output = (draw.randrange(1, 9000) for _ in range(3))
        tokens += cached + fresh + output
        cost_nusd += 1750 * fresh + 175 * cached + 14000 * output
        logs.append({"ts_ms": NOW + i, "attributes": {
            "event.name": "codex.sse_event", "event.kind": "response.completed",
            "conversation.id": "conv-%d" % (i % 2), "model": "gpt-5.3-codex",
            "input_token_count": str(cached + fresh), "output_token_count": str(output),
            "cached_token_count": cached, "reasoning_token_count": output // 2,
            "tool_token_count": cached + fresh + output}})
        logs.append({"ts_ms": NOW + i, "attributes": {"event.name": "codex.sse_event",
                                                      "event.kind": "response.created"}})
    return logs, count, tokens, cost_nusd


def send(world, key, **what):
    done = run("telemetry.mjs", dict(what, url="http://127.0.0.1:%d" % world.bridge.port, key=key,
                                     flushes=2))
    assert done["complaints"] == [], done


def usd(nusd):
    text = "%d.%09d" % divmod(nusd, 1000000000)
    return text.rstrip("0") if len(text.rstrip("0").split(".")[1]) >= 2 else text[:-7]


@foreign_test
def test_opentelemetrys_exporters_are_counted_once():
    draw = random.Random(SEED)
    claude, codex = claude_logs(draw, 90), codex_logs(draw, 70)
    with World() as world:
        codex_key = world.key("cy@acme.test", "codex")
        for encoding, gzip in (("json", False), ("proto", True), ("json", True), ("proto", False)):
            send(world, world.ada, encoding=encoding, gzip=gzip, logs=claude[0])
            send(world, codex_key, encoding=encoding, gzip=gzip, logs=codex[0],
                 service="codex_cli_rs")
            total = world.totals()
            assert total["requests"] == claude[1] + codex[1], (encoding, gzip, total)
            assert total["tokens"] == claude[2] + codex[2], (encoding, gzip, total)
            assert total["cost_usd"] == usd(claude[3] + codex[3]), (encoding, gzip, total)
        agents = {one["email"]: one for one in world.board()["members"] if one.get("email")}
        assert agents["ada@acme.test"]["cost_usd"] == usd(claude[3])
        assert agents["cy@acme.test"]["cost_usd"] == usd(codex[3])
    return "%d calls in 4 ways, each counted once, seed %d" % (claude[1] + codex[1], SEED)


@foreign_test
def test_opentelemetrys_counters_are_counted_once():
    counters = [["claude_code.lines_of_code.count", 8, {"type": "added", "session.id": "s-1"}],
                ["claude_code.lines_of_code.count", 3, {"type": "removed", "session.id": "s-1"}],
                ["claude_code.active_time.total", 61.5, {"type": "user", "session.id": "s-1"}],
                ["claude_code.commit.count", 1, {"session.id": "s-1"}],
                ["claude_code.token.usage", 5000, {"type": "input"}],
                ["claude_code.cost.usage", 1.25, {"model": "claude-opus-4-6"}]]
    # Counters at even places are added to twice, the others once (telemetry.mjs).
    lines, active_s = 8 * 2 + 3, 61.5 * 2
    with World() as world:
        ways = [("json", False), ("proto", True)]
        for times, (encoding, gzip) in enumerate(ways, 1):
            for key, cumulative in ((world.ada, False), (world.bob, True)):
                send(world, key, encoding=encoding, gzip=gzip, cumulative=cumulative,
                     counters=counters)
            team = world.team()
            for who in ("ada@acme.test", "bob@acme.test"):
                assert team[who]["lines"] == lines * times, (who, encoding, team[who])
                assert team[who]["active_ms"] == active_s * 1000 * times, (who, team[who])
        assert world.totals()["requests"] == 0 and world.totals()["cost_usd"] == "0.00"
    return "delta and running totals, flushed twice: equal"


@foreign_test
def test_the_protocols_own_client_uses_the_tools():
    with World() as world:
        url = "http://127.0.0.1:%d" % world.bridge.port
        logs = claude_logs(random.Random(SEED), 6)
        send(world, world.ada, encoding="json", gzip=False, logs=logs[0])
        send(world, world.bob, encoding="json", gzip=False,
             logs=[dict(one, attributes=dict(one["attributes"], **{
                 "session.id": "s-bob", "request_id": "req_bob_%d" % i}))
                 for i, one in enumerate(logs[0])])
        world.daemon.wait_caught_up()
        assert world.bridge.get("/api/v1/repos?range=24h", world.admin)["repos"] == []
        calls = [["setSessionGitHubRepo", {"sessionId": "s-%d" % i, "repo": "acme/api"}]
                 for i in range(3)]
        calls += [["addSessionPullRequest", {"sessionId": "s-0", "pullRequest": "#12"}],
                  ["addSessionCommit", {"sessionId": "s-0", "commit": "abcdef0"}],
                  ["setSessionName", {"sessionId": "s-0", "name": "Tidy"}],
                  ["setSessionGitHubRepo", {"sessionId": "s-bob", "repo": "acme/api"}]]
        seen = run("mcp.mjs", {"url": url, "key": world.ada, "calls": calls})
        assert "error" not in seen, seen
        assert seen["tools"] == ["setSessionGitHubRepo", "addSessionPullRequest",
                                 "addSessionCommit", "setSessionName"], seen
        assert seen["server"]["name"] == "tally" and "sessionId" in seen["instructions"]
        assert [error for error, _ in seen["results"]] == [False] * 6 + [True], seen
        world.daemon.wait_caught_up()
        # What the sessions used before the links is the repository's now.
        repo, = world.bridge.get("/api/v1/repos?range=24h", world.admin)["repos"]
        assert (repo["repo"], repo["requests"], repo["cost_usd"]) == (
            "github.com/acme/api", logs[1], usd(logs[3])), repo
        pull, = world.bridge.get("/api/v1/pulls?range=24h", world.admin)["pulls"]
        assert (pull["number"], pull["touched"]["requests"]) == (12, 2), pull
        wrong = run("mcp.mjs", {"url": url, "key": world.ada[:-1] + "x", "calls": []})
        assert "unauthenticated" in wrong["error"], wrong
        return "protocol %s, 7 calls" % seen["version"]
