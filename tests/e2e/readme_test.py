"""The README's first five minutes as they are written there: its commands in a shell, on ports of their
own. What a command prints once (tokens) is put where the README says so."""

import os
import re
import socket
import subprocess
import tempfile

from daemon import BUILD
from sp import wait_for

FIRST, LAST = "## Five minutes", "## Sending usage from a gateway"
SECRETS = {"<gateway token>": r"tally_gw_\w{8}_\w+", "<admin token>": r"tally_pat_\w{8}_\w+",
           "<agent key>": r"tally_ca_\w{8}_\w+"}
PRELUDE = """set -eu
curl() { command curl --fail-with-body -sS --max-time 3 "$@" || [ $? = 28 ]; }  # 28: it goes on for ever
"""


def blocks():
    with open("README.md") as file:
        text = file.read()
    found = re.findall(r"```\n(.*?)```", text[text.index(FIRST):text.index(LAST)], re.S)
    # What is printed by a command that makes a secret is wanted by the next.
    return [part for block in found for part in re.split(r"(?m)(?<=\n)(?=cat > logs)", block)]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def script_of(block, port, secrets):
    """The block for a shell: built programs, our port; columns of commands one below the other."""
    lines = [line for line in block.splitlines()
             if not line.startswith(("make", "export PATH", "tally up"))]
    text = "\n".join(re.sub(r"(?<=\w) {2,}(?=tally )", "\n", line) for line in lines)
    for place, token in secrets.items():
        text = text.replace(place, token)
    return PRELUDE + text.replace("127.0.0.1:8787", "127.0.0.1:%d" % port)


def test_the_readmes_first_five_minutes():
    port, secrets, said = free_port(), {}, ""
    programs = os.path.abspath(BUILD)
    with tempfile.TemporaryDirectory(prefix="tally-") as folder:
        env = dict(os.environ, PATH=programs + ":" + os.environ["PATH"])
        log = open(os.path.join(folder, "up.log"), "w")
        up = subprocess.Popen(
            [os.path.join(programs, "tally"), "up", "--http", "127.0.0.1:%d" % port, "--metrics",
             "none", "--ingest", "none", "--query", "none", "--disk-floor-bytes", "64M",
             "--ballast-bytes", "16M"], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            wait_for(lambda: "ready http_port" in open(log.name).read() and os.path.exists(
                os.path.join(folder, "data/query-control.sock")), "tally up")
            for block in blocks():
                done = subprocess.run(["bash"], input=script_of(block, port, secrets), text=True,
                                      cwd=folder, env=env, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT)
                assert done.returncode == 0, (block, done.stdout[-600:])
                said += done.stdout
                for place, pattern in SECRETS.items():
                    for found in re.findall(pattern, done.stdout)[:1]:
                        secrets.setdefault(place, found)
                if "<admin token>" in secrets:
                    env["TALLY_TOKEN"] = secrets["<admin token>"]
            top = subprocess.run([os.path.join(programs, "tally"), "repos", "--json"], cwd=folder,
                                 env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
        finally:
            up.terminate()
            up.wait(timeout=30)
            log.close()
    assert set(secrets) == set(SECRETS), secrets.keys()
    assert "accepted=2 duplicate=0" in said and "accepted=0 duplicate=2" in said
    assert '"isError":false' in said and '"duplicate":2' in said, said[-2000:]
    # Both sessions, one by a gateway's word and one by the agent's own, are the repository's.
    assert '"requests": 2' in top and "github.com/acme/api" in top, top
