"""The API's document and metrics under tools that others wrote. The long form (make test-http)
fetches the linter from npm into the build directory; the quick form uses it when it is there."""

import os
import shutil
import subprocess

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
