"""The disk is filled to the last byte under load, the daemon restarted while it is full, and room
made again: nothing acknowledged is lost, nothing aborts, queries answer all the time, and intake is
back within 10 s. On a small ext4 in a loop file, so it needs root.

CYCLES: how many times (the quick form: 2)."""

import os
import random
import time

from campaign import SEED, count, most
from crash_load import Load
from daemon import Daemon
from fault.power_cut import LoopDisk, why_not
from sp import Refused, wait_for

CYCLES = int(os.environ.get("CYCLES") or 2)
DISK_MIB = 512
FILL_BYTES = 1 << 20
CLOSED = ("disk_full", "read_only", "storage_failed")
OPTIONS = ("--disk-floor-bytes", "96M", "--ballast-bytes", "64M", "--memtable-bytes", "16M",
           "--cache-bytes", "8M")


def fill(path, is_gentle):
    """Write until nothing more fits, the last bytes one by one."""
    with open(path, "ab", buffering=0) as file:
        for size in (FILL_BYTES, 4096, 1):
            try:
                while True:
                    file.write(b"\xa5" * size)
                    if is_gentle and size == FILL_BYTES:
                        time.sleep(0.002)
            except OSError:
                pass
        try:
            os.fsync(file.fileno())
        except OSError:
            pass


def tend(daemon):
    """What a supervisor does: a daemon that ended with 75, because a flush found no room, is started
    again. Nothing else may end it."""
    if daemon.process.poll() is not None:
        assert daemon.process.returncode == 75, daemon.log()[-2000:]
        count("disk", restarts_after_75=1)
        daemon.start()


def state(daemon):
    control = daemon.control()
    try:
        return control.ask({"v": 1, "op": "stats"})["intake"]
    finally:
        control.close()


def is_state(daemon, wanted):
    def seen():
        tend(daemon)
        try:
            return state(daemon) in wanted
        except (OSError, Refused):
            return False
    return seen


def check_answers(daemon, load):
    """A query works, and intake says why it does not."""
    client = daemon.query()
    assert load.exact.ask(client, "leaderboard", range="24h")["org"]["requests"] >= 0
    client.close()
    client = daemon.ingest()
    try:
        client.ask({"v": 1, "token": load.pushers[0].gateway.token, "events": [
            {"id": os.urandom(16), "ts": int(time.time() * 1000), "model": "m",
             "input_tokens": 1, "output_tokens": 1}]})
        raise AssertionError("an event was taken while the disk is full")
    except Refused as refused:
        assert refused.code in ("disk_full", "storage_unavailable"), refused.error
        assert refused.error["retry"] == "after", refused.error
    client.close()


def one_cycle(daemon, load, disk, rng):
    """-> seconds from room to the first acknowledgement."""
    filler = os.path.join(disk.directory, "filler")
    load.run(rng.randrange(1, 200))
    fill(filler, rng.random() < 0.5)
    wait_for(is_state(daemon, CLOSED), "the floor to be noticed")
    fill(filler, False)  # what the ballast gave back
    wait_for(is_state(daemon, CLOSED), "the daemon")
    check_answers(daemon, load)
    restart = rng.randrange(3)
    if restart > 0:
        if restart == 1:
            daemon.kill()
        else:
            assert daemon.stop() in (0, 75), daemon.log()[-2000:]
        daemon.start()
        assert state(daemon) in CLOSED, state(daemon)
        check_answers(daemon, load)
    acks = load.acks()
    os.unlink(filler)
    freed = time.monotonic()
    wait_for(is_state(daemon, ("ok",)), "intake to be back", 30)
    for pusher in load.pushers:
        pusher.release()
    wait_for(lambda: load.acks() > acks, "an acknowledgement", 30)
    seconds = time.monotonic() - freed
    tend(daemon)
    load.check_after_crash()
    return seconds


def test_a_full_disk_stops_intake_and_heals():
    reason = why_not("ext4")
    if reason:
        return "skipped: a full disk on ext4: %s" % reason
    rng = random.Random(SEED)
    disk = LoopDisk("ext4", DISK_MIB)
    slowest, done = 0.0, 0
    try:
        data = os.path.join(disk.directory, "data")
        os.mkdir(data)
        with Daemon(*OPTIONS, directory=data) as daemon:
            with Load(daemon, SEED) as load:
                for done in range(CYCLES):
                    slowest = max(slowest, one_cycle(daemon, load, disk, rng))
                load.exact.resend()
                load.exact.check_present()
                assert daemon.verify()["differences"] == 0
    except BaseException:
        print("  disk: SEED=%d CYCLES=%d, in cycle %d" % (SEED, CYCLES, done))
        raise
    disk.close()
    count("disk", fills=CYCLES, aborts=0, acked_missing=0)
    most("disk", slowest_intake_ms=int(slowest * 1000))
    assert slowest <= 10, "intake was back after %.1f s" % slowest
    return "%d fills, intake back after %.1f s at most" % (CYCLES, slowest)
