"""Clients from npm (tests/foreign), installed under the build directory from the committed lock file.
Without node or npm, or with no registry to reach, a test that wants them says so and is skipped."""

import functools
import json
import os
import shutil
import subprocess

from daemon import BUILD
from npm import installed

HERE = os.path.abspath("tests/foreign")
PLACE = os.path.abspath(os.path.join(BUILD, "tests/foreign"))
RUN_TIMEOUT_S = 90


@functools.lru_cache
def absent():
    """Why there are no such clients, or ""."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node or npm is not there"
    return installed(HERE, PLACE)


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
