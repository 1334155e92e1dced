"""The Model Context Protocol: what an agent says of its session is a link, durable before the answer;
what is wrong is said in JSON-RPC, or to the model."""

import json
import time

import otlp
from agents import JSON, World

NOW = int(time.time() * 1000) - 60000
VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
TOOLS = ["setSessionGitHubRepo", "addSessionPullRequest", "addSessionCommit", "setSessionName"]


def rpc(world, message, token=None, status=200, version=None):
    body = message if isinstance(message, (str, bytes)) else json.dumps(message)
    headers = {"MCP_Protocol_Version": version} if version else {}
    got = world.bridge.ask("/mcp", world.ada if token is None else token, "POST", body,
                           Content_Type=JSON, Accept="application/json, text/event-stream", **headers)
    assert got[0] == status, got
    return json.loads(got[2]) if got[2] else None


def call(world, tool, token=None, call_id=7, **arguments):
    reply = rpc(world, {"jsonrpc": "2.0", "id": call_id, "method": "tools/call",
                        "params": {"name": tool, "arguments": arguments}}, token)
    assert (reply["jsonrpc"], reply["id"]) == ("2.0", call_id), reply
    return reply["result"]["isError"], reply["result"]["content"][0]["text"]


def test_a_client_that_begins():
    with World() as world:
        for version in VERSIONS + ("1900-01-01", None):
            params = {"capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            if version:
                params["protocolVersion"] = version
            reply = rpc(world, {"jsonrpc": "2.0", "id": "a\"1", "method": "initialize",
                                "params": params})
            assert reply["id"] == "a\"1", reply
            assert reply["result"]["protocolVersion"] == (
                version if version in VERSIONS else VERSIONS[0]), reply
            assert reply["result"]["capabilities"] == {"tools": {"listChanged": False}}
        assert rpc(world, {"jsonrpc": "2.0", "method": "notifications/initialized"},
                   status=202) is None
        for version in VERSIONS:
            listed = rpc(world, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
                         version=version)["result"]["tools"]
            assert [tool["name"] for tool in listed] == TOOLS
            assert rpc(world, {"jsonrpc": "2.0", "id": 3, "method": "ping"},
                       version=version) == {"jsonrpc": "2.0", "id": 3, "result": {}}
        for tool in listed:
            schema = tool["inputSchema"]
            assert schema["type"] == "object" and "sessionId" in schema["required"]
            assert sorted(schema["required"]) == sorted(schema["properties"])


def test_links_move_what_the_session_used_before():
    with World() as world:
        world.export("logs", otlp.logs([otlp.claude(NOW, "req_mcp_%d" % i, "s-ada")
                                        for i in range(4)]))
        assert call(world, "setSessionGitHubRepo", sessionId="s-ada", repo="acme/old") == (
            False, "Noted.")
        time.sleep(0.002)  # the last one counts, by the millisecond
        assert call(world, "setSessionGitRepo", sessionId="s-ada",
                    repo="git@github.com:acme/api.git") == (False, "Noted.")
        assert call(world, "addSessionPullRequest", sessionId="s-ada", pullRequest=7)[0] is False
        assert call(world, "addSessionPullRequest", sessionId="s-ada",
                    pullRequest="https://github.com/acme/web/pull/9")[0] is False
        assert call(world, "addSessionCommit", sessionId="s-ada", commit="ABCDEF0123")[0] is False
        assert call(world, "setSessionName", sessionId="s-ada", name="Faster \u00fcbersicht")[0] is False
        world.daemon.wait_caught_up()
        session = world.bridge.get("/api/v1/sessions/s-ada", world.admin)
        assert session["repo"] == "github.com/acme/api", session
        assert session["name"] == "Faster \u00fcbersicht"
        assert [(one["repo"], one["number"]) for one in session["pulls"]] == [
            ("github.com/acme/api", 7), ("github.com/acme/web", 9)], session["pulls"]
        assert session["commits"] == ["abcdef0123"]
        repos = world.bridge.get("/api/v1/repos?range=24h", world.admin)["repos"]
        assert [(one["repo"], one["requests"]) for one in repos] == [("github.com/acme/api", 4)]


def test_what_a_model_is_told():
    with World() as world:
        world.export("logs", otlp.logs([otlp.claude(NOW, "req_bob_1", "s-bob")]), world.bob)
        world.daemon.wait_caught_up()
        for tool, arguments, said in (
                ("setSessionGitHubRepo", {"sessionId": "s-bob", "repo": "acme/api"}, "another member"),
                ("setSessionGitHubRepo", {"repo": "acme/api"}, "sessionId"),
                ("setSessionGitHubRepo", {"sessionId": "s" * 65, "repo": "acme/api"}, "sessionId"),
                ("setSessionGitHubRepo", {"sessionId": "s-1"}, "repo: "),
                ("setSessionGitHubRepo", {"sessionId": "s-1", "repo": ["x"]}, "repo: "),
                ("setSessionGitHubRepo", {"sessionId": "s-1", "repo": "x" * 301}, "repo: "),
                ("setSessionGitHubRepo", {"sessionId": "s-1", "repo": "not a repo"}, "repositor"),
                ("addSessionPullRequest", {"sessionId": "s-1", "pullRequest": "zero"}, "pull request"),
                ("addSessionCommit", {"sessionId": "s-1", "commit": "xyz"}, "commit"),
                ("setSessionName", {"sessionId": "s-1\n", "name": "x"}, "session")):
            is_error, text = call(world, tool, **arguments)
            assert is_error and said in text, (tool, arguments, text)


def test_what_a_client_is_told():
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    with World() as world:
        for message, code, call_id in (
                ("{", -32700, None), ("", -32700, None), ("[[[[[[[[[[[[[[[[[[1", -32700, None),
                ({"id": 1, "method": "ping"}, -32600, None),
                ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600, None),
                ({"jsonrpc": "2.0", "id": 1}, -32600, None),
                ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600, None),
                ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, -32600, None),
                ([], -32600, None), ([ping] * 101, -32600, None),
                ({"jsonrpc": "2.0", "id": 5, "method": "resources/list"}, -32601, 5),
                ({"jsonrpc": "2.0", "id": 6, "method": "tools/call",
                  "params": {"name": "rm"}}, -32602, 6),
                ({"jsonrpc": "2.0", "id": 6, "method": "tools/call"}, -32602, 6)):
            reply = rpc(world, message)
            assert (reply["error"]["code"], reply["id"]) == (code, call_id), (message, reply)
        # Batches where the version has them; notifications and responses get no answer.
        batch = [ping, {"jsonrpc": "2.0", "method": "notifications/cancelled"},
                 {"jsonrpc": "2.0", "id": 3, "result": {}}, {"nonsense": 1},
                 {"jsonrpc": "2.0", "id": "c", "method": "tools/call", "params": {
                     "name": "setSessionName", "arguments": {"sessionId": "s-1", "name": "n"}}},
                 {"jsonrpc": "2.0", "id": "d", "method": "tools/call", "params": {
                     "name": "addSessionCommit", "arguments": {"sessionId": "s-1", "commit": "?"}}}]
        for version in (None, "2025-03-26", "2024-11-05"):
            replies = rpc(world, batch, version=version)
            assert [reply["id"] for reply in replies] == [1, None, "c", "d"], replies
            assert [reply["result"]["isError"] for reply in replies[2:]] == [False, True], replies
        for version in ("2025-06-18", "2025-11-25"):
            assert rpc(world, batch, version=version)["error"]["code"] == -32600
        assert rpc(world, batch[1:3], status=202) is None
        rpc(world, ping, version="1900-01-01", status=400)
        rpc(world, ping, token="", status=401)
        rpc(world, ping, token="nobody", status=401)
        rpc(world, ping, token=world.admin, status=403)
        for method in ("GET", "DELETE"):
            assert world.bridge.ask("/mcp", world.ada, method)[0] == 405
        assert world.bridge.ask("/mcp", world.ada, "POST", "{}", Content_Type="text/plain")[0] == 415


def test_a_link_that_was_answered_survives():
    with World() as world:
        for i in range(20):
            assert call(world, "setSessionName", sessionId="s-%d" % i, name="n-%d" % i)[0] is False
        world.daemon.kill()
        world.daemon.start()
        client = world.daemon.query_control()
        world.daemon.wait_caught_up()
        names = {i: client.ask({"v": 1, "op": "session", "org": "acme",
                                "session": "s-%d" % i})["name"] for i in range(20)}
        client.close()
        assert names == {i: "n-%d" % i for i in range(20)}, names
