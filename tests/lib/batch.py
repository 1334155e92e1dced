"""Batches out of events that are encoded once and sent many times, in any order."""

import struct

import msgpack


def encode(events):
    return [msgpack.packb(event) for event in events]


def frame(token, encoded, **more):
    """A batch of encoded events as one message."""
    head = dict({"v": 1, "token": token}, **more)
    body = bytes([0x80 | (len(head) + 1)])
    for name, value in head.items():
        body += msgpack.packb(name) + msgpack.packb(value)
    return (body + msgpack.packb("events") + b"\xdc" + struct.pack(">H", len(encoded))
            + b"".join(encoded))


def split(rng, encoded, least=1, most=1000):
    """The list in parts of random sizes."""
    at = 0
    while at < len(encoded):
        size = rng.randrange(least, most + 1)
        yield encoded[at:at + size]
        at += size


def push(client, token, encoded, **more):
    """Send, and see that every event has its verdict."""
    body = frame(token, encoded, **more)
    reply = msgpack.unpackb(client.raw(body))
    assert reply.get("ok"), reply
    counted = reply["accepted"] + reply["duplicate"] + reply["replaced"] + reply["rejected"]
    assert counted == len(encoded), reply
    return reply
