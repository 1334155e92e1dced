"""The clocks of one machine, for a program started with its environment (lib/fault/wall_clock.c in its
form with a file): set the wall, let time pass, say whether the kernel calls it synchronised."""

import mmap
import os
import struct
import tempfile

from preload import preload

SECOND = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


class Wall:
    """Use it in a with block. What is set holds from the next look at the clock on."""

    def __init__(self):
        handle, self.path = tempfile.mkstemp(prefix="tally-wall-")
        os.ftruncate(handle, 24)
        self.map = mmap.mmap(handle, 24)
        os.close(handle)
        self.wall_ms = self.boot_ms = 0
        self.is_synchronised = False

    def environment(self):
        return preload("wall_clock", TALLY_WALL_FILE=self.path)

    def _write(self):
        self.map[:] = struct.pack("<qqq", self.wall_ms, self.boot_ms, self.is_synchronised)

    def step(self, ms):
        """Somebody sets the wall."""
        self.wall_ms += ms
        self._write()

    def pass_time(self, ms):
        """Time passes, on all clocks but the monotonic one."""
        self.wall_ms += ms
        self.boot_ms += ms
        self._write()

    def synchronised(self, value):
        self.is_synchronised = value
        self._write()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.map.close()
        os.unlink(self.path)
