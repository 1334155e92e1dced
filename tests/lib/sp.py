"""A REQ client for nng's wire protocol, written from the SP specifications (sp-tcp, sp-ipc,
sp-reqrep) with nothing but sockets: a second implementation to test the daemon against."""

import itertools
import os
import socket
import struct
import time

import msgpack

import invariants


# A program under a sanitizer, on a machine with other work, may take long over ninety new days.
TIMEOUT_S = 90.0 if {"LSAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ) else 20.0


class Refused(Exception):
    """An error reply: code, message and the rest of the error map."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error.get("code"), error.get("message")))
        self.code = error.get("code")
        self.error = error


class Req:
    """One connection, one request at a time; asks again on a new connection when told to."""

    _ids = itertools.count(int.from_bytes(os.urandom(3), "big"))

    def __init__(self, address, timeout_s=TIMEOUT_S):
        self.address = address
        self.timeout_s = timeout_s
        self.sock = None

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def connect(self):
        if self.address.startswith("ipc://"):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target = self.address[len("ipc://"):]
        else:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            host, port = self.address[len("tcp://"):].rsplit(":", 1)
            target = (host, int(port))
        sock.settimeout(self.timeout_s)
        sock.connect(target)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"\0SP\0" + struct.pack(">HH", 0x30, 0))
        hello = self._read(sock, 8)
        if hello[:4] != b"\0SP\0" or hello[4:6] != b"\0\x31":
            raise IOError("not a REP server: %r" % hello)
        self.sock = sock

    @staticmethod
    def _read(sock, count):
        data = b""
        while len(data) < count:
            part = sock.recv(count - len(data))
            if not part:
                raise ConnectionError("closed by the server")
            data += part
        return data

    def raw(self, body):
        """Send body, return the body of the reply."""
        if self.sock is None:
            self.connect()
        ipc = self.sock.family == socket.AF_UNIX
        request_id = struct.pack(">I", 0x80000000 | (next(self._ids) & 0x7FFFFFFF))
        head = (b"\x01" if ipc else b"") + struct.pack(">Q", len(body) + 4)
        try:
            self.sock.sendall(head + request_id + body)
            while True:
                if ipc and self._read(self.sock, 1) != b"\x01":
                    raise IOError("unexpected ipc message type")
                size = struct.unpack(">Q", self._read(self.sock, 8))[0]
                reply = self._read(self.sock, size)
                if reply[:4] == request_id:
                    return reply[4:]
        except (OSError, ConnectionError):
            self.close()
            raise

    def ask(self, request):
        """Send a map, return the reply map; an error reply raises Refused."""
        reply = msgpack.unpackb(self.raw(msgpack.packb(request)), strict_map_key=False)
        if reply.get("ok") is False and "error" in reply:
            raise Refused(reply["error"])
        invariants.check(request, reply)
        return reply


def wait_for(condition, what, timeout_s=30.0):
    """Poll until condition() is true; a slow machine is not a failure, a hang is."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("timed out waiting for " + what)
        time.sleep(0.005)
