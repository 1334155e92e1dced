"""Peers that want to harm: slow, half-sent, silent, greedy and deaf connections beside an honest
gateway, whose requests are all answered, in time, while connections, descriptors and memory stay
within their bounds. make test-hostile [BUDGET=s] [SEED=n] runs the long form."""

import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

if __name__ == "__main__":
    sys.path.insert(0, "tests/lib")

import msgpack

from daemon import Daemon, sanitizer
from sp import Req, wait_for

SEED = int(os.environ.get("SEED") or time.time())
BUDGET_S = int(os.environ.get("BUDGET") or 0)  # 0: the quick form
FLOOD = "tests/lib/fault/flood.py"
GREETING = b"\0SP\0" + struct.pack(">HH", 0x30, 0)


class TcpDaemon(Daemon):
    """A tallyd that listens on loopback tcp too."""

    def __init__(self, *options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        super().__init__("--ingest", "tcp://127.0.0.1:%d" % self.port, *options)

    def tcp(self):
        return "tcp://127.0.0.1:%d" % self.port

    def stats(self):
        client = self.control()
        try:
            return client.ask({"v": 1, "op": "stats"})
        finally:
            client.close()

    def ended(self, reason):
        return self.stats()["connections_ended"][reason]

    def rss_bytes(self):
        with open("/proc/%d/statm" % self.process.pid) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def fd_count(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


def rows(token, rng, count):
    now = int(time.time() * 1000)
    return msgpack.packb({"v": 1, "token": token, "fields": [
        "id", "ts", "email", "session", "model", "input_tokens", "output_tokens", "cost_nusd"],
        "rows": [[rng.getrandbits(128).to_bytes(16, "big"), now - 1,
                  "dev%d@acme.test" % rng.randrange(20), "s%d" % rng.randrange(50), "opus", 3, 4, 5]
                 for _ in range(count)]})


class Honest(threading.Thread):
    """A gateway at a steady pace; every try that fails is held against the daemon."""

    def __init__(self, daemon, token, seed, pause_s=0.004):
        super().__init__(name="honest")
        self.address, self.token, self.pause_s = daemon.tcp(), token, pause_s
        self.rng = random.Random(seed)
        self.times, self.refused, self.events, self.stopping, self.error = [], 0, 0, False, None

    def run(self):
        try:
            self.push()
        except Exception as error:  # reported by the test, not lost with the thread
            self.error = error

    def push(self):
        client = Req(self.address, 10)
        body = rows(self.token, self.rng, 50)
        while not self.stopping:
            started = time.monotonic()
            try:
                reply = msgpack.unpackb(client.raw(body))
            except OSError:
                self.refused += 1
                continue
            self.times.append(time.monotonic() - started)
            if reply.get("ok") is False:
                self.refused += 1
                continue
            assert reply["accepted"] + reply["duplicate"] == 50, reply
            self.events += 50
            body = rows(self.token, self.rng, 50)
            time.sleep(self.pause_s)
        client.close()

    def take_times(self):
        times, self.times = self.times, []
        return times


def p99(windows):
    """The middle one of several windows: other work on the machine has its moments too."""
    each = sorted(sorted(times)[int(len(times) * 0.99)] for times in windows)
    return each[len(each) // 2]


def measure(honests, seconds):
    """The times of their requests in three windows."""
    windows = []
    for honest in honests:
        honest.take_times()
    for _ in range(3):
        until = time.monotonic() + seconds / 3
        while time.monotonic() < until:
            time.sleep(0.05)
            assert not any(h.error for h in honests), [h.error for h in honests]
        windows.append(sum((honest.take_times() for honest in honests), []))
    return windows


class Floods:
    """Hostile peers in two processes, as one may not have so many descriptors."""

    def __init__(self, daemon, slow, half_sent, ramp_s, again_s):
        self.processes = [subprocess.Popen(
            [sys.executable, "-B", FLOOD, "--connect", daemon.tcp(), "--slow", str(slow // 2),
             "--half-sent", str(half_sent // 2), "--addresses", "200", "--ramp-s", str(ramp_s),
             "--again-s", str(again_s / 2), str(again_s * 3 / 2), "--seed", str(SEED + n)],
            stdout=subprocess.PIPE, text=True) for n in range(2)]
        for process in self.processes:
            assert process.stdout.readline() == "ready\n"

    def stop(self):
        for process in self.processes:
            process.terminate()
        return [json.loads(process.communicate(timeout=30)[0]) for process in self.processes]


class Watch(threading.Thread):
    """The worst of descriptors, memory and connections while it runs."""

    def __init__(self, daemon):
        super().__init__(name="watch")
        self.daemon_, self.fds, self.rss, self.open = daemon, 0, 0, 0
        self.stopping = False

    def run(self):
        while not self.stopping:
            self.fds = max(self.fds, self.daemon_.fd_count())
            self.rss = max(self.rss, self.daemon_.rss_bytes())
            self.open = max(self.open, self.daemon_.stats()["connections"])
            time.sleep(0.5)


def flooded(slow, half_sent, cap, alone_s, flood_s, ramp_s, again_s):
    """Honest latencies alone (before and after) and in the flood, and what the daemon took."""
    with TcpDaemon("--connections-max", str(cap), "--frame-ms-max", "1500") as daemon:
        org = daemon.create_org()
        honests = [Honest(daemon, org["gateway_token"], SEED + n) for n in range(2)]
        for honest in honests:
            honest.start()
        watch = Watch(daemon)
        watch.start()
        measure(honests, 1)
        alone = measure(honests, alone_s)
        rss_alone = daemon.rss_bytes()
        floods = Floods(daemon, slow, half_sent, ramp_s, again_s)
        during = measure(honests, flood_s)
        ended = daemon.stats()["connections_ended"]
        done = floods.stop()
        alone += measure(honests, alone_s)
        watch.stopping = True
        watch.join(30)
        for honest in honests:
            honest.stopping = True
        for honest in honests:
            honest.join(60)
            assert honest.error is None, honest.error
        wait_for(lambda: daemon.stats()["connections"] <= 3, "the flood to be cleared away")
        refused = sum(h.refused for h in honests)
        daemon.wait_folded(daemon.stats()["committed_seq"])
        query = daemon.query()
        total = query.ask({"v": 1, "token": org["admin_token"], "op": "leaderboard",
                           "range": "24h"})["org"]["requests"]
        query.close()
        assert total == sum(h.events for h in honests), (SEED, total)
    assert watch.open <= cap, (watch.open, cap)
    assert watch.fds <= cap * 5 // 4 + 512, (watch.fds, cap)
    assert ended["half_sent"] > 0, ended
    assert sum(c["peak_open"] for c in done) > cap, done  # or the cap was never in question
    assert ended["made_room"] + ended["count_full"] > 0, ended
    assert refused == 0, "seed %d: %d honest requests were refused or cut" % (SEED, refused)
    assert watch.rss - rss_alone < (64 + 64 + 128 << 20) or sanitizer(), (watch.rss, rss_alone)
    ratio = p99(during) / p99(alone)
    figures = "hostile: slow %d, half-sent %d, honest p99 %.1f times alone, refused honest: %d" % (
        slow, half_sent, ratio, refused)
    detail = "p99 alone %.1f ms, in the flood %.1f ms; connections %d of %d, files %d, " \
        "memory +%d MiB; ended %s" % (
            p99(alone) * 1e3, p99(during) * 1e3, watch.open, cap, watch.fds,
            (watch.rss - rss_alone) >> 20, {k: v for k, v in ended.items() if v})
    return ratio, figures, detail


def test_a_flood_of_slow_and_half_sent_frames_harms_no_honest_gateway():
    if BUDGET_S:
        ratio, figures, detail = flooded(10000, 5000, 1024, BUDGET_S / 8, BUDGET_S / 2, 20, 60)
    else:
        ratio, figures, detail = flooded(500, 250, 512, 1.5, 5, 1, 6)
    print("  seed %d: %s" % (SEED, detail))
    assert ratio <= 2.0 or sanitizer(), figures
    return figures


def connect(daemon, source=None, data=b""):
    sock = socket.socket()
    if source:
        sock.bind((source, 0))
    sock.settimeout(20)
    sock.connect(("127.0.0.1", daemon.port))
    sock.sendall(data)
    return sock


def is_closed(sock):
    """Waits for the end; the greeting and replies are passed over."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    except socket.timeout:
        return False
    return True


def test_what_is_no_request_is_closed_and_counted():
    cases = [
        ("wrong_greeting", b"GET / HTTP/1.0\r\n\r\n"),
        ("wrong_greeting", b"\0SP\0" + struct.pack(">HH", 0x50, 0)),
        ("too_long", GREETING + struct.pack(">Q", 1 << 62)),
        ("too_long", GREETING + struct.pack(">Q", (1 << 64) - 1) + b"x" * 100),
        ("too_long", GREETING + struct.pack(">Q", (2 << 20) + 1)),
        ("no_greeting", b""),
        ("no_greeting", b"\0SP"),
        ("half_sent", GREETING + struct.pack(">Q", 1000)[:5]),
        ("half_sent", GREETING + struct.pack(">Q", 1000) + b"y" * 999),
        ("idle", GREETING),
    ]
    with TcpDaemon("--frame-ms-max", "300", "--idle-ms-max", "900") as daemon:
        for reason, data in cases:
            before = daemon.ended(reason)
            sock = connect(daemon, data=data)
            assert is_closed(sock), "still open: %r" % data
            sock.close()
            assert daemon.ended(reason) == before + 1, (reason, data, daemon.stats())


def test_an_address_has_its_share_and_an_honest_peer_there_still_gets_in():
    with TcpDaemon("--connections-per-address-max", "16") as daemon:
        org = daemon.create_org()
        crowd = [connect(daemon, "127.0.0.9", GREETING) for _ in range(40)]
        wait_for(lambda: daemon.ended("made_room") == 24, "24 to make room for 16")
        assert daemon.stats()["connections"] == 17  # and the one that asks
        beside = [connect(daemon, "127.0.0.1", GREETING) for _ in range(16)]
        client = Req(daemon.tcp())
        reply = client.ask(msgpack.unpackb(rows(org["gateway_token"], random.Random(SEED), 5)))
        assert reply["accepted"] == 5
        for sock in crowd + beside:
            sock.close()
        client.close()


def test_when_all_connections_work_the_newcomer_is_refused():
    with TcpDaemon("--connections-per-address-max", "8") as daemon:
        clients = [Req(daemon.tcp()) for _ in range(8)]
        for client in clients:
            client.raw(b"\x80")
        try:
            Req(daemon.tcp(), 5).raw(b"\x80")
            raise AssertionError("a ninth connection was served")
        except OSError:
            pass
        assert daemon.ended("address_full") >= 1
        for client in clients:
            client.raw(b"\x80")
            client.close()


def test_bytes_of_unfinished_frames_are_bounded_together():
    piece = GREETING + struct.pack(">Q", 2 << 20) + bytes((2 << 20) - 1)
    with TcpDaemon() as daemon:
        before = daemon.rss_bytes()
        crowd = [connect(daemon, data=piece) for _ in range(60)]  # 120 MB, of which 64 MiB may stay
        wait_for(lambda: daemon.ended("partial_full") >= 20, "the oldest to be closed")
        assert daemon.stats()["partial_bytes"] <= 64 << 20
        assert daemon.rss_bytes() - before < 128 << 20 or sanitizer()
        for sock in crowd:
            sock.close()


def test_who_never_reads_replies_is_closed_and_harms_nobody():
    """Refusals of whole batches with a reason for each event are the largest answers there are."""
    with TcpDaemon("--frame-ms-max", "1000") as daemon:
        org = daemon.create_org()
        bad = msgpack.packb({"v": 1, "token": org["gateway_token"], "events": [
            {"id": "bad-%09d" % i, "ts": 5} for i in range(1000)]})
        frame = struct.pack(">Q", len(bad) + 4) + b"\x80\0\0\1" + bad
        before = daemon.rss_bytes()
        honest = Honest(daemon, org["gateway_token"], SEED)
        honest.start()

        def shout():
            sock = connect(daemon, data=GREETING)
            try:
                while True:
                    sock.sendall(frame)
            except OSError:
                pass
            sock.close()
        deaf = [threading.Thread(target=shout) for _ in range(4)]
        for thread in deaf:
            thread.start()
        wait_for(lambda: daemon.ended("unread") >= 1, "a deaf peer to be closed", 60)
        for thread in deaf:
            thread.join(60)
        honest.stopping = True
        honest.join(60)
        assert honest.error is None and honest.refused == 0, (honest.error, honest.refused)
        assert daemon.rss_bytes() - before < 192 << 20 or sanitizer(), daemon.rss_bytes() - before


if __name__ == "__main__":
    note = ""
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            print(name, flush=True)
            note = test() or note
    print(note)
