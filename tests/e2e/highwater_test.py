"""What was acknowledged is there at the next start, or the start is refused and changes nothing."""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import time

from daemon import BUILD, Daemon
from sp import wait_for

FRAME_ROWS = 100


def frame(token, now_ms):
    rows = [[os.urandom(16), now_ms, "m", 10, 5, 1000] for _ in range(FRAME_ROWS)]
    return {"v": 1, "token": token, "fields": [
        "id", "ts", "model", "input_tokens", "output_tokens", "cost_nusd"], "rows": rows}


def push(daemon, token, count):
    client = daemon.ingest()
    seq = 0
    for _ in range(count):
        reply = client.ask(frame(token, int(time.time() * 1000)))
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


def accept_loss(daemon, have):
    return subprocess.run([os.path.join(BUILD, "tally"), "accept-loss", "--have", str(have),
                           "--data", daemon.directory], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def test_a_loss_is_accepted_by_its_number_and_recorded():
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        sent = [frame(org["gateway_token"], int(time.time() * 1000)) for _ in range(20)]
        replies = [client.ask(each) for each in sent]
        seq = replies[-1]["seq"]
        wait_marked(daemon, seq)
        daemon.kill()
        path = newest_log(daemon.directory)
        os.truncate(path, os.path.getsize(path) * 3 // 4)
        refused(daemon, ["acked_data_missing"])
        have = int(re.search(r"have (\d+), acked", daemon.log().splitlines()[-1]).group(1))
        assert 0 < have < seq

        before = digest(daemon.directory)
        told = accept_loss(daemon, have + 1)
        assert told.returncode == 64, told.stdout
        lost_usd = (seq - have) * 1000 / 1e9
        assert "%d events, $%.9f" % (seq - have, lost_usd) in told.stdout, told.stdout
        assert digest(daemon.directory) == before, "a wrong number changed the directory"

        told = accept_loss(daemon, have)
        assert told.returncode == 0, told.stdout
        shown = subprocess.run([os.path.join(BUILD, "tallyd"), "dump", "mark", "--data",
                                daemon.directory], stdout=subprocess.PIPE, check=True, text=True)
        assert "have_seq=%d" % have in shown.stdout and "acked_seq=%d" % seq in shown.stdout
        told = accept_loss(daemon, have)
        assert told.returncode == 64 and "nothing is missing" in told.stdout, told.stdout

        daemon.start()
        client = daemon.ingest()
        again = [client.ask(each) for each in sent]
        assert sum(reply["accepted"] for reply in again) == seq - have
        assert again[0]["epoch"] != replies[0]["epoch"], "gateways must see that something is gone"
        daemon.wait_folded(seq)


def test_a_loss_of_everything_is_accepted_too():
    with Daemon() as daemon:
        _, seq = prepared(daemon)
        shutil.rmtree(daemon.directory + "/db")
        refused(daemon, ["acked %d" % seq])
        assert accept_loss(daemon, 0).returncode == 0
        daemon.start()


def test_a_recount_offline_does_not_pass_over_what_is_missing():
    with Daemon() as daemon:
        prepared(daemon)
        path = newest_log(daemon.directory)
        os.truncate(path, os.path.getsize(path) // 2)
        for verb in ("verify", "rebuild"):
            before = digest(daemon.directory)
            done = subprocess.run([os.path.join(BUILD, "tallyd"), verb, "--data",
                                   daemon.directory], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 65 and "acked_data_missing" in done.stdout, done.stdout
            assert digest(daemon.directory) == before
