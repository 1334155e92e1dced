"""Clients from npm (tests/foreign), installed under the build directory from the committed lock file.
Without node or npm, or with no registry to reach, a test that wants them says so and is skipped."""

import fcntl
import functools
import json
import os
import shutil
import subprocess

from daemon import BUILD

HERE = os.path.abspath("tests/foreign")
PLACE = os.path.abspath(os.path.join(BUILD, "tests/foreign"))
RUN_TIMEOUT_S = 90


def _install():
    with open(os.path.join(HERE, "package-lock.json"), "rb") as file:
        wanted = file.read()
    mark = os.path.join(PLACE, "node_modules", ".installed")
    for name in os.listdir(HERE):
        shutil.copy(os.path.join(HERE, name), PLACE)
    if os.path.exists(mark) and open(mark, "rb").read() == wanted:
        return ""
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
                          cwd=PLACE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        return "npm ci failed: " + done.stdout[-300:]
    with open(mark, "wb") as file:
        file.write(wanted)
    return ""


@functools.lru_cache
def absent():
    """Why there are no such clients, or ""."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node or npm is not there"
    os.makedirs(PLACE, exist_ok=True)
    with open(os.path.join(PLACE, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install()


def foreign_test(test):
    @functools.wraps(test)
    def run():
        if absent():
            return "SKIPPED, NO FOREIGN CLIENT WAS TRIED: " + absent()
        return test()
    return run


def run(script, ask):
    """What the script printed, as JSON."""
    done = subprocess.run(["node", os.path.join(PLACE, script), json.dumps(ask)], cwd=PLACE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=RUN_TIMEOUT_S)
    assert done.returncode == 0, (script, done.stderr[-2000:])
    return json.loads(done.stdout)
