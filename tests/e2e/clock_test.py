"""A wrong clock neither loses nor moves money (P13): what it would stamp is refused, retryably, and
counts once when the clock is right again; no id is forgotten and no day dropped by it."""

import json
import os
import subprocess
import sys
import time

import msgpack

sys.path.insert(0, "tests/lib/fault")
from daemon import BUILD, Daemon
from sp import Refused, wait_for
from wall import DAY, HOUR, SECOND, Wall

TALLY = os.path.join(BUILD, "tally")
YEAR = 365 * DAY
YEAR_2038 = 2147483647 * SECOND
HERE = int(time.time() * 1000)


class Case:
    """A daemon on a machine whose clock the test sets, and a gateway with a right one."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.org = daemon.create_org()
        self.sent = []  # every event that was acknowledged
        self.serial = 0

    def batch(self, count=5, off_ms=0):
        events = []
        for _ in range(count):
            self.serial += 1
            events.append({"id": "clock-%08d" % self.serial, "ts": int(time.time() * 1000) - 1 + off_ms,
                           "email": "dev@acme.test", "model": "m", "input_tokens": 1,
                           "output_tokens": 1, "cost_nusd": 10 ** 6 + self.serial})
        return {"v": 1, "token": self.org["gateway_token"], "events": events}

    def push(self, batch):
        client = self.daemon.ingest()
        try:
            return client.ask(batch)
        finally:
            client.close()

    def accept(self, batch=None):
        batch = batch or self.batch()
        reply = self.push(batch)
        assert reply["accepted"] == len(batch["events"]), reply
        self.sent += batch["events"]

    def refuse(self, batch):
        """Refused as a whole, and told to come again: nothing of it is judged by this clock."""
        try:
            reply = self.push(batch)
        except Refused as refused:
            assert refused.code == "clock_untrusted" and refused.error["retry"] == "after", refused
            return
        raise AssertionError("answered: %r" % reply)

    def check(self):
        """Nothing is lost, nothing moved, nothing counts twice."""
        events = self.sent
        for at in range(0, len(events), 1000):
            reply = self.push({"v": 1, "token": self.org["gateway_token"],
                               "events": events[at:at + 1000]})
            assert reply["duplicate"] == len(events[at:at + 1000]), reply
        self.daemon.wait_folded(self.daemon.stats()["committed_seq"])
        client = self.daemon.query()
        reply = client.ask({"v": 1, "token": self.org["admin_token"], "op": "leaderboard",
                            "range": "custom", "from": HERE - DAY, "to": HERE + DAY})
        client.close()
        assert reply["org"]["requests"] == len(events), (reply["org"], len(events))
        assert reply["org"]["cost_nusd"] == sum(event["cost_nusd"] for event in events)


def tally(daemon, *words, code=0):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("TALLY_")}
    done = subprocess.run([TALLY, *words, "--data", daemon.directory], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=environment, text=True, timeout=60)
    assert done.returncode == code, (words, done.returncode, done.stdout)
    return done.stdout


def is_trusted(daemon):
    client = daemon.query_control()
    condition = client.ask({"v": 1, "op": "health"})["conditions"]["clock"]
    client.close()
    assert condition["ok"] or "tally accept-clock" in condition["why"], condition
    return condition["ok"]


def test_a_clock_that_is_set_while_running():
    steps = 0
    with Wall() as wall, Daemon(environment=wall.environment()) as daemon:
        case = Case(daemon)
        case.accept()
        for step in (SECOND, -SECOND):  # as any clock does
            wall.step(step)
            case.accept()
            wall.pass_time(61 * SECOND)
            case.accept()
            steps += 1
        for step in (HOUR, -HOUR):
            batch = case.batch()
            wall.step(step)
            case.refuse(batch)
            assert not is_trusted(daemon)
            tally(daemon, "health", code=1)
            wall.pass_time(61 * SECOND)
            wait_for(lambda: is_trusted(daemon), "a quiet minute to be believed")
            case.accept(batch)
            steps += 1
        for step in (DAY, -DAY, YEAR, -YEAR, YEAR_2038 - HERE, SECOND - HERE):
            batch = case.batch()
            wall.step(step)
            case.refuse(batch)
            wall.pass_time(2 * HOUR)  # that it stays wrong makes it no better
            case.refuse(batch)
            wall.step(-step)
            case.accept(batch)
            steps += 1
        batch = case.batch(off_ms=-2 * HOUR)
        wall.step(-2 * HOUR)
        case.refuse(batch)
        wall.synchronised(True)
        case.accept(batch)  # the kernel is sure: the machine was wrong before
        wall.synchronised(False)
        wall.step(2 * HOUR)
        case.refuse(case.batch())
        assert "accepted; it was: the clock was set ahead" in tally(daemon, "accept-clock")
        case.accept()
        case.check()
        assert "the operator accepted the clock" in daemon.log()
        assert "trusted already" in tally(daemon, "accept-clock")
    return "%d steps, 0 lost, 0 moved" % (steps + 2)


def test_commands_wait_for_the_clock_and_questions_do_not():
    with Wall() as wall, Daemon(environment=wall.environment()) as daemon:
        case = Case(daemon)
        case.accept()
        wall.step(YEAR)
        try:
            daemon.create_org("other")
            raise AssertionError("made an org a year ahead")
        except Refused as refused:
            assert refused.code == "clock_untrusted", refused
        assert daemon.stats()["intake"] == "clock_untrusted"
        shown = tally(daemon, "health", code=1)
        assert "NOT READY" in shown and "'tally accept-clock'" in shown, shown
        stranger = daemon.query()
        told = stranger.ask({"v": 1, "op": "health"})
        assert told["ready"] is False and told["conditions"]["clock"] == {"ok": False}, told
        assert "seq" not in told
        stranger.close()
        wall.step(-YEAR)
        assert tally(daemon, "health").startswith("ready\n")
        case.check()


def restart(daemon):
    assert daemon.stop() == 0
    daemon.start()


def test_a_clock_that_is_wrong_at_the_start():
    with Wall() as wall, Daemon(environment=wall.environment()) as daemon:
        case = Case(daemon)
        case.accept(case.batch(200))
        daemon.wait_folded(200)
        for step in (-DAY, SECOND - HERE, 30 * DAY, 10 * YEAR):
            batch = case.batch()
            assert daemon.stop() == 0
            wall.step(step)
            daemon.start()
            case.refuse(batch)
            assert "clock not trusted" in daemon.log()
            assert not is_trusted(daemon)
            wall.step(-step)  # somebody looks, and sets it right
            case.accept(batch)
            case.check()  # the ids were not forgotten, the days are there
        for way in ("synchronised", "accepted"):
            assert daemon.stop() == 0
            wall.step(8 * DAY)
            daemon.start()
            case.refuse(case.batch())
            if way == "synchronised":
                wall.synchronised(True)
            else:
                tally(daemon, "accept-clock")
            assert is_trusted(daemon)
            fresh = dict(case.batch()["events"][0], ts=HERE + wall.wall_ms)
            assert case.push(dict(case.batch(), events=[fresh]))["accepted"] == 1
            wall.synchronised(False)
        assert "expired days" not in daemon.log()


def test_one_event_dated_far_ahead_touches_nothing():
    with Daemon() as daemon:
        case = Case(daemon)
        case.accept(case.batch(20))
        for ahead, code in ((100 * YEAR, "time_in_future"), (10 * 60 * SECOND, "time_in_future")):
            batch = case.batch(3)
            batch["events"][1]["ts"] += ahead
            for batch in (batch, dict(batch, token=case.org["admin_token"], **{"import": True})):
                reply = case.push(batch)
                assert [e["code"] for e in reply["errors"]] == [code], reply
                assert reply["errors"][0]["i"] == 1
            case.sent += [batch["events"][0], batch["events"][2]]
        # Two gateways ten minutes apart: one is five minutes ahead, and counts when it arrives.
        batch = case.batch(2)
        batch["events"][0]["ts"] += 290 * SECOND
        batch["events"][1]["ts"] -= 290 * SECOND
        case.accept(batch)
        restart(daemon)
        case.check()
        assert "expired" not in daemon.log()


def test_a_gateway_that_waits_while_its_clock_is_set_back():
    """nng's own timers run on the wall and stand still for an hour then; libtally's do not."""
    with Wall() as wall, Daemon() as daemon:
        org = daemon.create_org()
        loading = subprocess.Popen(
            [TALLY, "load", "--data", daemon.directory, "--token", org["gateway_token"],
             "--ingest", daemon.address("ingest"), "--events", "4000", "--rate", "1000"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=dict(os.environ, **wall.environment()))
        wait_for(lambda: daemon.stats()["accepted"] > 500, "the load to begin")
        daemon.kill()
        time.sleep(0.5)  # senders meet a closed door and wait for the next try
        wall.step(-HOUR)
        started = time.monotonic()
        daemon.start()
        said = loading.stdout.read()
        assert loading.wait(90) == 0, said
        took = time.monotonic() - started
        told = dict(word.split("=") for word in said.split() if "=" in word)
        assert told["rejected"] == told["pending"] == "0", said
        assert int(told["accepted"]) + int(told["duplicate"]) == int(told["pushed"]), said
        client = daemon.query()
        daemon.wait_folded(daemon.stats()["committed_seq"])
        org = client.ask({"v": 1, "token": org["admin_token"], "op": "leaderboard"})["org"]
        client.close()
        assert 0 < org["requests"] <= int(told["accepted"]), (org, said)
    return "a load ended %.1f s after its clock was set back by an hour" % took
