"""Runs every suite and counts: python3 tests/run.py [name part] ...

C tests (cmocka binaries, TAP on stdout) and Python tests (functions test_* of *_test.py in tests/e2e,
tests/crash, tests/grid, tests/damage, tests/truth, tests/browser). Prints seconds per suite; the last line is "N
passed, N failed".
"""

import importlib.util
import inspect
import os
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, "tests/lib")
import campaign  # noqa: E402

BUILD = os.environ.get("BUILD", "build/release")
BINARY_TIMEOUT_S = 300

lock = threading.Lock()
passed, failed, timings = [], [], []


def say(text):
    with lock:
        print(text, flush=True)


def record(suite, name, error=None):
    with lock:
        (failed if error else passed).append("%s: %s" % (suite, name))
    if error:
        say("FAILED %s: %s\n%s" % (suite, name, error))


def run_binary(path):
    name = os.path.basename(path)
    try:
        done = subprocess.run([path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=BINARY_TIMEOUT_S,
                              env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP"))
        text, code = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        text, code = (late.stdout or b"").decode(errors="replace"), -1
    oks = [line for line in text.splitlines() if line.startswith("ok ")]
    bad = [line for line in text.splitlines() if line.startswith("not ok ")]
    for line in oks:
        record(name, line.split(" - ", 1)[-1])
    for line in bad:
        record(name, line.split(" - ", 1)[-1], text[-3000:])
    if not bad and (code != 0 or not oks):
        record(name, "exit code %d" % code, text[-3000:])


def run_script(path):
    suite = os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(suite, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception:  # a script that cannot be loaded is a failed test
        record(suite, "load", traceback.format_exc())
        return
    for name, test in list(vars(module).items()):
        if not name.startswith("test_") or not inspect.isfunction(test):
            continue
        try:
            note = test()
            record(suite, name)
            if note:
                say("%s %s: %s" % (suite, name, note))
        except Exception:
            campaign.fail(os.path.basename(os.path.dirname(path)))
            record(suite, name, traceback.format_exc())


def lane(jobs):
    """Take jobs from the shared list until it is empty."""
    while True:
        with lock:
            if not jobs:
                return
            path = jobs.pop(0)
        started = time.monotonic()
        (run_script if path.endswith(".py") else run_binary)(path)
        with lock:
            timings.append((time.monotonic() - started, path))


def main():
    wanted = sys.argv[1:]
    jobs = []
    # The longest first, so that the two lanes end together.
    for folder in ("tests/crash", "tests/grid", "tests/damage", "tests/plants", "tests/truth",
                   "tests/tenants", "tests/browser", "tests/e2e"):
        if os.path.isdir(folder):
            jobs += sorted(os.path.join(folder, name) for name in os.listdir(folder)
                           if name.endswith("_test.py"))
    binaries = os.path.join(BUILD, "tests")
    jobs += sorted(os.path.join(binaries, name) for name in os.listdir(binaries)
                   if name.endswith(("_test", "_prop", "_replay")))
    if wanted:
        jobs = [job for job in jobs if any(word in job for word in wanted)]
    threads = [threading.Thread(target=lane, args=(jobs,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seconds, path in sorted(timings, reverse=True)[:12]:
        print("%6.1f s  %s" % (seconds, path))
    for line in campaign.lines():
        print(line)
    for name in failed:
        print("failed: " + name)
    print("%d passed, %d failed" % (len(passed), len(failed)))
    return 1 if failed or not passed else 0


sys.exit(main())
