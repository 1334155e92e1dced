"""Packages from npm for tests: a folder with a lock file, copied under the build directory and installed
there once."""

import fcntl
import os
import shutil
import subprocess


def installed(folder, place):
    """Bring what the lock file of folder names to place, its scripts with it. Why not, or ""."""
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(os.path.join(folder, "package-lock.json"), "rb") as file:
            wanted = file.read()
        for name in os.listdir(folder):
            if name.endswith((".json", ".mjs")):
                shutil.copy(os.path.join(folder, name), place)
        mark = os.path.join(place, "node_modules", ".installed")
        if os.path.exists(mark) and open(mark, "rb").read() == wanted:
            return ""
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"], cwd=place,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            return "npm ci failed: " + done.stdout[-300:]
        with open(mark, "wb") as file:
            file.write(wanted)
    return ""
