"""What expires stays expired: nothing is taken into a day that is gone, a correction or a link that
comes too late is answered and not fatal, and the daemon starts again after each of them."""

import time

from daemon import Daemon
from sp import wait_for

DAY = 86400 * 1000
NOW = int(time.time() * 1000)


def usage(number, ts, **fields):
    return dict({"id": "expiry-%08d" % number, "ts": ts, "model": "m", "input_tokens": 1,
                 "output_tokens": 2, "cost_nusd": 10 ** 9}, **fields)


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


def test_settings_that_cannot_hold_are_refused():
    daemon = None
    try:
        daemon = Daemon("--accept-past-days", "100", "--retention-days", "120")
        raise AssertionError("started")
    except AssertionError as refused:
        assert "retention_days must be at least" in str(refused), refused
