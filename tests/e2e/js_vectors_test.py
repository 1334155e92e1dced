"""What a JavaScript decoder made of some frames, recorded, and what our reader makes of them now."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "fuzz"))
import js_differential


def test_javascript_gave_the_same_verdicts_and_values():
    chosen, their_lines = js_differential.vectors()
    counts, failures = js_differential.compare(chosen, js_differential.ours(chosen), their_lines)
    assert not failures, "\n".join(failures[:5])
    assert counts["same values"] >= 50 and counts["both refuse"] >= 50, counts
    return "%d recorded frames" % len(chosen)


def test_javascript_here_gives_the_same_verdicts_and_values():
    folder = os.path.join(js_differential.BUILD, "js")
    if not os.path.isdir(folder):
        return "not run: there is no node package in %s (make fuzz F=js makes it)" % folder
    chosen = list(js_differential.frames(int(os.environ.get("SEED") or 7), 2000))
    counts, failures = js_differential.compare(
        chosen, js_differential.ours(chosen), js_differential.theirs(
            js_differential.package(), chosen))
    assert not failures, "\n".join(failures[:5])
    return str(counts)
