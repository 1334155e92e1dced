"""Runs a program whose k-th call that changes a file goes wrong (kth_syscall.c).

    kth_syscall.py DIRECTORY K ACTION COMMAND...

ACTION: EIO, ENOSPC, EINTR, short, kill, sleep, or none to count. Prints how many calls there were.
BUILD names the build directory."""

import mmap
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fault.preload import preload  # noqa: E402


class Kth:
    """The state shared with the program; it outlives the program's death."""

    def __init__(self, path, directory, action, calls=None, sleep_ms=None, trace=None,
                 seed=None):
        with open(path, "wb") as file:
            file.write(bytes(32))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 32)
        settings = {"TALLY_KTH_STATE": path, "TALLY_KTH_DIR": directory,
                    "TALLY_KTH_ACTION": action, "TALLY_KTH_CALLS": calls,
                    "TALLY_KTH_SLEEP_MS": sleep_ms, "TALLY_KTH_TRACE": trace,
                    "TALLY_KTH_SEED": seed and str(seed)}
        self.trace = trace
        self.settings = {name: value for name, value in settings.items() if value is not None}

    def environment(self, *others, **settings):
        return preload("kth_syscall", *others, **self.settings, **settings)

    def arm(self, at, stride=0):
        struct.pack_into("<qq", self.map, 8, at, stride)

    @property
    def calls(self):
        return struct.unpack_from("<q", self.map, 0)[0]

    @property
    def struck(self):
        return struct.unpack_from("<q", self.map, 24)[0]

    def call(self, number):
        """The name of the call ("reopen" when its file was opened before), and of its file without
        numbers; needs a trace."""
        opened = set()
        with open(self.trace) as file:
            for line in file:
                count, call, path = line.split()
                if call == "open" and path in opened:
                    call = "reopen"
                if int(count) == number:
                    return call, re.sub(r"\d+", "N", os.path.basename(path))
                if call == "open":
                    opened.add(path)
        return "none", "none"


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    kth = Kth("/tmp/kth.%d" % os.getpid(), os.path.abspath(sys.argv[1]), sys.argv[3])
    kth.arm(int(sys.argv[2]))
    code = subprocess.run(sys.argv[4:], env=dict(os.environ, **kth.environment())).returncode
    print("kth: %d calls, struck %d, exit %d" % (kth.calls, kth.struck, code))
    os.unlink("/tmp/kth.%d" % os.getpid())
