"""Who guesses: ten wrong credentials a minute from an address or for a key, then 429; who has the right
one is not kept out by it. Who was turned away is counted."""

import http.client
import json
import socket

from asker import JSON, SESSION, Browser, link, person
from bridge import Bridge, read_all
from daemon import Daemon

TEAM = "/api/v1/team"


def ask_from(bridge, address, path, token="", method="GET", body=None, headers=()):
    """One request from another address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", bridge.port, timeout=30,
                                            source_address=(address, 0))
    connection.putrequest(method, path)
    text = body and json.dumps(body).encode()
    send = list(headers)
    if token:
        send.append(("Authorization", "Bearer " + token))
    if text:
        send += [("Content-Type", JSON), ("Content-Length", str(len(text))), ("X-Tally", "1"),
                 ("Origin", "http://127.0.0.1:%d" % bridge.port)]
    for name, value in send:
        connection.putheader(name, value)
    connection.endheaders(text)
    reply = connection.getresponse()
    result = reply.status, dict(reply.getheaders()), json.loads(reply.read())
    connection.close()
    return result


def wrong(token, n=0):
    """The same key id, another secret."""
    head, secret, check = token.rsplit("_", 2)
    return "%s_%s_%06d" % (head, secret[::-1], n)


def test_ten_wrong_tokens_of_an_address():
    with Daemon() as daemon:
        token = daemon.create_org()["admin_token"]
        with Bridge(daemon) as bridge:
            for i in range(10):
                assert ask_from(bridge, "127.0.0.5", TEAM, "tally_pat_%08d_x" % i)[0] == 401
            for i in range(3):
                status, headers, reply = ask_from(bridge, "127.0.0.5", TEAM, "nobody")
                assert (status, reply["error"]["code"]) == (429, "rate_limited"), reply
                assert 1 <= int(headers["Retry-After"]) <= 60, headers
                assert reply["error"]["retry"] == "after", reply
            # The right one is let in, from there as well; and asking without one is no guess.
            assert ask_from(bridge, "127.0.0.5", TEAM, token)[0] == 200
            assert ask_from(bridge, "127.0.0.5", TEAM)[0] == 401
            assert ask_from(bridge, "127.0.0.6", TEAM, "nobody")[0] == 401
            assert bridge.metrics()[0]['tally_auth_failures_total{kind="rate_limited"}'] == "3"


def test_ten_wrong_secrets_for_a_key():
    with Daemon() as daemon:
        token = daemon.create_org()["admin_token"]
        with Bridge(daemon) as bridge:
            for i in range(10):
                assert ask_from(bridge, "127.0.1.%d" % i, TEAM, wrong(token, i))[0] == 401
            # From anywhere, in a header or in the body.
            assert ask_from(bridge, "127.0.2.1", TEAM, wrong(token, 11))[0] == 429
            assert ask_from(bridge, "127.0.2.2", SESSION, "", "POST",
                            {"token": wrong(token, 12)})[0] == 429
            # Its owner goes on: key ids are no secret, and nobody is locked out by knowing one.
            assert ask_from(bridge, "127.0.2.3", TEAM, token)[0] == 200
            assert ask_from(bridge, "127.0.2.4", TEAM, "tally_pat_00000000_x")[0] == 401


def test_ten_wrong_codes_of_an_address():
    with Daemon() as daemon:
        org = daemon.create_org()
        invited = daemon.control().ask({"v": 1, "op": "invite", "org": "acme",
                                        "email": "ada@acme.test"})["code"]
        with Bridge(daemon) as bridge:
            def accept(address, code):
                return ask_from(bridge, address, "/api/v1/invitations/%s/accept" % code, "", "POST")

            code = link(daemon)
            for i in range(5):
                assert accept("127.0.0.5", "%032d" % i)[0] == 404
                assert ask_from(bridge, "127.0.0.5", SESSION, "", "POST",
                                {"code": "%032d" % i})[0] == 401
            # Codes are tried by asking, so no more of them are looked at, right or wrong.
            for one in (code, "0" * 32):
                status, headers, _ = ask_from(bridge, "127.0.0.5", SESSION, "", "POST",
                                              {"code": one})
                assert status == 429 and int(headers["Retry-After"]) >= 1, headers
            assert accept("127.0.0.5", invited)[0] == 429
            assert ask_from(bridge, "127.0.0.5", TEAM, org["admin_token"])[0] == 200
            assert accept("127.0.0.6", invited)[0] == 200
            assert ask_from(bridge, "127.0.0.6", SESSION, "", "POST", {"code": code})[0] == 200


def test_behind_a_proxy_the_client_is_who_it_speaks_for():
    with Daemon() as daemon:
        daemon.create_org()
        host = ("Host", "tally.test")
        options = ("--behind-proxy", "--host", "tally.test", "--trusted-proxy", "192.0.2.0/24")
        with Bridge(daemon, *options) as bridge:
            def guess(*lines):
                return ask_from(bridge, "127.0.0.1", TEAM, "nobody", headers=[
                    ("X-Forwarded-For", line) for line in lines])[0]

            for i in range(10):
                assert guess("203.0.113.5") == 401
            assert guess("203.0.113.5") == 429
            assert guess("203.0.113.6") == 401
            # What the client invented stands before what the proxy saw, in one line or in two.
            assert guess("198.51.100.%d, 203.0.113.5" % 1) == 429
            assert guess("198.51.100.2", "203.0.113.5") == 429
            assert guess("203.0.113.5", "203.0.113.7") == 401
            # Through another proxy of ours.
            assert guess("198.51.100.3, 203.0.113.5, 192.0.2.9") == 429
            # A network of one customer is one asker.
            for i in range(10):
                assert guess("2001:db8::%d" % i) == 401
            assert guess("2001:db8::ffff") == 429
            assert guess("2001:db8:0:1::1") == 401
            # The other header is the client's own.
            assert ask_from(bridge, "127.0.0.1", TEAM, "nobody", headers=[
                ("Forwarded", "for=203.0.113.99"), ("X-Forwarded-For", "203.0.113.5")])[0] == 429
        with Bridge(daemon, *options, "--forwarded", "forwarded") as bridge:
            for i in range(11):
                status = ask_from(bridge, "127.0.0.1", TEAM, "nobody", headers=[
                    ("Forwarded", "for=203.0.113.5;proto=https"),
                    ("X-Forwarded-For", "198.51.100.%d" % i)])[0]
            assert status == 429
        with Bridge(daemon) as bridge:
            for i in range(11):
                status = ask_from(bridge, "127.0.0.1", TEAM, "nobody", headers=[
                    ("X-Forwarded-For", "198.51.100.%d" % i)])[0]
            assert status == 429, "nobody here is a proxy"


def test_who_was_turned_away_is_counted():
    with Daemon() as daemon:
        org = daemon.create_org()
        member = person(daemon, "m@acme.test")["token"]
        with Bridge(daemon) as bridge:
            def count(kind):
                return int(bridge.metrics()[0]['tally_auth_failures_total{kind="%s"}' % kind])

            def denied(op):
                return int(bridge.metrics()[0]['tally_authz_denied_total{op="%s"}' % op])

            browser = Browser(bridge)
            browser.sign_in(token=org["admin_token"])
            assert [count(kind) for kind in ("credential", "csrf", "origin", "rate_limited")] == [
                0, 0, 0, 0]
            bridge.get(TEAM, "", 401)
            bridge.get(TEAM, "nobody", 401)
            bridge.ask("/api/v1/events", "nobody", "POST", '[{"id":"x"}]', Content_Type=JSON)
            bridge.send("/api/v1/org", "nobody", "PATCH", {}, 401)
            assert count("credential") == 4
            browser.ask("PATCH", "/api/v1/org", {}, X_Tally=None)
            browser.ask("PATCH", "/api/v1/org", {}, Origin="http://evil.test")
            browser.ask("PATCH", "/api/v1/org", {}, Origin="null")
            assert (count("csrf"), count("origin")) == (1, 2)
            bridge.get("/api/v1/reconcile", member, 403)
            bridge.get("/api/v1/tokens", member, 403)
            bridge.send("/api/v1/org", member, "PATCH", {"seats": 1}, 403)
            bridge.get(TEAM, org["gateway_token"], 403)
            bridge.ask("/api/v1/events", member, "POST", '[{"id":"x"}]', Content_Type=JSON)
            for op in ("reconcile", "token_list", "org_update", "team", "events"):
                assert denied(op) == 1, op
            assert denied("leaderboard") == denied("org_create") == 0


def own_address():
    """An address of this machine that is not loopback; "" when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        return sock.getsockname()[0]


def test_behind_proxies_nobody_else_comes_in():
    own = own_address()
    if own in ("", "127.0.0.1"):
        return "skipped, no address but loopback"
    with Daemon() as daemon:
        options = ("--listen", "0.0.0.0:0", "--behind-proxy", "--host", "tally.test")
        for trusted, lets_in in (("192.0.2.1", False), (own, True)):
            with Bridge(daemon, *options, "--trusted-proxy", trusted) as bridge:
                with socket.create_connection((own, bridge.port), timeout=30) as sock:
                    sock.sendall(b"GET /livez HTTP/1.1\r\nHost: tally.test\r\n"
                                 b"Connection: close\r\n\r\n")
                    heard = read_all(sock)
                assert heard.startswith(b"HTTP/1.1 200") if lets_in else heard == b"", heard
                assert bridge.ask("/livez", Host="tally.test")[0] == 200
    return None
