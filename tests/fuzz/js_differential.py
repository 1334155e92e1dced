"""Our reader against the JavaScript decoder @msgpack/msgpack, on seeded frames, made and mutated.

  js_differential.py            100,000 frames [FRAMES=n SEED=n]; wants node, and npm for the package
  js_differential.py --record   writes what JavaScript said of some frames to vectors_js.txt, which
                                make test replays without node

Same verdict, same values. Known differences, counted and not compared: we stop at a depth (too_deep);
JavaScript keeps one of two equal keys, reads keys as UTF-8 text and refuses the key __proto__. It has
no integers of 32 bits apart from floats, and here no text apart from bytes: those compare as equal."""

import os
import random
import re
import struct
import subprocess
import sys
import time

import msgpack

import seeds

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD") or "build/release"
PACKAGE = "@msgpack/msgpack"
VERSION = "3.1.3"
VECTORS = os.path.join(HERE, "vectors_js.txt")


def made(rng, depth=0):
    """Any value, small ones more often."""
    kind = rng.randrange(11 if depth < 4 else 8)
    if kind < 3:
        return rng.choice([1, -1]) * rng.getrandbits(rng.choice([3, 6, 7, 8, 15, 16, 31, 32, 62]))
    if kind == 3:
        return rng.choice([None, True, False, 2**64 - 1, 2**63, -2**63])
    if kind == 4:
        return rng.choice([0.0, -0.0, 1.5, float("inf"), float("nan"), rng.random() * 1e300])
    if kind == 5:
        return "".join(rng.choice("abz_\u00e9\u20ac\U0001f600") for _ in range(rng.choice([0, 3, 31, 40])))
    if kind == 6:
        return rng.randbytes(rng.choice([0, 1, 16, 300]))
    if kind == 7:
        return msgpack.ExtType(rng.randrange(128), rng.randbytes(rng.choice([1, 2, 4, 8, 16, 3, 0])))
    if kind == 8:
        return [made(rng, depth + 1) for _ in range(rng.choice([0, 2, 5, 17]))]
    return {rng.choice(["a", "id", "ts", "k%d" % rng.randrange(40), rng.randrange(300)]):
            made(rng, depth + 1) for _ in range(rng.choice([0, 2, 5, 17]))}


def mutated(rng, frame):
    frame = bytearray(frame)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(frame) + 1)
        way = rng.randrange(6)
        if way == 0 and frame:
            frame[at % len(frame)] ^= 1 << rng.randrange(8)
        elif way == 1 and frame:
            frame[at % len(frame)] = rng.randrange(0x80, 0x100)
        elif way == 2:
            frame[at:at] = rng.randbytes(rng.randrange(1, 4))
        elif way == 3:
            del frame[at:at + rng.randrange(1, 4)]
        elif way == 4:
            del frame[at:]
        else:
            other = rng.randrange(len(frame) + 1)
            frame[at:at] = frame[other:other + 16]
    return bytes(frame)


def frames(seed, count):
    rng = random.Random(seed)
    whole = seeds.values() + seeds.batches()
    for _ in range(count):
        frame = rng.choice(whole) if rng.random() < 0.3 else msgpack.packb(
            made(rng), use_single_float=rng.random() < 0.2)
        yield frame if rng.random() < 0.2 else mutated(rng, frame)


class Incomparable(Exception):
    """JavaScript cannot keep this value as it is."""


def number(text):
    value = float(text)
    if value == value and abs(value) < 2**53 and value == int(value):
        return "i%d" % value
    return "d%r" % value


def canonical(text, at=0):
    """One value of a line with its map's entries in order; the text and where it ends."""
    form = text[at]
    if form in "[{":
        parts, at = [], at + 1
        while text[at] not in "]}":
            at += text[at] == ","
            key, at = canonical(text, at)
            if form == "{":
                if key.startswith("x"):
                    try:
                        if bytes.fromhex(key[1:]).decode() == "__proto__":
                            raise Incomparable("the key __proto__")
                    except UnicodeDecodeError:
                        raise Incomparable("a key that is no UTF-8") from None
                value, at = canonical(text, at + 1)
                parts.append((key, value))
            else:
                parts.append(key)
        if form == "[":
            return "[" + ",".join(parts) + "]", at + 1
        if len({key for key, _ in parts}) != len(parts):
            raise Incomparable("two equal keys")
        return "{" + ",".join("%s=%s" % part for part in sorted(parts)) + "}", at + 1
    end = re.compile(r"[,=\]}]|$").search(text, at).start()
    rest = text[at + 1:end]
    if form == "d":
        return number(struct.unpack(">d", bytes.fromhex(rest))[0]), end
    if form == "#":
        return number(rest), end
    return ("x" if form in "sb" else form) + rest, end


def ours(chosen):
    packed = b"".join(struct.pack(">I", len(frame)) + frame for frame in chosen)
    done = subprocess.run([os.path.join(BUILD, "tests", "verdicts")], input=packed, check=True,
                          stdout=subprocess.PIPE)
    return done.stdout.decode().splitlines()


def package():
    """The folder that holds the package, under the build directory; None without node or npm."""
    folder = os.path.abspath(os.path.join(BUILD, "js"))
    try:
        subprocess.run(["node", "--version"], check=True, stdout=subprocess.DEVNULL)
        if not os.path.isdir(os.path.join(folder, "node_modules", PACKAGE)):
            os.makedirs(folder, exist_ok=True)
            subprocess.run(["npm", "install", "--silent", "--prefix", folder,
                            "%s@%s" % (PACKAGE, VERSION)], check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    return folder


def theirs(folder, chosen):
    packed = b"".join(struct.pack(">I", len(frame)) + frame for frame in chosen)
    done = subprocess.run(["node", os.path.join(HERE, "js_verdicts.mjs"), folder], input=packed,
                          check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().splitlines()


def difference(our_line, their_line):
    """None when they agree, a reason when they cannot be compared, else an AssertionError."""
    if our_line == "too_deep":
        return "too_deep"
    if our_line == "frame_malformed":
        assert their_line.startswith("refused"), "only JavaScript takes it: " + their_line
        return None
    try:
        wanted = canonical(our_line)[0]
    except Incomparable as why:
        return str(why)
    assert not their_line.startswith("refused"), "only ours takes it: " + their_line
    assert canonical(their_line)[0] == wanted, "%s\n  is to JavaScript\n%s" % (our_line, their_line)
    return None


def compare(chosen, our_lines, their_lines):
    """How many agree as values, as refused, and are not compared; and the failures."""
    counts, failures = {"same values": 0, "both refuse": 0}, []
    assert len(our_lines) == len(their_lines) == len(chosen)
    for frame, our_line, their_line in zip(chosen, our_lines, their_lines):
        try:
            why = difference(our_line, their_line)
        except AssertionError as bad:
            failures.append("%s: %s" % (frame.hex(), bad))
            continue
        if why is None:
            why = "both refuse" if our_line == "frame_malformed" else "same values"
        counts[why] = counts.get(why, 0) + 1
    return counts, failures


def vectors():
    """The committed frames and what JavaScript said of them."""
    with open(VECTORS) as lines:
        pairs = [line.rstrip("\n").split(" ", 1) for line in lines if not line.startswith("#")]
    return [bytes.fromhex(pair[0]) for pair in pairs], [pair[1] for pair in pairs]


def record(folder):
    chosen = [frame for frame in frames(1, 1500) if 0 < len(frame) <= 120][:400]
    with open(VECTORS, "w") as out:
        out.write("# frame in hex, and what %s %s makes of it (js_differential.py --record)\n" % (
            PACKAGE, VERSION))
        for frame, line in zip(chosen, theirs(folder, chosen)):
            out.write("%s %s\n" % (frame.hex(), line))


def main():
    folder = package()
    if folder is None:
        print("js: node or npm is absent, nothing was compared")
        return 1
    if "--record" in sys.argv:
        return record(folder)
    count = int(os.environ.get("FRAMES") or 100000)
    seed = int(os.environ.get("SEED") or time.time_ns() % 2**31)
    chosen = list(frames(seed, count))
    counts, failures = compare(chosen, ours(chosen), theirs(folder, chosen))
    for failure in failures[:10]:
        print(failure)
    print("js: frames %d, %s, seed %d, findings %d" % (count, ", ".join(
        "%s %d" % pair for pair in sorted(counts.items())), seed, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
