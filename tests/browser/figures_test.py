"""What the dashboard does to figures before they are shown: money, counts, times, scales."""

import os
import subprocess

from browser import PLACE, browser_test
from daemon import BUILD

# Where the Makefile builds the dashboard.
WEB = os.path.abspath(os.path.join("build" if BUILD.startswith("build/") else BUILD, "web"))


@browser_test
def test_functions_of_figures():
    done = subprocess.run(["node", os.path.abspath("tests/browser/figures.mjs"), WEB], cwd=PLACE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:]
