"""What expires stays expired: nothing is taken into a day that is gone, a correction or a link that
comes too late is answered and not fatal, and the daemon starts again after each of them."""

import re
import sys
import time

sys.path.insert(0, "tests/lib/fault")
from daemon import Daemon
from sp import wait_for
from wall import DAY, Wall

NOW = int(time.time() * 1000)


def usage(number, ts, **fields):
    return dict({"id": "expiry-%08d" % number, "ts": ts, "model": "m", "input_tokens": 1,
                 "output_tokens": 2, "cost_nusd": 10 ** 9}, **fields)


def back(wall, days):
    """The environment of a daemon whose clock is right and that many days ago."""
    wall.is_synchronised = True
    wall.step(-days * DAY)
    return wall.environment()


def shorter(daemon, days):
    """Start again with a short retention and wait until expiry ran: it does so at the start."""
    assert daemon.stop() == 0
    daemon.options = ["--retention-days", str(days)]
    daemon.start()
    wait_for(lambda: "expired days=" in daemon.log(), "expiry")


def test_days_that_are_gone_take_nothing():
    with Daemon() as daemon:
        org = daemon.create_org()
        old = [usage(i, NOW - 100 * DAY + i) for i in range(10)]
        client = daemon.ingest()
        batch = {"v": 1, "token": org["admin_token"], "import": True}
        assert client.ask(dict(batch, events=old + [usage(99, NOW - 1000)]))["accepted"] == 11
        daemon.wait_folded(11)
        client.close()
        shorter(daemon, 72)
        assert daemon.stop() == 0
        daemon.options = []
        daemon.start()  # the retention is long again, the days stay gone
        client = daemon.ingest()
        reply = client.ask(dict(batch, events=old))
        assert {e["code"] for e in reply["errors"]} == {"time_too_old"}, reply
        assert (reply["accepted"], reply["rejected"]) == (0, 10), reply
        daemon.kill()
        daemon.start()
        top = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard"})
        assert top["org"]["requests"] == 1


def test_late_words_about_expired_days_are_harmless():
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        batch = {"v": 1, "token": org["admin_token"], "import": True}
        first = usage(1, NOW - 100 * DAY, session="s", repo="acme/api", pr=7)
        assert client.ask(dict(batch, events=[first, usage(2, NOW - 1000, session="s")]))[
            "accepted"] == 2
        daemon.wait_folded(2)
        client.close()
        shorter(daemon, 72)
        client = daemon.ingest()
        reply = client.ask(dict(batch, events=[
            dict(first, rev=1, ts=NOW - 2000, output_tokens=9)]))
        assert reply["errors"][0]["code"] == "rev_after_horizon", reply
        reply = client.ask({"v": 1, "token": org["gateway_token"], "events": [
            {"id": "expiry-link-1", "ts": NOW - 500, "kind": "link", "session": "s",
             "op": "set_repo", "value": "acme/web"}]})
        assert reply["accepted"] == 1
        daemon.wait_folded(reply["seq"])
        daemon.kill()
        daemon.start()
        repos = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "repos"})["repos"]
        assert [r["repo"] for r in repos] == ["github.com/acme/web"], repos


def journal(daemon):
    """The numbers of the groups that the journal still has."""
    client = daemon.control()
    reply = client.ask({"v": 1, "op": "dump", "family": "journal", "limit": 1000})
    client.close()
    return [int(re.match(r"group=(\d+)", row["text"])[1]) for row in reply["rows"]]


def test_the_journal_and_the_counters_end_with_their_days():
    """What is left of the journal is its end, and the daemon starts with it after a crash too."""
    with Wall() as wall, Daemon("--retention-days", "72", wait=False,
                                environment=back(wall, 100)) as daemon:
        daemon.wait_ready()
        org = daemon.create_org()
        client = daemon.ingest()
        batch = {"v": 1, "token": org["gateway_token"]}
        for number in range(5):
            ts = NOW - 100 * DAY + number
            assert client.ask(dict(batch, events=[usage(number, ts)]))["accepted"] == 1
        daemon.wait_folded(5)
        groups_before = journal(daemon)
        assert groups_before[0] == 1 and len(groups_before) >= 5
        client.close()
        assert daemon.stop() == 0
        wall.pass_time(100 * DAY)
        daemon.start()
        wait_for(lambda: "expired days=1" in daemon.log(), "the day to expire")
        client = daemon.ingest()
        for number in range(1010):
            ts = NOW - 1000 + number
            client.ask(dict(batch, events=[usage(100 + number, ts)]))
        daemon.wait_folded(1015)
        assert journal(daemon)[0] == 1  # the groups of a day stay a day longer
        client.close()
        assert daemon.stop() == 0
        daemon.start()
        wait_for(lambda: re.search(r"expired .*groups=[1-9]", daemon.log()), "the journal's front")
        daemon.kill()
        daemon.start()
        left = journal(daemon)
        # All of the old day but its last: the first row that is there is one that was due.
        assert left[0] == groups_before[-1], (left[:10], groups_before)
        assert left == list(range(left[0], left[0] + len(left))), left
        client = daemon.ingest()
        again = client.ask(dict(batch, events=[usage(0, NOW - 100 * DAY), usage(100, NOW - 1000),
                                               usage(9999, NOW)]))
        assert (again["accepted"], again["duplicate"], again["rejected"]) == (1, 1, 1), again
        daemon.wait_folded(again["seq"])
        client.close()
        assert daemon.verify()["differences"] == 0
        reconcile = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "reconcile",
                                        "range": "custom", "from": NOW - 101 * DAY, "to": NOW})
        assert reconcile["truncated"] and len(reconcile["rows"]) == 1, reconcile
        assert reconcile["rows"][0]["received"] == 1013, reconcile


def test_settings_that_cannot_hold_are_refused():
    daemon = None
    try:
        daemon = Daemon("--accept-past-days", "100", "--retention-days", "120")
        raise AssertionError("started")
    except AssertionError as refused:
        assert "retention_days must be at least" in str(refused), refused
