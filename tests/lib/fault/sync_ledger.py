"""A power cut without root: makes a directory what sync_ledger.c says a cut would have left of it.

    sync_ledger.py LEDGER DIRECTORY [SEED]

Of the names made, moved and removed since a directory was last synced, a random number of the
latest is undone (a journal keeps their order). Each file is cut to its size at its last sync and
gets back a random part of what followed: nothing, some of it or all; in a write-ahead log zeros or
noise may follow that. (Not in a manifest: RocksDB refuses one that ends in noise, and neither ext4
nor xfs leave one, as a file grows on them when its bytes are written.) Bytes overwritten in place
since are the old ones, the new ones or half of each. CURRENT, IDENTITY, LOCK, LOG* and OPTIONS*
keep their content. The program must be dead."""

import os
import random
import shutil
import stat
import sys

KEPT = ("CURRENT", "IDENTITY", "LOCK", "LOG", "OPTIONS", "tallyd.log")


def files_below(directory):
    """The names of each file whose content may be lost."""
    files = {}
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = os.path.join(folder, name)
            state = os.lstat(path)
            if not name.startswith(KEPT) and stat.S_ISREG(state.st_mode):
                files.setdefault(state.st_ino, []).append(path)
    return files.values()


class Ledger:
    def __init__(self, path):
        self.path = path
        self.names = []  # what happened to names since a directory was synced: (at, kind, ...)
        self.size = {}  # path -> bytes at the last sync
        self.overwritten = {}  # path -> [(at, offset, old bytes)]
        with open(path, "rb") as file:
            at = 0
            for line in file:
                if line.endswith(b"\n"):  # the last line may be cut by the kill
                    self.read(at, line[:-1].decode().split("\t"))
                at += len(line)

    def read(self, at, fields):
        kind, rest = fields[0], fields[1:]
        if kind == "S":
            path, start = rest[2], int(rest[1])
            self.size[path] = int(rest[0])
            self.overwritten[path] = [o for o in self.overwritten.get(path, []) if o[0] >= start]
        elif kind == "D":
            self.names = [name for name in self.names if name[0] >= int(rest[0])]
        elif kind == "O":
            self.overwritten.setdefault(rest[2], []).append(
                (at, int(rest[0]), bytes.fromhex(rest[1])))
        else:
            self.names.append((at, kind, *rest))
            if kind == "R":
                self.moved(rest[1], rest[2])

    def moved(self, old, new):
        """A file, or a folder with all that is in it."""
        for table in (self.size, self.overwritten):
            table.pop(new, None)
            for path in [path for path in table if path == old or path.startswith(old + "/")]:
                table[new + path[len(old):]] = table.pop(path)

    def undo_name(self, kind, *rest):
        if kind == "C" and os.path.isdir(rest[0]):
            shutil.rmtree(rest[0])
        elif kind == "C" and os.path.exists(rest[0]):
            os.unlink(rest[0])
        elif kind == "U":
            self.put_back(rest[0], rest[1])
        elif kind == "R" and os.path.exists(rest[2]):
            os.rename(rest[2], rest[1])
            self.moved(rest[2], rest[1])
            if rest[0] != "0":
                self.put_back(rest[0], rest[2])

    def put_back(self, kept, path):
        """The folder may have been removed after its files, and is back with them."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.lexists(path):  # a socket is made anew without a call that is noted
            os.link("%s.kept/%s" % (self.path, kept), path)

    def undo_overwrites(self, rng):
        for path, notes in self.overwritten.items():
            for _, offset, old in reversed(notes):
                lost = rng.choice([0, len(old), rng.randrange(len(old))])
                if lost and os.path.exists(path):
                    with open(path, "r+b") as file:
                        file.seek(offset + len(old) - lost)
                        file.write(old[len(old) - lost:])

    def cut_file(self, names, rng):
        """One file, by all its names (a checkpoint links tables). Returns the bytes lost."""
        path = names[0]
        synced, actual = max(self.size.get(name, 0) for name in names), os.path.getsize(path)
        if actual <= synced:
            return 0
        with open(path, "r+b") as file:
            file.seek(synced)
            # A file that was only reserved (the ballast) is cut whole: nobody reads it.
            lost = file.read(min(actual - synced, 1 << 20))
            tail = lost[:rng.choice([0, 0, rng.randrange(len(lost) + 1), len(lost)])]
            noise = rng.choice([0, 0, rng.randrange(1, 5000)])
            if noise and path.endswith(".log"):
                tail += rng.choice([bytes(noise), rng.randbytes(noise)])
            file.truncate(synced)
            file.seek(synced)
            file.write(tail)
        return max(0, actual - synced - len(tail))

    def cut(self, directory, rng):
        """Returns what was undone and lost, for people."""
        undone = rng.randrange(len(self.names) + 1)
        for name in self.names[len(self.names) - undone:][::-1]:
            self.undo_name(*name[1:])
        self.undo_overwrites(rng)
        lost = sum(self.cut_file(names, rng) for names in files_below(directory))
        self.forget()
        return "%d names undone, %d bytes lost" % (undone, lost)

    def forget(self):
        """After the cut everything that is left is on disk: a new ledger must know that."""
        shutil.rmtree(self.path + ".kept", ignore_errors=True)
        os.unlink(self.path)


def settle(ledger, directory):
    """Begin a ledger: every file that is there now counts as synced at its size."""
    with open(ledger, "w") as file:
        for folder, _, files in os.walk(directory):
            for name in files:
                path = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    file.write("S\t%d\t0\t%s\n" % (os.path.getsize(path), path))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    print(Ledger(sys.argv[1]).cut(sys.argv[2], random.Random(
        int(sys.argv[3]) if len(sys.argv) > 3 else 1)))
