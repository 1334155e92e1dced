"""What an agent's key comes with works as it is pasted: a shell runs the lines, programs that stand in
for the agents note how they were called, and what they were told to use is used for real."""

import json
import os
import stat
import subprocess
import tempfile
import time
import tomllib

import otlp
from agents import PROTOBUF, World
from bridge import Bridge

NOW = int(time.time() * 1000) - 60000
GATEWAY = "http://127.0.0.1:9999"

# Prints what it was called with, and what of its environment is about us.
STAND_IN = """#!/usr/bin/python3 -B
import json, os, sys
name = os.path.basename(sys.argv[0])
keep = {k: v for k, v in os.environ.items() if k.split("_")[0] in (
    "OTEL", "ANTHROPIC", "CLAUDE", "TALLY", "OPENCODE")}
with open(os.environ["NOTES"], "a") as notes:
    notes.write(json.dumps({"name": name, "args": sys.argv[1:], "env": keep}) + "\\n")
"""


def paste(lines, **environment):
    """How the agents were called by these lines."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("claude", "codex", "opencode"):
            path = os.path.join(folder, name)
            with open(path, "w") as file:
                file.write(STAND_IN)
            os.chmod(path, stat.S_IRWXU)
        notes = os.path.join(folder, "notes")
        done = subprocess.run(["sh", "-u"], input=lines, text=True, stderr=subprocess.PIPE, env=dict(
            {"PATH": folder + ":/usr/bin:/bin", "NOTES": notes}, **environment))
        calls = []
        if os.path.exists(notes):
            with open(notes) as file:
                calls = [json.loads(line) for line in file]
        return done.returncode, done.stderr, calls


def overrides(args):
    """codex -c key=value ...: as Codex reads them, values in TOML, else as text."""
    found = {}
    for flag, word in zip(args[::2], args[1::2]):
        assert flag == "-c", args
        key, of = word.split("=", 1)
        try:
            found[key] = tomllib.loads("x = " + of)["x"]
        except tomllib.TOMLDecodeError:
            found[key] = of
    return found


def enrol(world, kind):
    """An agent of somebody who is invited, as an admin asks for it."""
    world.bridge.ask("/api/v1/invitations", world.admin, "POST", '{"email":"eve@acme.test"}',
                     Content_Type="application/json")
    return world.bridge.send("/api/v1/members/eve@acme.test/agents", world.admin, "POST",
                             {"type": kind})


def export_as_told(world, endpoint, headers, path=""):
    """One call, exported where the lines said, is the key's member's."""
    base = "http://127.0.0.1:%d" % world.bridge.port
    assert endpoint.startswith(base), endpoint
    before = world.totals()["requests"]
    status, _, text = Bridge.at(world.bridge.port).ask(
        endpoint[len(base):] + path, method="POST", Content_Type=PROTOBUF, **headers,
        body=otlp.protobuf(otlp.logs([otlp.claude(NOW, "req_setup_%d" % before)])))
    assert (status, text) == (200, b""), (status, text)
    assert world.totals()["requests"] == before + 1


def ping(world, url, authorization):
    base = "http://127.0.0.1:%d" % world.bridge.port
    assert url == base + "/mcp", url
    status, _, text = world.bridge.ask("/mcp", method="POST", Content_Type="application/json",
                                       Authorization=authorization,
                                       body='{"jsonrpc":"2.0","id":1,"method":"ping"}')
    assert status == 200, (status, text)


def test_claude_code():
    with World() as world:
        made = enrol(world, "claude_code")
        code, said, calls = paste(made["instructions_direct"])
        assert (code, said, [c["name"] for c in calls]) == (0, "", ["claude", "claude"]), said
        env = calls[1]["env"]
        assert calls[1]["args"] == [] and env["CLAUDE_CODE_ENABLE_TELEMETRY"] == "1"
        assert "ANTHROPIC_BASE_URL" not in env
        assert (env["OTEL_METRICS_EXPORTER"], env["OTEL_LOGS_EXPORTER"]) == ("otlp", "otlp")
        name, of = env["OTEL_EXPORTER_OTLP_HEADERS"].split("=", 1)
        export_as_told(world, env["OTEL_EXPORTER_OTLP_ENDPOINT"], {name: of}, "/v1/logs")
        args = calls[0]["args"]
        assert args[:5] == ["mcp", "add", "--transport", "http", "tally"] and args[6] == "--header"
        ping(world, args[5], args[7].split(": ", 1)[1])
        code, _, calls = paste(made["instructions"], TALLY_GATEWAY=GATEWAY)
        env = calls[1]["env"]
        assert (env["ANTHROPIC_BASE_URL"], env["ANTHROPIC_AUTH_TOKEN"]) == (GATEWAY, made["token"])
        assert "CLAUDE_CODE_ENABLE_TELEMETRY" not in env  # or its calls would count twice
        ping(world, calls[0]["args"][5], calls[0]["args"][7].split(": ", 1)[1])
        code, said, calls = paste(made["instructions"])
        assert code != 0 and "TALLY_GATEWAY" in said and calls == [], said


def test_codex():
    with World() as world:
        made = enrol(world, "codex")
        code, said, (call,) = paste(made["instructions_direct"])
        assert (code, said) == (0, ""), said
        told = overrides(call["args"])
        http = told["otel.exporter"]["otlp-http"]
        assert http["protocol"] == "binary" and http["endpoint"].endswith("/v1/logs")
        export_as_told(world, http["endpoint"], http["headers"])
        server = told["mcp_servers.tally"]
        ping(world, server["url"], "Bearer " + call["env"][server["bearer_token_env_var"]])
        code, said, (call,) = paste(made["instructions"], TALLY_GATEWAY=GATEWAY)
        told = overrides(call["args"])
        assert told["model_providers.tally.base_url"] == GATEWAY + "/v1", told
        assert call["env"][told["model_providers.tally.env_key"]] == made["token"]
        assert "otel.exporter" not in told and "mcp_servers.tally" in told


def test_opencode():
    with World() as world:
        made = enrol(world, "opencode")
        for key, has_provider in (("instructions", True), ("instructions_direct", False)):
            code, said, (call,) = paste(made[key], TALLY_GATEWAY=GATEWAY)
            assert (code, said) == (0, ""), said
            config = json.loads(call["env"]["OPENCODE_CONFIG_CONTENT"])
            assert ("provider" in config) == has_provider, config
            server = config["mcp"]["tally"]
            assert (server["type"], server["enabled"]) == ("remote", True)
            ping(world, server["url"], server["headers"]["Authorization"].replace(
                "{env:TALLY_KEY}", call["env"]["TALLY_KEY"]))
        assert config.get("provider") is None
        turned = world.bridge.send("/api/v1/agents/%s/rotate" % made["agent_id"], world.admin, "POST")
        _, _, (call,) = paste(turned["instructions_direct"])
        assert call["env"]["TALLY_KEY"] == turned["token"] != made["token"]
        other = enrol(world, "of_our_own")
        for key in ("instructions", "instructions_direct"):
            assert paste(other[key])[:2] == (0, ""), other[key]


def test_an_address_is_only_an_address():
    with World() as world:
        control = world.daemon.control()
        for i, url in enumerate(("ftp://x", "http://x y", "http://$(id)", "http://x\"", "http://`id`",
                                 "http://x'", "tally.example", "http://x\n", "http://" + "x" * 200)):
            try:
                control.ask({"v": 1, "op": "agent_create", "org": "acme", "type": "codex",
                             "email": "m%d@acme.test" % i, "url": url})
                raise AssertionError(url)
            except Exception as refused:
                assert "bad_param" in str(refused) or "string" in str(refused), (url, refused)
        made = control.ask({"v": 1, "op": "agent_create", "org": "acme", "type": "codex",
                            "email": "n@acme.test", "url": "https://tally.example:8443"})
        assert 'TALLY_URL="https://tally.example:8443"' in made["instructions"]
        control.close()
