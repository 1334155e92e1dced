"""Runs fuzz targets: campaign.py [--keep] NAME... or all

Environment: BUILD (where fuzz/<name> lie), BUDGET (seconds for all targets together, 60), SEED,
JOBS (processes at a time, 1). Inputs that reach something new are kept in BUILD/corpus/<name> from
one campaign to the next; --keep puts the smallest set of them that reaches as much into
tests/fuzz/corpus/<name>, which make test replays. A finding is kept in BUILD/findings/<name>-... and
its target runs on until its share of the time is used up.

Ends with one line: fuzz: targets n, executions n, findings n
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import seeds

BUILD = os.environ.get("BUILD") or "build/fuzz"
BUDGET_S = float(os.environ.get("BUDGET") or 60)
SEED = int(os.environ.get("SEED") or time.time_ns() % 2**31)
JOBS = int(os.environ.get("JOBS") or 1)
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# Memory asked for in one piece and altogether: a decoder that believes a length is a finding.
BOUNDS = ["-malloc_limit_mb=64", "-rss_limit_mb=1024", "-timeout=10"]
# Larger inputs only where a format has large ones.
MAX_BYTES = {"batch": 4096, "differential": 4096, "zone": 4096, "conf": 2048,
             "otlp_json": 4096, "otlp_pb": 4096, "mcp": 2048}
ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1",
           UBSAN_OPTIONS="print_stacktrace=1")


def targets():
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(BUILD, "fuzz", "*"))
                  if "." not in os.path.basename(path))


def committed(name):
    return os.path.join(HERE, "corpus", name)


def working(name):
    folder = os.path.join(BUILD, "corpus", name)
    os.makedirs(folder, exist_ok=True)
    return folder


def run_once(name, seconds, seed, profile):
    """One process of libFuzzer: executions, edges, and what it found (a path) or None."""
    prefix = os.path.join(BUILD, "findings", name + "-")
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    before = set(glob.glob(prefix + "*"))
    command = [os.path.join(BUILD, "fuzz", name), *BOUNDS, "-seed=%d" % seed,
               "-max_total_time=%d" % max(1, seconds), "-max_len=%d" % MAX_BYTES.get(name, 1024),
               "-print_final_stats=1", "-artifact_prefix=" + prefix,
               "-use_value_profile=%d" % profile]
    words = os.path.join(HERE, "words", name + ".dict")
    if os.path.exists(words):
        command.append("-dict=" + words)
    folders = [working(name)] + [f for f in (committed(name),) if os.path.isdir(f)]
    done = subprocess.run(command + folders, cwd=ROOT, env=ENV, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    executions = [int(n) for n in re.findall(r"^#(\d+)", text, re.M)]
    executions += [int(n) for n in re.findall(r"number_of_executed_units: +(\d+)", text)]
    edges = [int(n) for n in re.findall(r"cov: (\d+)", text)]
    found = None
    if done.returncode != 0:
        found = ", ".join(sorted(set(glob.glob(prefix + "*")) - before)) or "no input was kept"
        with open(prefix + "log", "a") as log:
            log.write(text)
        print("\n".join(line for line in text.splitlines() if re.search(
            r"ERROR|runtime error|Assertion", line))[:1000], flush=True)
    return max(executions or [0]), max(edges or [0]), found


def run_target(name, seconds, seed, results):
    started = time.monotonic()
    seeds.write(name, working(name))
    total, edges, findings = 0, 0, []
    # The first quarter also looks at how near compared values are: half as fast, finds magic numbers.
    for part, profile in ((0.25, 1), (1, 0)):
        while len(findings) < 10:
            left = seconds * part - (time.monotonic() - started)
            if left < 1 and total > 0:
                break
            executions, reached, found = run_once(name, left, seed + len(findings), profile)
            total, edges = total + executions, max(edges, reached)
            if found:
                findings.append(found)
    used_s = time.monotonic() - started
    results[name] = (total, len(findings))
    print("%-14s %12d executions  %6.0f s  %8.0f /s  %6d edges  %d findings %s" % (
        name, total, used_s, total / used_s, edges, len(findings), " ".join(findings)), flush=True)


def campaign(names):
    shares = BUDGET_S * JOBS / len(names)
    results, left, lock = {}, list(names), threading.Lock()
    print("fuzz: seed %d, %.0f s for each of %d targets" % (SEED, shares, len(names)), flush=True)

    def lane():
        while True:
            with lock:
                if not left:
                    return
                name = left.pop(0)
            run_target(name, shares, SEED, results)

    lanes = [threading.Thread(target=lane) for _ in range(JOBS)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    findings = sum(count for _, count in results.values())
    print("fuzz: targets %d, executions %d, findings %d" % (
        len(results), sum(count for count, _ in results.values()), findings))
    return 1 if findings or len(results) != len(names) else 0


def keep(name):
    """The smallest set of inputs that reaches as much: what is committed."""
    fresh = committed(name) + ".fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    command = [os.path.join(BUILD, "fuzz", name), *BOUNDS, "-set_cover_merge=1",
               "-max_len=%d" % MAX_BYTES.get(name, 1024), fresh, working(name)]
    if os.path.isdir(committed(name)):
        command.append(committed(name))
    subprocess.run(command, cwd=ROOT, env=ENV, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    # What was once a finding stays, whether or not it reaches anything new.
    for path in glob.glob(os.path.join(committed(name), "finding_*")):
        shutil.copy(path, fresh)
    shutil.rmtree(committed(name), ignore_errors=True)
    os.rename(fresh, committed(name))
    files = os.listdir(committed(name))
    print("%-14s %5d inputs, %8d bytes" % (name, len(files), sum(
        os.path.getsize(os.path.join(committed(name), file)) for file in files)), flush=True)


def main():
    words = [word for word in sys.argv[1:] if word != "--keep"]
    known = targets()
    names = known if words == ["all"] else words
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        print("no target %s; there are: %s" % (" ".join(unknown), " ".join(known)))
        return 2
    if "--keep" in sys.argv:
        for name in names:
            seeds.write(name, working(name))
            keep(name)
        return 0
    return campaign(names)


sys.exit(main())
