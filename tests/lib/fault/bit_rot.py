"""Damages one file of a data directory, as disks do; use it on a copy.

    bit_rot.py DIRECTORY KIND [SEED]

KIND: flip (one bit), zero (4 KiB), swap (4 KiB with 4 KiB elsewhere in the file), truncate, delete.
The kind of file is drawn first (table, write-ahead log, manifest, and so on), then the file, then
the place, so that small files have their turn. LOG*, LOCK and sockets are left alone: nobody reads
them. Prints what it did."""

import os
import random
import re
import stat
import sys

PAGE = 4096
IGNORED = re.compile(r"LOG(\.old.*)?|LOCK|tallyd\.log|ballast.*|.*\.sock")


def files_of(directory):
    """Kind of file -> sorted paths that hold something."""
    kinds = {}
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if IGNORED.fullmatch(name) or not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            if os.stat(path).st_blocks and os.path.getsize(path):
                kind = re.sub(r"[-.]?\d+[-.]?", "", name)
                kinds.setdefault(kind, []).append(path)
    return kinds


def pick(directory, rng):
    kinds = files_of(directory)
    return rng.choice(sorted(kinds[rng.choice(sorted(kinds))]))


def flip(path, rng):
    at, bit = rng.randrange(os.path.getsize(path)), rng.randrange(8)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    return "bit %d of byte %d" % (bit, at)


def page_of(path, rng):
    return rng.randrange((os.path.getsize(path) + PAGE - 1) // PAGE) * PAGE


def zero(path, rng):
    at = page_of(path, rng)
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes(min(PAGE, os.path.getsize(path) - at)))
    return "page at %d zeroed" % at


def swap(path, rng):
    """Only whole pages; a file of one page is rotated by half of itself."""
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        pages = len(data) // PAGE
        if pages < 2:
            data = data[len(data) // 2:] + data[:len(data) // 2]
            what = "halves swapped"
        else:
            a, b = (page * PAGE for page in rng.sample(range(pages), 2))
            data[a:a + PAGE], data[b:b + PAGE] = data[b:b + PAGE], data[a:a + PAGE]
            what = "pages at %d and %d swapped" % (a, b)
        file.seek(0)
        file.write(data)
    return what


def truncate(path, rng):
    size = rng.randrange(os.path.getsize(path))
    os.truncate(path, size)
    return "cut to %d bytes" % size


def delete(path, rng):
    os.unlink(path)
    return "deleted"


KINDS = {"flip": flip, "zero": zero, "swap": swap, "truncate": truncate, "delete": delete}


def rot(directory, kind, rng):
    path = pick(directory, rng)
    size = os.path.getsize(path)
    return "%s (%d bytes): %s" % (os.path.relpath(path, directory), size, KINDS[kind](path, rng))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[2] not in KINDS:
        sys.exit(__doc__)
    print(rot(sys.argv[1], sys.argv[2], random.Random(int((sys.argv + ["1"])[3]))))
