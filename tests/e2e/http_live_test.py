"""Word of changes over HTTP: soon, for the own org alone, resumed, and only for who may read."""

import json
import threading
import time

import schema
from bridge import Bridge
from daemon import Daemon
from events import Events
from sp import wait_for

NOW = int(time.time() * 1000)


def push(daemon, token, name):
    event = {"id": "live-event-%s" % name, "ts": NOW - 60000, "email": "ada@acme.test",
             "agent": "codex", "model": "m", "input_tokens": 1, "output_tokens": 1,
             "cost_nusd": 5}
    reply = daemon.ingest().ask({"v": 1, "token": token, "events": [event]})
    assert reply["accepted"] == 1, reply
    return reply["seq"]


def make_token(daemon, org="acme", kind="service", **more):
    return daemon.control().ask(dict({"v": 1, "op": "token_create", "org": org, "type": kind,
                                      "name": "reader"}, **more))


def test_changes_are_told_within_a_second():
    with Daemon() as daemon:
        org = daemon.create_org()
        admin = org["admin_token"]
        push(daemon, org["gateway_token"], "first")
        with Bridge(daemon) as bridge, Events(bridge.port, admin) as events:
            assert events.status == 200
            assert events.reply.getheader("content-type") == "text/event-stream"
            assert events.reply.getheader("cache-control") == "no-store"
            name, hello = events.next()
            document = bridge.get("/api/v1/openapi.json")
            schema.check(document, {"$ref": "#/components/schemas/Live"}, hello)
            assert (name, hello["changed"]) == ("hello", [])
            # The member of the first event may become known a moment later.
            slowest = 0
            for i in range(10):
                start = time.monotonic()
                seq = push(daemon, org["gateway_token"], "n%d" % i)
                while True:
                    name, told = events.next()
                    assert name == "message" and told["changed"], told
                    if told["seq"] >= seq:
                        break
                slowest = max(slowest, time.monotonic() - start)
                assert "usage" in told["changed"], told
                seen = bridge.get("/api/v1/dashboard", admin)
                assert seen["seq"] >= told["seq"] and seen["org"]["requests"] == i + 2
            # A change of people is told as such.
            daemon.control().ask({"v": 1, "op": "agent_create", "org": "acme",
                                  "email": "bob@acme.test", "type": "codex"})
            assert events.next()[1]["changed"] == ["team"]
            return "slowest of 10: %d ms" % (slowest * 1000)


def test_another_org_is_not_heard_of():
    with Daemon() as daemon:
        org, other = daemon.create_org(), daemon.create_org("other")
        with Bridge(daemon) as bridge:
            with Events(bridge.port, org["admin_token"]) as mine, \
                    Events(bridge.port, other["admin_token"]) as theirs:
                mine.next(), theirs.next()
                for i in range(3):
                    push(daemon, other["gateway_token"], "o%d" % i)
                    while "usage" not in theirs.next()[1]["changed"]:
                        pass
                make_token(daemon, "other")
                # Mine comes when mine changes, and nothing came before it.
                push(daemon, org["gateway_token"], "mine")
                changed = set()
                while "usage" not in changed:
                    changed |= set(mine.next()[1]["changed"])
                with Events(bridge.port, org["admin_token"], mine.last_id) as again:
                    assert again.next()[0] == "hello"


def test_a_stream_resumes_where_it_was():
    with Daemon() as daemon:
        org = daemon.create_org()
        admin = org["admin_token"]
        push(daemon, org["gateway_token"], "known")
        with Bridge(daemon) as bridge:
            def position():
                with Events(bridge.port, admin) as events:
                    events.next()
                    return events.last_id
            seen = wait_for(lambda: position() == position() and position(), "no more changes")
            with Events(bridge.port, admin, seen) as events:
                assert events.next()[0] == "hello"
            daemon.wait_folded(push(daemon, org["gateway_token"], "missed"))
            with Events(bridge.port, admin, seen) as events:
                name, told = events.next()
                assert (name, told["changed"]) == ("message", ["usage"]), told
            for other in ("x", "0" * 16 + "-" + "0" * 16, seen + "0"):
                with Events(bridge.port, admin, other) as events:
                    assert events.next()[0] in ("hello", "message")
        # A bridge that was restarted takes up where the last one was.
        with Bridge(daemon) as bridge, Events(bridge.port, admin, seen) as events:
            assert events.next()[1]["changed"] == ["usage"]


def test_who_may_not_read_hears_nothing():
    with Daemon() as daemon:
        org = daemon.create_org()
        service = make_token(daemon)
        with Bridge(daemon) as bridge:
            assert bridge.get("/api/v1/live", "", 401)["error"]["code"] == "unauthenticated"
            assert bridge.get("/api/v1/live", org["gateway_token"], 403)["error"]["code"] == \
                "forbidden"
            with Events(bridge.port, service["token"]) as events:
                events.next()
                start = time.monotonic()
                daemon.control().ask({"v": 1, "op": "token_revoke", "org": "acme",
                                      "token_id": service["token_id"]})
                last = None
                while True:
                    told = events.next()
                    if told is None:
                        break
                    last = told
                took = time.monotonic() - start
                assert last == ("end", {"code": "unauthenticated"}), last
                assert took < 5, took
            return "a revoked stream ended after %d ms" % (took * 1000)


def test_streams_have_their_share():
    with Daemon() as daemon:
        org = daemon.create_org()
        service = make_token(daemon)
        with Bridge(daemon, "--connections-per-address", "600") as bridge:
            mine = [Events(bridge.port, service["token"]) for _ in range(8)]
            assert all(events.next()[0] == "hello" for events in mine)
            error = bridge.get("/api/v1/live", service["token"], 429)["error"]
            assert error["code"] == "rate_limited", error
            with Events(bridge.port, org["admin_token"]) as events:
                assert events.next()[0] == "hello"
            # Who leaves makes room at once, and workers are free all the while.
            mine.pop().close()
            wait_for(lambda: Events(bridge.port, service["token"]).status == 200, "room")
            assert bridge.get("/api/v1/leaderboard", org["admin_token"])["ok"]


def test_the_last_of_500_is_let_in_and_no_more():
    with Daemon() as daemon:
        org = daemon.create_org()
        tokens = [make_token(daemon)["token"] for _ in range(63)]
        with Bridge(daemon, "--connections-per-address", "2000") as bridge:
            streams = [Events(bridge.port, tokens[i // 8]) for i in range(500)]
            assert all(events.status == 200 for events in streams)
            assert bridge.get("/api/v1/live", org["admin_token"], 503)["error"]["code"] == \
                "overloaded"
            names, _ = bridge.metrics()
            assert names['tally_http_connections{state="stream"}'] == "500", names
            heard = []

            def listen(events):
                while events.next()[0] == "hello":
                    pass
                heard.append(time.monotonic())

            threads = [threading.Thread(target=listen, args=(e,)) for e in streams]
            for thread in threads:
                thread.start()
            start = time.monotonic()
            push(daemon, org["gateway_token"], "for-all")
            for thread in threads:
                thread.join()
            slowest = max(heard) - start
            start = time.monotonic()
        # The block's end stopped the bridge: streams are resumed first, so it takes no time.
        assert time.monotonic() - start < 5
        for events in streams:
            while events.next() is not None:
                pass
        return "500 streams heard within %d ms" % (slowest * 1000)


def test_a_stream_outlives_tallyd():
    with Daemon() as daemon:
        org = daemon.create_org()
        with Bridge(daemon) as bridge, Events(bridge.port, org["admin_token"]) as events:
            events.next()
            daemon.stop()
            daemon.start()
            # Digests of another life: everything may have changed.
            assert sorted(events.next()[1]["changed"]) == ["team", "usage"]
            assert json.loads(bridge.ask("/livez")[2])["ok"]
