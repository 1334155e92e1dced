"""Builds variants of the product with one deliberate fault each and shows that a suite fails on it:
python3 tests/plants/run.py [number or part of a name] ...

A plant is a patch with a head: what it breaks, the suite that must fail on it, and settings of that
suite. It is applied to a copy of the tree and of its objects, so only what it touches is compiled;
the product itself has no hooks. Before the plants, every suite they name must pass in that copy. A
patch that no longer applies, a variant that does not compile and a suite that passes are failures.

BUILD: objects of the tree as it is. P: words, as the arguments. N: only so many plants. QUICK: the
cheapest two."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))
BUILD = os.path.abspath(os.environ.get("BUILD", "build/release"))
QUICK = ("lower-rev-replaces", "retract-not-subtracting")  # both caught by one cheap suite
SUITE_TIMEOUT_S = 240
HEALTH_TIMEOUT_S = 1200
PYTHON = "/usr/bin/python3"


class Plant:
    def __init__(self, path):
        self.path = path
        self.number, self.name = re.match(r"(\d+)-(.*)\.patch", os.path.basename(path)).groups()
        with open(path) as file:
            text = file.read()
        head = dict(re.findall(r"^(breaks|suite|setting): (.*)$", text, re.M))
        self.files = re.findall(r"^\+\+\+ b/(\S+)", text, re.M)
        self.breaks, self.suites = head["breaks"], tuple(head["suite"].split())
        self.settings = dict(word.split("=") for word in head.get("setting", "").split())


def plants(words):
    every = [Plant(os.path.join(FOLDER, name)) for name in sorted(os.listdir(FOLDER))
             if name.endswith(".patch")]
    return [p for p in every if not words or any(
        w == p.number if w.isdigit() else w in p.name for w in words)]


class Copy:
    """The tree and its objects with their times, so that make sees nothing to do."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="tally-plants-")
        self.tree, self.build = os.path.join(self.root, "tree"), os.path.join(self.root, "build")
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                               stdout=subprocess.PIPE, check=True, text=True).stdout.split("\n")
        for name in names:
            if not os.path.isfile(os.path.join(ROOT, name)):  # deleted, and git not told yet
                continue
            target = os.path.join(self.tree, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(os.path.join(ROOT, name), target)
        shutil.copytree(BUILD, self.build, ignore=shutil.ignore_patterns(
            "bench", "fuzz", "tmp", "*_test", "*_prop"))
        self.name_objects()

    def name_objects(self):
        """Dependency files name their objects by the directory they were built in."""
        given = os.environ.get("BUILD", "build/release")
        for folder, _, names in os.walk(self.build):
            for name in names:
                if not name.endswith(".d"):
                    continue
                path = os.path.join(folder, name)
                times = os.stat(path)
                with open(path) as file:
                    text = file.read()
                with open(path, "w") as file:
                    file.write(text.replace(given + "/", self.build + "/"))
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def patch(self, path, *options):
        """Applies it where it was made for and nowhere near (-F0)."""
        done = subprocess.run(["patch", "-p1", "-F0", "--batch", "--forward", *options,
                               "--no-backup-if-mismatch", "-r", "-", "-i", path], cwd=self.tree,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode == 0, done.stdout

    def read(self, names):
        files = {}
        for name in names:
            with open(os.path.join(self.tree, name)) as file:
                files[name] = file.read()
        return files

    def write(self, files):
        for name, text in files.items():
            with open(os.path.join(self.tree, name), "w") as file:
                file.write(text)

    def make(self, suites):
        targets = ["all"] + [os.path.join(self.build, "tests", suite) for suite in suites
                             if "/" not in suite]
        targets += [os.path.join(self.build, "tests", name[:-2] + ".so") for name in os.listdir(
            os.path.join(self.tree, "tests/lib/fault")) if name.endswith(".c")]
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("MAKEFLAGS", "MFLAGS", "EXTRA_CFLAGS")}
        done = subprocess.run(["make", "-j2", "BUILD=" + self.build, *targets], cwd=self.tree,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment)
        return done.returncode == 0, done.stdout

    def passes(self, suites, settings, timeout_s=SUITE_TIMEOUT_S):
        """Whether the suites pass, and what they say."""
        environment = dict(os.environ, BUILD=self.build, TMPDIR=self.root, **settings)
        environment.pop("BUDGET", None)
        suite = subprocess.Popen([PYTHON, "-B", "tests/run.py", *suites], cwd=self.tree,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 env=environment, start_new_session=True)
        try:
            text = suite.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            text = "failed: %s did not end" % " ".join(suites)
        finally:  # and with it the daemons that a failed test left
            try:
                os.killpg(suite.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return suite.wait() == 0, text


def first_failure(text):
    """The test that failed first."""
    found = re.search(r"^failed: (.*)$", text, re.M)
    return found.group(1) if found else text.strip().split("\n")[-1]


def check_healthy(copy, chosen):
    """Without a plant every suite passes; what fails anyway proves nothing."""
    by_settings = {}
    for plant in chosen:
        suites = by_settings.setdefault(tuple(sorted(plant.settings.items())), set())
        suites.update(plant.suites)
    built, text = copy.make(set().union(*by_settings.values()))
    if not built:
        print(text[-3000:])
        return False
    for settings, suites in by_settings.items():
        passed, text = copy.passes(sorted(suites), dict(settings), HEALTH_TIMEOUT_S)
        if not passed:
            print("without a plant: " + first_failure(text))
            return False
    return True


def stale(copy):
    """Of all plants, whatever was chosen: who changes the code sees which of them it leaves behind."""
    return [plant.number + " " + plant.name for plant in plants([])
            if not copy.patch(plant.path, "--dry-run")[0]]


def try_plant(copy, plant):
    """None when the plant is caught, else why not; what failed on it."""
    sound = copy.read(plant.files)
    try:
        applied, text = copy.patch(plant.path)
        if not applied:
            return "the patch no longer applies: " + text.strip().replace("\n", "; "), ""
        built, text = copy.make(plant.suites)
        if not built:
            return "the variant does not compile: " + text[-1500:], ""
        passed, text = copy.passes(plant.suites, plant.settings)
        return ("not caught by " + " ".join(plant.suites), "") if passed else (
            None, first_failure(text))
    finally:
        copy.write(sound)


def write_table(rows):
    with open(os.path.join(FOLDER, "README.md"), "w") as file:
        file.write(HEAD)
        for plant, caught_by in rows:
            file.write("| %s | %s | %s |\n" % (
                plant.number + " " + plant.name, plant.breaks, caught_by))


HEAD = """# Planted defects

The tests can see bugs: each patch here is one deliberate fault, and a suite must fail on it. `make test-plants` builds
each variant in a copy of the tree and runs that suite, which passes without the plant; `make test-plants P=float N=1`
chooses. `make test` runs two. A patch that no longer applies fails: write it anew for the code as it is. This table is
written by `run.py` when all were caught.

| plant | what it breaks | caught by |
|---|---|---|
"""


def main():
    words = sys.argv[1:] or (QUICK if os.environ.get("QUICK") else [])
    chosen = plants(words or os.environ.get("P", "").split())
    chosen = chosen[:int(os.environ.get("N") or len(chosen))]
    copy = Copy()
    rows, missed = [], []
    try:
        behind = stale(copy)
        if behind:
            print("no longer apply: " + ", ".join(behind))
            return 1
        if not check_healthy(copy, chosen):
            return 1
        for plant in chosen:
            started = time.monotonic()
            why, caught_by = try_plant(copy, plant)
            if why:
                missed.append(plant)
            else:
                rows.append((plant, caught_by))
            print("%s %-34s %5.1f s  %s" % (plant.number, plant.name, time.monotonic() - started,
                                            why or caught_by), flush=True)
    finally:
        shutil.rmtree(copy.root, ignore_errors=True)
    if not missed and len(rows) == len(plants([])):
        write_table(rows)
    print("planted: %d, caught: %d" % (len(chosen), len(rows)))
    return 1 if missed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
