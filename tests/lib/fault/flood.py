#!/usr/bin/python3
"""Hostile peers of an nng REP server over tcp, as many as told: slow ones send a frame byte by
byte, half-sent ones stop in the middle of one. Who is closed comes back some seconds later.

  flood.py --connect tcp://127.0.0.1:7411 --slow 500 --half-sent 250 --addresses 16

connects from 127.0.1.1, 127.0.1.2, ..., prints "ready" when every peer has tried, works until
SIGTERM or SIGINT and prints what it did."""

import argparse
import errno
import heapq
import itertools
import json
import random
import resource
import select
import signal
import socket
import struct
import sys
import time

GREETING = b"\0SP\0" + struct.pack(">HH", 0x30, 0)
FRAME_BYTES = 1 << 20


class Peer:
    def __init__(self, number, is_slow, address):
        self.number, self.is_slow, self.address = number, is_slow, address
        self.sock = None
        self.begun = False


class Flood:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        host, port = options.connect[len("tcp://"):].rsplit(":", 1)
        self.target = (host, int(port))
        self.epoll = select.epoll()
        self.by_fd = {}
        self.due = []  # (when, tie, peer, its socket then): to connect or to send a byte
        self.ties = itertools.count()
        self.tried = set()
        self.counts = dict.fromkeys(("connects", "refused", "closed", "bytes", "peak_open"), 0)
        self.stopping = False

    def later(self, peer, seconds):
        when = time.monotonic() + seconds
        heapq.heappush(self.due, (when, next(self.ties), peer, peer.sock))

    def connect(self, peer):
        self.tried.add(peer.number)
        self.counts["connects"] += 1
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((peer.address, 0))
        if sock.connect_ex(self.target) not in (0, errno.EINPROGRESS):
            self.counts["refused"] += 1
            sock.close()
            self.later(peer, self.rng.uniform(2, 6))
            return
        peer.sock, peer.begun = sock, False
        self.by_fd[sock.fileno()] = peer
        self.counts["peak_open"] = max(self.counts["peak_open"], len(self.by_fd))
        self.epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def drop(self, peer):
        self.counts["closed"] += 1
        fd = peer.sock.fileno()
        self.epoll.unregister(fd)
        del self.by_fd[fd]
        peer.sock.close()
        peer.sock = None
        self.later(peer, self.rng.uniform(*self.options.again_s))

    def begin(self, peer):
        """Connected: the greeting, a head, and what the peer sends at once."""
        peer.begun = True
        self.epoll.modify(peer.sock.fileno(), select.EPOLLIN)
        body = b"" if peer.is_slow else bytes(self.rng.randrange(self.options.half_bytes))
        self.counts["bytes"] += peer.sock.send(GREETING + struct.pack(">Q", FRAME_BYTES) + body)
        if peer.is_slow:
            self.later(peer, self.rng.uniform(0, 1))

    def drip(self, peer):
        self.counts["bytes"] += peer.sock.send(b"\x81")
        self.later(peer, 1)

    def on_event(self, peer, mask):
        try:
            if mask & select.EPOLLIN and not peer.sock.recv(65536):
                raise ConnectionError
            if mask & (select.EPOLLHUP | select.EPOLLERR):
                raise ConnectionError
            if mask & select.EPOLLOUT and not peer.begun:
                self.begin(peer)
        except OSError:
            self.drop(peer)

    def on_time(self, peer, sock):
        if peer.sock is not sock:
            return  # closed since
        if peer.sock is None:
            self.connect(peer)
        elif peer.is_slow and peer.begun:
            try:
                self.drip(peer)
            except BlockingIOError:
                self.later(peer, 1)
            except OSError:
                self.drop(peer)

    def run(self):
        total = self.options.slow + self.options.half_sent
        for number in range(total):
            address = "127.0.1.%d" % (1 + number % self.options.addresses)
            peer = Peer(number, number < self.options.slow, address)
            self.later(peer, self.rng.uniform(0, self.options.ramp_s))
        told = False
        while not self.stopping:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                self.on_time(*heapq.heappop(self.due)[2:])
            if not told and len(self.tried) == total:
                told = True
                print("ready", flush=True)
            wait = min(0.1, self.due[0][0] - now) if self.due else 0.1
            for fd, mask in self.epoll.poll(max(wait, 0.002)):
                if fd in self.by_fd:
                    self.on_event(self.by_fd[fd], mask)
        print(json.dumps(self.counts), flush=True)


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--connect", required=True, metavar="URL", help="tcp://HOST:PORT of the victim")
    add("--slow", type=int, default=0, metavar="N")
    add("--half-sent", type=int, default=0, metavar="N")
    add("--half-bytes", type=int, default=65536, metavar="BYTES", help="of a half-sent body, at most")
    add("--addresses", type=int, default=16, metavar="N", help="to come from, at most 250")
    add("--ramp-s", type=float, default=2, metavar="S", help="the first connections come within")
    add("--again-s", type=float, nargs=2, default=(3, 10), metavar=("LOW", "HIGH"),
        help="a closed peer comes back after")
    add("--seed", type=int, default=1)
    return parser.parse_args(argv)


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    flood = Flood(parse(sys.argv[1:]))

    def stop(*_):
        flood.stopping = True
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    flood.run()


main()
