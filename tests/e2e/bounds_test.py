"""What happens at the bounds: the id index full, the queue full, stopping, sums that would not fit,
too many names. Nothing is lost, everything is said."""

import signal
import threading
import time

import msgpack

from daemon import Daemon
from sp import Refused, Req

NOW = int(time.time() * 1000)


def rows_frame(token, first, count, **constant):
    fields = ["id", "ts", "model", "input_tokens", "output_tokens"] + list(constant)
    return {"v": 1, "token": token, "fields": fields, "rows": [
        ["bound-%010d" % (first + i), NOW - 1000, "m", 1, 2, *constant.values()]
        for i in range(count)]}


def test_a_full_id_index_refuses_and_keeps_what_it_has():
    with Daemon("--id-index-bytes-max", "1M") as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        taken = 0
        try:
            while taken < 100000:
                taken += client.ask(rows_frame(org["gateway_token"], taken, 1000))["accepted"]
            raise AssertionError("100,000 ids fit into 1 MiB")
        except Refused as refused:
            assert refused.code == "id_index_full", refused
            assert refused.error["retry"] == "after", refused.error
        assert taken >= 10000
        daemon.kill()
        daemon.start()  # what was acknowledged is there, and the cap still holds
        daemon.wait_folded(taken)
        top = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard"})
        assert top["org"]["requests"] == taken


def test_a_full_queue_says_overloaded_and_loses_nothing():
    with Daemon("--queue-bytes-max", "4M", "--workers", "1") as daemon:
        org = daemon.create_org()
        token = org["gateway_token"]
        padding = {"x_padding": "p" * 900}
        refused, accepted, lock = [0], [0], threading.Lock()

        def push(number):
            client = daemon.ingest()
            for turn in range(6):
                first = number * 10000 + turn * 1000
                body = msgpack.packb(rows_frame(token, first, 900, **padding))
                while True:
                    reply = msgpack.unpackb(client.raw(body))
                    if reply.get("ok") is not False:
                        break
                    assert reply["error"]["code"] == "overloaded", reply
                    assert reply["retry_after_ms"] > 0, reply
                    with lock:
                        refused[0] += 1
                    time.sleep(reply["retry_after_ms"] / 1000)
                with lock:
                    accepted[0] += reply["accepted"] + reply["duplicate"]
            client.close()
        threads = [threading.Thread(target=push, args=(n,)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert accepted[0] == 24 * 6 * 900
        assert refused[0] > 0, "24 gateways never filled a queue of 4 MiB"
        return "%d batches were told to come back" % refused[0]


def test_stopping_says_so_and_loses_nothing():
    with Daemon() as daemon:
        org = daemon.create_org()
        token = org["gateway_token"]
        codes, acked = set(), [0]
        started = threading.Event()

        def push():
            client = Req(daemon.address("ingest"), timeout_s=5)
            try:
                for turn in range(100000):
                    body = msgpack.packb(rows_frame(token, turn * 100, 100))
                    reply = msgpack.unpackb(client.raw(body))
                    if reply.get("ok") is False:
                        codes.add(reply["error"]["code"])
                        return
                    acked[0] = (turn + 1) * 100
                    if turn == 20:
                        started.set()
            except OSError:
                pass  # the socket closed: the daemon is gone
        thread = threading.Thread(target=push)
        thread.start()
        assert started.wait(30)
        begun = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=10) == 0
        assert time.monotonic() - begun < 10
        thread.join()
        assert codes <= {"shutting_down"}, codes
        daemon.start()
        reply = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard"})
        daemon.wait_folded(acked[0])
        reply = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard"})
        assert reply["org"]["requests"] >= acked[0]


def test_sums_that_would_not_fit_are_refused():
    with Daemon() as daemon:
        org = daemon.create_org()
        other = daemon.create_org("other")
        client = daemon.ingest()
        limit = 10 ** 15
        accepted, codes = 0, set()
        for turn in range(10):
            reply = client.ask(rows_frame(org["gateway_token"], turn * 1000, 1000,
                                          cost_nusd=limit))
            accepted += reply["accepted"]
            codes |= {error["code"] for error in reply["errors"]}
        assert codes == {"amount_overflow"}, codes
        daemon.wait_folded(accepted)
        daemon.kill()
        daemon.start()
        reply = daemon.ingest().ask(rows_frame(org["gateway_token"], 90000, 1, cost_nusd=limit))
        assert reply["errors"][0]["code"] == "amount_overflow", reply
        reply = daemon.ingest().ask(rows_frame(other["gateway_token"], 90000, 1,
                                               cost_nusd=limit))
        assert reply["accepted"] == 1, "another org's money is its own"
        top = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard",
                                  "range": "24h"})
        assert top["org"]["cost_nusd"] == accepted * limit


def test_too_many_repositories_are_counted_as_other():
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        seq = 0
        for turn in range(11):
            frame = rows_frame(org["gateway_token"], turn * 1000, 1000, repo="")
            for i, row in enumerate(frame["rows"]):
                row[-1] = "acme/r%d" % (turn * 1000 + i)
            reply = client.ask(frame)
            assert reply["accepted"] == 1000
            seq = reply["seq"]
        daemon.wait_folded(seq)
        query = daemon.query()
        cursor, names, requests = None, set(), 0
        while True:
            params = {"cursor": cursor} if cursor else {}
            reply = query.ask(dict({"v": 1, "token": org["admin_token"], "op": "repos",
                                    "range": "24h", "limit": 1000}, **params))
            names |= {repo["repo"] for repo in reply["repos"]}
            requests += sum(repo["requests"] for repo in reply["repos"])
            cursor = reply["next_cursor"]
            if cursor is None:
                break
        assert requests == 11000, "no spend was lost"
        assert len(names) <= 10001 and "other" in names, len(names)


def test_past_the_limit_of_members_usage_counts_for_nobody_and_is_known_again():
    limit, turns = 50000, 52
    with Daemon() as daemon:
        org = daemon.create_org()

        def frame(turn):
            made = rows_frame(org["gateway_token"], turn * 1000, 1000, email="", cost_nusd=7)
            for i, row in enumerate(made["rows"]):
                row[-2] = "dev%d@acme.test" % (turn * 1000 + i)
            return made
        client = daemon.ingest()
        for turn in range(turns):
            reply = client.ask(frame(turn))
            assert reply["accepted"] == 1000, reply
        for turn in (0, turns - 1):
            assert client.ask(frame(turn))["duplicate"] == 1000
        daemon.kill()
        daemon.start()  # now the stored rows are compared
        client = daemon.ingest()
        for turn in (0, turns - 1):
            reply = client.ask(frame(turn))
            assert reply["duplicate"] == 1000, reply
        daemon.wait_folded(turns * 1000)
        top = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard",
                                  "range": "24h", "limit": 10})
        assert top["org"]["requests"] == turns * 1000
        assert top["org"]["cost_nusd"] == 7 * turns * 1000
        assert top["unattributed"]["requests"] == turns * 1000 - limit, top["unattributed"]
