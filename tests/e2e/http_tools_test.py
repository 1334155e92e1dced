"""The API's document, its metrics and README's examples under tools that others wrote. The long form (make test-http)
fetches the linter from npm into the build directory; the quick form uses it when it is there."""

import json
import os
import shutil
import subprocess
import time

import campaign
from bridge import Bridge
from daemon import BUILD, Daemon

LINTER = "@stoplight/spectral-cli@6.16.0"
NPM = os.path.abspath(os.path.join(BUILD, "npm"))
SPECTRAL = os.path.join(NPM, "node_modules/.bin/spectral")


def test_a_linter_accepts_the_document():
    if not os.path.exists(SPECTRAL) and campaign.BUDGET:
        os.makedirs(NPM, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", NPM, LINTER],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not os.path.exists(SPECTRAL):
        return "skipped, the linter is not installed (make test-http fetches it)"
    with Daemon() as daemon, Bridge(daemon) as bridge:
        path = os.path.join(daemon.directory, "openapi.json")
        with open(path, "wb") as file:
            file.write(bridge.ask("/api/v1/openapi.json")[2])
        with open(os.path.join(daemon.directory, ".spectral.yaml"), "w") as file:
            file.write('extends: ["spectral:oas"]\n')
        done = subprocess.run([SPECTRAL, "lint", "--fail-severity=warn", "--ruleset",
                               os.path.join(daemon.directory, ".spectral.yaml"), path],
                              stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stdout
    return "spectral: no errors, no warnings"


def test_promtool_accepts_the_metrics():
    if shutil.which("promtool") is None:
        return "skipped, there is no promtool (Debian package prometheus)"
    with Daemon() as daemon, Bridge(daemon) as bridge:
        org = daemon.create_org()
        bridge.get("/api/v1/leaderboard", org["admin_token"])
        names, text = bridge.metrics()
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout
    return "promtool: %d series, nothing to say" % len(names)


def readme_commands():
    """The curl commands of README, a backslash at a line's end joined."""
    with open("README.md") as file:
        text = file.read().replace("\\\n", "")
    return [line.split("   #")[0].strip() for line in text.splitlines() if line.startswith("curl ")]


def test_readme_is_right_about_curl():
    if shutil.which("curl") is None:
        return "skipped, there is no curl"
    commands = readme_commands()
    assert len(commands) >= 6, commands
    with Daemon() as daemon, Bridge(daemon) as bridge:
        org = daemon.create_org()
        event = {"id": "readme-0001", "ts": int(time.time() * 1000), "email": "ada@acme.test",
                 "agent": "codex", "model": "m", "session": "s-1", "input_tokens": 7,
                 "output_tokens": 1}
        with open(os.path.join(daemon.directory, "events.ndjson"), "w") as file:
            file.write(json.dumps(event) + "\n")
        with open(os.path.join(daemon.directory, "logs.json"), "w") as file:
            file.write('{"resourceLogs":[]}')
        key = daemon.control().ask({"v": 1, "op": "agent_create", "org": "acme",
                                    "email": "ada@acme.test", "type": "claude_code"})["token"]
        # What sends usage comes first, so that the others have something to show.
        for command in sorted(commands, key=lambda c: "/events" not in c):
            run = command.replace("127.0.0.1:8787", "127.0.0.1:%d" % bridge.port).replace(
                "<gateway token>", org["gateway_token"]).replace("<agent key>", key).replace(
                "curl ", "curl -sS --fail-with-body -m 3 ", 1)
            done = subprocess.run(["bash", "-c", run], cwd=daemon.directory, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=dict(os.environ, TALLY_TOKEN=org["admin_token"]))
            # A stream goes on until it is left.
            assert done.returncode == (28 if "/live" in command else 0), (command, done)
            if "/live" in command:
                assert "event: hello" in done.stdout, done
            elif "/events" in command:
                assert json.loads(done.stdout)["accepted"] == 1, done
                daemon.wait_folded(1)
            elif ">" not in run:
                assert isinstance(json.loads(done.stdout), dict), done
        with open(os.path.join(daemon.directory, "requests.csv")) as file:
            assert len(file.read().splitlines()) == 2
    return "%d commands" % len(commands)
