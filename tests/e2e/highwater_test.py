"""What was acknowledged is there at the next start, or the start is refused and changes nothing."""

import glob
import hashlib
import os
import shutil
import subprocess
import time

from daemon import BUILD, Daemon
from sp import wait_for

FRAME_ROWS = 100


def push(daemon, token, count):
    client = daemon.ingest()
    now_ms = int(time.time() * 1000)
    seq = 0
    for turn in range(count):
        rows = [[os.urandom(16), now_ms, "m", 10, 5, 1000] for _ in range(FRAME_ROWS)]
        reply = client.ask({"v": 1, "token": token, "batch": "b%d" % turn, "fields": [
            "id", "ts", "model", "input_tokens", "output_tokens", "cost_nusd"], "rows": rows})
        assert reply["accepted"] == FRAME_ROWS, reply
        seq = reply["seq"]
    client.close()
    return seq


def wait_marked(daemon, seq):
    control = daemon.control()
    wait_for(lambda: control.ask({"v": 1, "op": "stats"})["marked_seq"] >= seq, "the mark")
    control.close()


def digest(directory):
    """Every file that holds data, by content."""
    found = {}
    for path in glob.glob(directory + "/db/*.log") + glob.glob(directory + "/db/*.sst") + glob.glob(
            directory + "/db/MANIFEST*") + [directory + "/mark"]:
        if os.path.exists(path):
            with open(path, "rb") as file:
                found[path] = hashlib.sha256(file.read()).hexdigest()
    return found


def refused(daemon, words):
    before = digest(daemon.directory)
    daemon.start(wait=False)
    assert daemon.process.wait(timeout=30) == 65, daemon.log()[-500:]
    last = daemon.log().splitlines()[-1]
    for word in words:
        assert word in last, last
    assert digest(daemon.directory) == before, "a refused start changed the directory"


def newest_log(directory):
    return max(glob.glob(directory + "/db/*.log"), key=os.path.getmtime)


def prepared(daemon):
    """A daemon killed after its mark has caught up."""
    org = daemon.create_org()
    seq = push(daemon, org["gateway_token"], 30)
    wait_marked(daemon, seq)
    daemon.kill()
    return org, seq


def damaged(words, damage):
    with Daemon() as daemon:
        _, seq = prepared(daemon)
        with open(daemon.directory + "/mark", "rb") as file:
            assert int.from_bytes(file.read(32)[24:], "big") <= seq
        copy = daemon.directory + ".whole"
        shutil.copytree(daemon.directory + "/db", copy + "/db")
        shutil.copy(daemon.directory + "/mark", copy)
        damage(daemon.directory)
        refused(daemon, words)
        shutil.rmtree(daemon.directory + "/db", ignore_errors=True)
        shutil.copytree(copy + "/db", daemon.directory + "/db")
        shutil.copy(copy + "/mark", daemon.directory)
        shutil.rmtree(copy)
        daemon.start()
        daemon.wait_folded(seq)


def test_a_log_cut_to_half_is_noticed():
    def cut(directory):
        path = newest_log(directory)
        os.truncate(path, os.path.getsize(path) // 2)
    damaged(["acked_data_missing", "have ", "acked 3000"], cut)


def test_a_flipped_bit_in_the_log_is_noticed():
    def flip(directory):
        with open(newest_log(directory), "r+b") as file:
            file.seek(os.path.getsize(file.name) // 3)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 4]))
    damaged(["acked_data_missing", "acked 3000"], flip)


def test_a_deleted_log_is_noticed():
    damaged(["acked_data_missing", "have 0, acked 3000"],
            lambda directory: os.unlink(newest_log(directory)))


def test_a_deleted_database_is_noticed():
    damaged(["acked_data_missing", "have 0, acked 3000"],
            lambda directory: shutil.rmtree(directory + "/db"))


def test_a_deleted_mark_file_is_noticed():
    damaged(["acked_data_missing", "mark"], lambda directory: os.unlink(directory + "/mark"))


def test_two_spoiled_slots_are_noticed():
    def spoil(directory):
        with open(directory + "/mark", "r+b") as file:
            for at in (20, 4096 + 20):
                file.seek(at)
                file.write(b"\xff")
    damaged(["storage_corrupt", "mark"], spoil)


def test_a_clean_stop_leaves_the_mark_at_the_end():
    with Daemon() as daemon:
        org = daemon.create_org()
        seq = push(daemon, org["gateway_token"], 5)
        assert daemon.stop() == 0
        with open(daemon.directory + "/mark", "rb") as file:
            mark = file.read()
        shown = subprocess.run([os.path.join(BUILD, "tallyd"), "dump", "highwater", "--data",
                                daemon.directory], stdout=subprocess.PIPE, check=True, text=True)
        assert "seq=%d cost_nusd=%d" % (seq, seq * 1000) in shown.stdout, shown.stdout
        assert max(int.from_bytes(mark[at + 24:at + 32], "big") for at in (0, 4096)) == seq
        daemon.start()
        daemon.wait_folded(seq)


def test_a_second_daemon_is_turned_away():
    with Daemon() as daemon:
        first = daemon.process
        daemon.start(wait=False)
        assert daemon.process.wait(timeout=10) == 69
        daemon.process = first
