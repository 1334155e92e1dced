"""Quick and long forms of a suite: SEED, BUDGET (seconds; none is the quick form), and the counts of
its figure line, which run.py prints after everything."""

import os
import threading
import time

SEED = int(os.environ.get("SEED") or time.time())
BUDGET = int(os.environ.get("BUDGET") or 0)

_lock = threading.Lock()
_lines = {}
_failed = {}


def size(quick, long):
    return long if BUDGET else quick


def deadline(share):
    """When a loop has used its share of the budget; the quick form is never cut short."""
    return time.monotonic() + BUDGET * share if BUDGET else float("inf")


def count(suite, **figures):
    """Add to the suite's figure line; a name's words are joined by underscores."""
    with _lock:
        line = _lines.setdefault(suite, {})
        for name, figure in figures.items():
            line[name] = line.get(name, 0) + figure


def most(suite, **figures):
    """The same for a figure of which the largest counts."""
    with _lock:
        line = _lines.setdefault(suite, {})
        for name, figure in figures.items():
            line[name] = max(line.get(name, 0), figure)


def fail(suite):
    """A test of the suite failed: its line says so."""
    with _lock:
        _failed[suite] = _failed.get(suite, 0) + 1


def lines():
    """One figure line a suite, figures in the order of their names."""
    return ["%s: %s, mismatches: %d, seed %d" % (suite, ", ".join(
        "%s %d" % (name.replace("_", " "), figure) for name, figure in sorted(line.items())),
        _failed.get(suite, 0), SEED) for suite, line in sorted(_lines.items())]
