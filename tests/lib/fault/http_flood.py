#!/usr/bin/python3
"""Hostile peers of an HTTP server, as many as told, a quarter of each kind: heads and bodies that
arrive byte by byte, connections that say nothing, and peers that ask for much and read none of it. Who
is closed comes back some seconds later.

  http_flood.py --connect 127.0.0.1:8787 --peers 5000 --addresses 200

connects from 127.1.1.1, 127.1.1.2, ..., prints "ready" when every peer has tried, works until SIGTERM
or SIGINT and prints what it did."""

import argparse
import errno
import heapq
import itertools
import json
import random
import select
import signal
import socket
import sys
import time

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"
DEAF = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
KINDS = (("head", HEAD, True), ("body", BODY, True), ("silent", b"", False), ("deaf", DEAF, False))


class Peer:
    def __init__(self, number, options):
        self.kind, self.start, self.drips = KINDS[number % len(KINDS)]
        self.address = "127.1.%d.%d" % (1 + number % options.addresses // 250,
                                        1 + number % options.addresses % 250)
        self.sock = None


class Flood:
    def __init__(self, options):
        self.options, self.rng = options, random.Random(options.seed)
        host, port = options.connect.rsplit(":", 1)
        self.target = (host, int(port))
        self.epoll, self.by_fd, self.due = select.epoll(), {}, []
        self.ties, self.stopping, self.tried = itertools.count(), False, 0
        self.counts = dict.fromkeys(("connects", "refused", "closed", "peak_open"), 0)

    def later(self, peer, seconds):
        heapq.heappush(self.due, (time.monotonic() + seconds, next(self.ties), peer, peer.sock))

    def connect(self, peer):
        self.counts["connects"] += 1
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        if peer.kind == "deaf":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((peer.address, 0))
        if sock.connect_ex(self.target) not in (0, errno.EINPROGRESS):
            self.counts["refused"] += 1
            sock.close()
            self.later(peer, self.rng.uniform(1, 3))
            return
        peer.sock = sock
        self.by_fd[sock.fileno()] = peer
        self.counts["peak_open"] = max(self.counts["peak_open"], len(self.by_fd))
        self.epoll.register(sock.fileno(), select.EPOLLOUT)

    def drop(self, peer):
        self.counts["closed"] += 1
        fd = peer.sock.fileno()
        self.epoll.unregister(fd)
        del self.by_fd[fd]
        peer.sock.close()
        peer.sock = None
        self.later(peer, self.rng.uniform(*self.options.again_s))

    def send(self, peer, data):
        try:
            peer.sock.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(peer)
            return
        if peer.drips:
            self.later(peer, self.rng.uniform(0.5, 1.5))

    def on_event(self, peer, events):
        if events & (select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP):
            self.drop(peer)
        elif events & select.EPOLLOUT:  # connected
            watch = select.EPOLLRDHUP if peer.kind == "deaf" else select.EPOLLIN | select.EPOLLRDHUP
            self.epoll.modify(peer.sock.fileno(), watch)
            self.send(peer, peer.start)
        elif events & select.EPOLLIN:
            try:
                if not peer.sock.recv(4096):
                    self.drop(peer)
            except OSError:
                self.drop(peer)

    def on_due(self):
        while self.due and self.due[0][0] <= time.monotonic():
            _, _, peer, sock = heapq.heappop(self.due)
            if sock is None and peer.sock is None:
                self.connect(peer)
            elif sock is not None and sock is peer.sock:
                self.send(peer, b"y")

    def run(self):
        for number in range(self.options.peers):
            self.later(Peer(number, self.options), self.options.ramp_s * number / self.options.peers)
        is_ready = False
        while not self.stopping:
            self.on_due()
            for fd, events in self.epoll.poll(0.02):
                if fd in self.by_fd:
                    self.on_event(self.by_fd[fd], events)
            if not is_ready and self.counts["connects"] >= self.options.peers:
                is_ready = True
                print("ready", flush=True)
        print(json.dumps(self.counts), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connect", required=True)
    parser.add_argument("--peers", type=int, default=500)
    parser.add_argument("--addresses", type=int, default=200)
    parser.add_argument("--ramp-s", type=float, default=1)
    parser.add_argument("--again-s", type=float, nargs=2, default=(1, 3))
    parser.add_argument("--seed", type=int, default=1)
    flood = Flood(parser.parse_args())

    def stop(*_):
        flood.stopping = True
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    flood.run()


sys.exit(main())
