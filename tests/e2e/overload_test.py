"""Ten times the load that a slow disk bears: memory stays below its cap, what is refused is told
when to come back, what was acknowledged counts once, and soon after all is as before."""

import json
import os
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.insert(0, "tests/lib")

import msgpack

from daemon import Daemon, sanitizer
from sp import Req, wait_for

sys.path.insert(0, "tests/lib/fault")
from preload import preload  # noqa: E402

SEED = int(os.environ.get("SEED") or time.time())
BUDGET_S = int(os.environ.get("BUDGET") or 0)  # 0: the quick form
MIB = 1 << 20
CAP_BYTES = 256 * MIB
ROWS = 10
SYNC_MS = 100
GATEWAYS = 64  # a group takes so many batches


class Pushers:
    def __init__(self, daemon, token, count, mood):
        self.process = subprocess.Popen(
            [sys.executable, "-B", "tests/lib/pushers.py", daemon.address("ingest"), token,
             str(count), str(ROWS), mood], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def acked(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["acked"]

    def stop(self):
        self.process.stdin.close()
        counts = json.loads(self.process.stdout.readline())
        self.process.wait(60)
        return counts


def rss_bytes(daemon):
    with open("/proc/%d/statm" % daemon.process.pid) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def push_one(daemon, token, number):
    """How long one small batch takes."""
    client = Req(daemon.address("ingest"), 10)
    started = time.monotonic()
    reply = msgpack.unpackb(client.raw(msgpack.packb({
        "v": 1, "token": token, "events": [{
            "id": "healthy-%010d" % number, "ts": int(time.time() * 1000) - 1, "model": "m",
            "input_tokens": 1, "output_tokens": 1}]})))
    client.close()
    return time.monotonic() - started, reply.get("accepted") == 1


def goodput(pushers, seconds, watch):
    """Acknowledged batches a second, and the most memory seen meanwhile."""
    before, started = sum(p.acked() for p in pushers), time.monotonic()
    peak = 0
    while time.monotonic() - started < seconds:
        peak = max(peak, watch())
        time.sleep(0.05)
    return (sum(p.acked() for p in pushers) - before) / (time.monotonic() - started), peak


def slow_disk(directory):
    """Every sync takes SYNC_MS longer."""
    state = os.path.join(directory, "..", os.path.basename(directory) + ".kth")
    with open(state, "wb") as file:
        file.write(b"".join(n.to_bytes(8, "little") for n in (0, 1, 1, 0)))
    return state


def test_ten_times_the_load_on_a_slow_disk():
    seconds = BUDGET_S / 3 if BUDGET_S else 5
    directory = tempfile.mkdtemp(prefix="tally-overload-")
    state = slow_disk(directory)
    environment = preload("kth_syscall", TALLY_KTH_DIR=directory, TALLY_KTH_STATE=state,
                          TALLY_KTH_ACTION="sleep", TALLY_KTH_SLEEP_MS=SYNC_MS,
                          TALLY_KTH_CALLS="fdatasync,fsync")
    with Daemon("--memory-bytes-max", str(CAP_BYTES), directory=directory,
                environment=environment) as daemon:
        org = daemon.create_org()
        token = org["gateway_token"]
        alone, is_taken = push_one(daemon, token, 0)
        assert is_taken
        few = [Pushers(daemon, token, 2 * GATEWAYS, "patient")]
        time.sleep(1)
        rated, _ = goodput(few, seconds / 2, lambda: rss_bytes(daemon))
        done = [few[0].stop()]
        many = [Pushers(daemon, token, 5 * GATEWAYS, mood) for mood in ("eager", "patient")]
        overload, peak = goodput(many, seconds, lambda: rss_bytes(daemon))
        done += [pushers.stop() for pushers in many]
        ended = time.monotonic()
        offered = (overload * seconds + sum(d["overloaded"] for d in done[1:])) / seconds
        number = [0]

        def is_healthy():
            number[0] += 1
            took, taken = push_one(daemon, token, number[0])
            return taken and took <= 2 * alone
        wait_for(is_healthy, "a push to be acknowledged as fast as before")
        healthy_s = time.monotonic() - ended
        counts = {name: sum(d[name] for d in done) for name in done[0]}
        expected = counts["acked"] * ROWS + 1 + number[0]
        daemon.wait_folded(expected)
        client = daemon.query()
        total = client.ask({"v": 1, "token": org["admin_token"], "op": "leaderboard",
                            "range": "24h"})["org"]["requests"]
        client.close()
        assert total == expected, (SEED, total, expected)
        assert daemon.verify()["differences"] == 0
    os.unlink(state)
    note = "overload: rated %.0f events/s, under %.0f times that %.0f (%.0f %%), told to wait %d, " \
        "memory %d MiB of %d, acked %d, lost: 0, doubled: 0, healthy after %.1f s" % (
            rated * ROWS, offered / rated, overload * ROWS, 100 * overload / rated,
            counts["overloaded"],
            peak // MIB, CAP_BYTES // MIB, counts["acked"] * ROWS, healthy_s)
    assert offered >= 10 * rated or sanitizer(), note
    assert overload >= 0.7 * rated or sanitizer(), note
    assert peak <= CAP_BYTES or sanitizer(), note
    assert healthy_s <= 5 or sanitizer(), note
    return note


if __name__ == "__main__":
    print(test_ten_times_the_load_on_a_slow_disk())
