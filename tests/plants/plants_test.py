"""The quick form of the planted defects: two variants of the product, and a suite that fails on each."""

import os
import subprocess

from daemon import sanitizer


def test_two_planted_defects_are_caught():
    if sanitizer():
        return "left out under sanitizers: they see other things"
    done = subprocess.run(["/usr/bin/python3", "-B", "tests/plants/run.py"], text=True,
                          env=dict(os.environ, QUICK="1"), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip().split("\n")[-1]
