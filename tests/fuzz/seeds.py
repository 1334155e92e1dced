"""What fuzzing starts from: the golden bytes, frames made from seeded usage, and texts that people
write. write(name, folder) puts the seeds of one target into a folder."""

import os
import random
import struct
import sys
import zlib

import msgpack

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import workload  # noqa: E402

NOW_MS = 1795255200000
CHECKSUM_BYTES = 8


def golden(file):
    """name -> bytes of tests/golden/<file>.hex"""
    with open(os.path.join(ROOT, "tests", "golden", file + ".hex")) as lines:
        pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return {name: bytes.fromhex(value) for name, value in pairs}


def events(seed, count):
    made = workload.generate(seed, NOW_MS, 30, 12, ["tally_ca_ab12cd34"])
    made += [{"id": "act_%08d" % i, "ts": NOW_MS - i, "kind": "activity", "session": "s-1",
              "email": "dev1@acme.test", "lines_added": 5 + i, "lines_removed": 2, "commits": 1,
              "pull_requests": 1, "active_ms": 60000, "edits_accepted": 3, "edits_rejected": 1}
             for i in range(2)]
    made += [{"id": "vio_%08d" % i, "ts": NOW_MS - i, "kind": "violation", "rule": "no-secrets",
              "severity": severity, "repo": "git@github.com:acme/api.git"}
             for i, severity in enumerate(("error", "warning", "info"))]
    made += [{"id": "enc_%08d" % i, "ts": NOW_MS, "model": "m", "input_tokens": 1,
              "output_tokens": 2, "email_enc": {"k": b"\1\2", "n": 7}, "commit": "ABCDEF0123",
              "x_more": [1, {"a": 2.5}], "pr": 7, "cost_nusd": None} for i in range(2)]
    random.Random(seed).shuffle(made)
    return made[:count]


def maps(chosen, **more):
    return msgpack.packb({"v": 1, "token": "t", "batch": "b-1", **more, "events": chosen})


def rows(chosen, **more):
    fields = sorted({name for event in chosen for name in event})
    return msgpack.packb({"v": 1, "token": "t", **more, "fields": fields,
                          "rows": [[event.get(name) for name in fields] for event in chosen]})


def batches():
    made = []
    for seed in range(40):
        chosen = events(seed, 1 + seed % 5)
        made += [maps(chosen), rows(chosen)]
    made += [maps(events(1, 1), **{"import": True, "x_trace": 1}),
             msgpack.packb({"v": 1, "token": "t", "events": [3, {}, {"id": None}]}),
             msgpack.packb({"v": 2, "token": "t", "events": [{}]})]
    return made


def values():
    """Every msgpack form once, and nests of them."""
    import datetime
    one_each = [None, True, 1, -1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1,
                2**63, 2**64 - 1, -32, -33, -128, -129, -32768, -32769, -2**31, -2**31 - 1,
                -2**63, 1.5, "", "a" * 31, "a" * 32, "a" * 300, b"", b"b" * 300, [], [1] * 16, {},
                {str(i): i for i in range(16)}, msgpack.ExtType(5, b"x"),
                msgpack.ExtType(5, b"xy"), msgpack.ExtType(6, b"xyzw"),
                msgpack.ExtType(5, b"x" * 8), msgpack.ExtType(5, b"x" * 16),
                msgpack.ExtType(5, b"x" * 20), msgpack.ExtType(5, b"x" * 300),
                datetime.datetime.fromtimestamp(0, datetime.timezone.utc)]
    made = [msgpack.packb(value, datetime=True) for value in one_each]
    made.append(msgpack.packb({"v": 1, "all": one_each[:30]}))
    made.append(b"\xca\x3f\x80\x00\x00")
    nest = 7
    for _ in range(17):
        nest = [nest, {"a": nest}] if len(msgpack.packb(nest)) < 200 else [nest]
        made.append(msgpack.packb(nest))
    return made


def frames():
    made = []
    for batch in batches()[:6]:
        packed = zlib.compress(batch, 1)
        made += [b"\xa0\0" + packed, b"\xf1\x09" + batch, b"\x41\x40" + batch, b"\xf0\0" + batch]
    made += [b"\x60\0" + zlib.compress(bytes(100000)), b"\xa1\x01" + bytes(900)]
    return made


def of(name):
    if name == "reader":
        return values() + batches()[:10]
    if name == "frame":
        return frames()
    if name == "batch":
        return batches()
    if name == "column":
        return [struct.pack(">H", 9) + value for value in golden("column").values()]
    if name == "block":
        return [golden("block")["block"][:-CHECKSUM_BYTES]]
    if name == "page":
        spans = {"quarter": 0, "day": 2, "empty": 1}
        return [bytes([spans[key]]) + value[:-CHECKSUM_BYTES]
                for key, value in golden("page").items()]
    if name == "journal":
        return [struct.pack(">Q", no) + value
                for no, value in enumerate(golden("journal").values(), 1)]
    if name == "session":
        return [value for key, value in golden("value").items() if key.startswith("session")]
    if name == "value":
        kinds = {"life": 0, "life_unused": 0, "intake": 1, "mark": 2}
        return [bytes([kinds[key]]) + value for key, value in golden("value").items()
                if key in kinds]
    return []


def write(name, folder):
    for number, content in enumerate(of(name)):
        with open(os.path.join(folder, "seed_%03d" % number), "wb") as out:
            out.write(content)
