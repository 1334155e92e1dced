"""Browsers: signed in by a token or a one-time link, with a cookie that only pages of this server can
use, until they sign out, do nothing for 8 hours, or are made to."""

import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, "tests/lib/fault")
import schema
from asker import JSON, SESSION, Browser, link, person
from bridge import Bridge
from daemon import BUILD, Daemon
from sp import Refused, wait_for
from wall import Wall

HOUR = 3600000
DAY = 24 * HOUR


def test_a_token_signs_in_and_out():
    with Daemon() as daemon:
        org = daemon.create_org()
        token = person(daemon, "ada@acme.test", "admin")
        with Bridge(daemon) as bridge:
            document = bridge.get("/api/v1/openapi.json")
            browser = Browser(bridge)
            browser.get(SESSION, 401)
            status, headers, reply = browser.ask("POST", SESSION, {"token": token["token"]})
            assert status == 200, reply
            schema.check(document, {"$ref": "#/components/schemas/SignIn"}, reply)
            assert "session" not in reply and token["token"] not in json.dumps(reply), reply
            cookie = headers["set-cookie"]
            assert re.fullmatch(r"tally_sid=[0-9a-f]{32}; HttpOnly; SameSite=Strict; Path=/; "
                                r"Max-Age=604800", cookie), cookie
            assert (reply["org"], reply["role"], reply["email"]) == (
                "acme", "admin", "ada@acme.test"), reply
            assert reply["credential_id"].startswith("tally_sid_"), reply
            assert abs(reply["ends_ms"] - (time.time() * 1000 + 7 * DAY)) < 60000, reply
            assert browser.get(SESSION) == reply
            # Reads and commands, as with the token.
            assert browser.get("/api/v1/leaderboard")["org"]["requests"] == 0
            assert browser.get("/api/v1/reconcile")["ok"]
            assert browser.ask("PATCH", "/api/v1/org", {"seats": 7})[0] == 200
            assert browser.get("/api/v1/team")["seats"] == 7
            # Usage is a gateway's to send.
            assert browser.ask("POST", "/api/v1/events", [])[0] == 401
            signins = browser.get("/api/v1/signins")["signins"]
            assert [(one["signin_id"], one["token_id"], one["email"]) for one in signins] == [
                (reply["credential_id"], token["token_id"], "ada@acme.test")], signins
            # A second browser has a session of its own, and the first one's end is not its end.
            other = Browser(bridge)
            other.sign_in(token=token["token"])
            assert other.cookie != browser.cookie
            old = browser.cookie
            status, headers, reply = browser.ask("DELETE", SESSION)
            assert status == 200 and headers["set-cookie"].startswith("tally_sid=;"), headers
            browser.cookie = old
            browser.get(SESSION, 401)
            browser.get("/api/v1/leaderboard", 401)
            assert browser.ask("DELETE", SESSION)[0] == 401
            other.get(SESSION)
            # What does not sign in.
            for body, status, code in (({}, 400, "field_missing"),
                                       ({"token": "nobody"}, 401, "unauthenticated"),
                                       ({"code": "0" * 32}, 401, "unauthenticated"),
                                       ({"code": "x"}, 401, "unauthenticated"),
                                       ({"token": org["gateway_token"]}, 403, "forbidden"),
                                       ({"token": other.cookie.split("=")[1]}, 403, "forbidden"),
                                       ({"code": "0" * 32, "token": token["token"]}, 400,
                                        "bad_param"),
                                       ({"name": "x"}, 400, "bad_param")):
                assert Browser(bridge).sign_in(status, **body)["error"]["code"] == code, body
            # A token may ask who it is, too.
            reply = bridge.get(SESSION, org["gateway_token"])
            schema.check(document, {"$ref": "#/components/schemas/SignIn"}, reply)
            assert (reply["role"], reply["ends_ms"]) == ("gateway", None), reply
            assert bridge.ask(SESSION, org["admin_token"], "DELETE", X_Tally="1",
                              Origin="http://127.0.0.1:%d" % bridge.port)[0] == 404


def test_a_link_is_good_once():
    with Daemon() as daemon:
        daemon.create_org()
        person(daemon, "ada@acme.test")
        with Bridge(daemon) as bridge:
            code = link(daemon)
            assert re.fullmatch("[0-9a-f]{32}", code)
            # It is no credential by itself.
            for path in (SESSION, "/api/v1/leaderboard"):
                assert bridge.ask(path, code)[0] == 401, path
            browser = Browser(bridge)
            reply = browser.sign_in(code=code)
            assert (reply["role"], reply["member_id"]) == ("admin", None), reply
            browser.get("/api/v1/tokens")
            Browser(bridge).sign_in(401, code=code)
            browser.get(SESSION)
            reply = Browser(bridge).sign_in(code=link(daemon, member="ada@acme.test"))
            assert (reply["role"], reply["email"]) == ("member", "ada@acme.test"), reply
            for params, code in (({"member": "nobody@acme.test"}, "not_found"),
                                 ({"org": "none"}, "not_found"), ({"member": 7}, "field_type")):
                try:
                    link(daemon, **params)
                    assert False, params
                except Refused as refused:
                    assert refused.code == code, refused
            # Only on the control socket.
            for who in (daemon.create_org("other")["admin_token"], ""):
                try:
                    daemon.ingest().ask({"v": 1, "op": "link_create", "token": who})
                    assert False, who
                except Refused as refused:
                    assert refused.code in ("forbidden", "unauthenticated"), refused
            done = subprocess.run([os.path.join(BUILD, "tally"), "login-link", "--data",
                                   daemon.directory, "--org", "acme", "--http", "https://t.test/"],
                                  stdout=subprocess.PIPE, text=True, check=True,
                                  env=dict(os.environ, TALLY_TOKEN="ignored")).stdout
            found = re.fullmatch(r"https://t\.test/login#([0-9a-f]{32})\n", done)
            Browser(bridge).sign_in(code=found.group(1))
            # Nobody writes down a code or a session.
            for path in (daemon.log_path, bridge.log_path):
                with open(path) as file:
                    assert found.group(1) not in file.read(), path


def test_sessions_outlive_restarts():
    with Daemon() as daemon:
        daemon.create_org()
        token = person(daemon, "ada@acme.test")
        with Bridge(daemon) as bridge:
            browser, ended = Browser(bridge), Browser(bridge)
            before = browser.sign_in(token=token["token"])
            ended.sign_in(token=token["token"])
            gone = ended.cookie
            ended.ask("DELETE", SESSION)
            code = link(daemon)
        for stop in (daemon.stop, daemon.kill):
            stop()
            daemon.start()
            with Bridge(daemon) as bridge:
                browser.bridge = ended.bridge = bridge
                assert browser.get(SESSION) == before
                ended.cookie = gone
                ended.get(SESSION, 401)
        with Bridge(daemon) as bridge:
            Browser(bridge).sign_in(code=code)


def test_what_ends_a_session():
    with Daemon() as daemon:
        org = daemon.create_org()
        other = daemon.create_org("other")
        admin = org["admin_token"]
        with Bridge(daemon) as bridge:
            def signed_in(email, role="member"):
                token = person(daemon, email, role)
                browser = Browser(bridge)
                browser.sign_in(token=token["token"])
                return token, browser

            # Its token is revoked.
            token, browser = signed_in("a@acme.test")
            bridge.send("/api/v1/tokens/" + token["token_id"], admin, "DELETE")
            browser.get("/api/v1/team", 401)
            # Its member is removed, and stays signed out when an event brings them back.
            token, browser = signed_in("b@acme.test", "admin")
            by_link = Browser(bridge)
            by_link.sign_in(code=link(daemon, member="b@acme.test"))
            unused = link(daemon, member="b@acme.test")
            member = browser.get(SESSION)["member_id"]
            bridge.send("/api/v1/team/" + member, admin, "DELETE")
            for one in (browser, by_link):
                one.get("/api/v1/team", 401)
            daemon.ingest().ask({"v": 1, "token": org["gateway_token"], "events": [
                {"id": "back-0001", "ts": int(time.time() * 1000), "email": "b@acme.test",
                 "model": "m", "input_tokens": 1, "output_tokens": 1}]})
            for one in (browser, by_link):
                one.get("/api/v1/team", 401)
            Browser(bridge).sign_in(401, code=unused)
            # An admin ends it; another org's admin cannot.
            _, browser = signed_in("c@acme.test")
            name = browser.get(SESSION)["credential_id"]
            for who, status in ((other["admin_token"], 404), (admin, 200), (admin, 404)):
                bridge.send("/api/v1/signins/" + name, who, "DELETE", status=status)
            browser.get("/api/v1/team", 401)
            # A role counts from the next request on.
            _, browser = signed_in("d@acme.test", "admin")
            browser.get("/api/v1/tokens")
            person(daemon, "d@acme.test", "member")
            assert browser.ask("GET", "/api/v1/tokens")[0] == 403
            assert browser.get(SESSION)["role"] == "member"
            # Of one person, 32; the one unused longest makes room.
            token, first = signed_in("e@acme.test")
            second = Browser(bridge)
            second.sign_in(token=token["token"])

            def is_used_later():
                """Times are in milliseconds, and two requests may fall into one."""
                names = [one.get(SESSION)["credential_id"] for one in (second, first)]
                used = {one["signin_id"]: one["used_ms"] for one in bridge.get(
                    "/api/v1/signins", admin)["signins"]}
                return used[names[1]] > used[names[0]]

            wait_for(is_used_later, "a use of the first")
            for _ in range(31):
                Browser(bridge).sign_in(token=token["token"])
            first.get(SESSION)
            second.get(SESSION, 401)


def test_eight_hours_idle_and_seven_days():
    with Wall() as wall:
        wall.synchronised(True)
        with Daemon(environment=wall.environment()) as daemon:
            daemon.create_org()
            token = person(daemon, "ada@acme.test")["token"]
            with Bridge(daemon) as bridge:
                passed = [0]

                def at(ms):
                    """That long after the start; time went by while the daemon was off."""
                    daemon.stop()
                    wall.pass_time(ms - passed[0])
                    passed[0] = ms
                    daemon.start()

                idle, busy = Browser(bridge), Browser(bridge)
                code = link(daemon)
                idle.sign_in(token=token)
                busy.sign_in(token=token)
                at(8 * HOUR - 60000)
                busy.get(SESSION)
                Browser(bridge).sign_in(401, code=code)
                at(8 * HOUR + 60000)
                idle.get(SESSION, 401)
                # Each use was stored, so it counts after the restart; at a stop exactly, while
                # running at most ten minutes late.
                for hours in range(15, 168, 7):
                    at(hours * HOUR)
                    busy.get(SESSION)
                at(7 * DAY + 60000)
                busy.get(SESSION, 401)
                # A death without notice costs ten minutes of the eight hours at most.
                idle.sign_in(token=token)
                wall.pass_time(HOUR)
                idle.get(SESSION)
                wait_for(lambda: daemon.stats()["signins_stored"] > 0, "the use to be stored")
                daemon.kill()
                wall.pass_time(8 * HOUR - 60000)
                daemon.start()
                idle.get(SESSION)
            text = subprocess.run(
                [os.path.join(BUILD, "tally"), "dump", "registry", "--data", daemon.directory],
                stdout=subprocess.PIPE, text=True, check=True).stdout
            assert re.search(r'signin="tally_sid_.*" token="tally_pat_.*" .*ends_ms=', text), text
            assert idle.cookie.split("=")[1] not in text and token not in text, text


def test_only_our_pages_use_the_cookie():
    with Daemon() as daemon:
        org = daemon.create_org()
        with Bridge(daemon, "--host", "tally.test") as bridge:
            browser = Browser(bridge)
            browser.sign_in(token=org["admin_token"])
            own = "http://127.0.0.1:%d" % bridge.port
            cases = (
                ({}, 200, ""),
                ({"X_Tally": None}, 403, "csrf_failed"),
                ({"X_Tally": "0"}, 403, "csrf_failed"),
                ({"Content_Type": "text/plain"}, 403, "csrf_failed"),
                ({"Content_Type": "application/x-www-form-urlencoded"}, 403, "csrf_failed"),
                ({"Content_Type": "application/json; charset=utf-8"}, 200, ""),
                ({"Origin": None}, 403, "origin_not_allowed"),
                ({"Origin": None, "Sec_Fetch_Site": "same-origin"}, 200, ""),
                ({"Origin": None, "Sec_Fetch_Site": "same-site"}, 403, "origin_not_allowed"),
                ({"Origin": None, "Sec_Fetch_Site": "none"}, 403, "origin_not_allowed"),
                ({"Sec_Fetch_Site": "cross-site"}, 403, "origin_not_allowed"),
                ({"Origin": "null"}, 403, "origin_not_allowed"),
                ({"Origin": "http://127.0.0.1:1"}, 403, "origin_not_allowed"),
                ({"Origin": "http://localhost:%d" % bridge.port}, 403, "origin_not_allowed"),
                ({"Origin": own.replace("http:", "https:")}, 403, "origin_not_allowed"),
                ({"Origin": own + ".evil.test"}, 403, "origin_not_allowed"),
                ({"Origin": "http://tally.test", "Host": "tally.test"}, 200, ""),
                ({"Origin": "http://evil.test", "Host": "evil.test"}, 400, "bad_header"),
            )
            for headers, status, code in cases:
                for method, path, body in (("PATCH", "/api/v1/org", {"seats": 3}),
                                           ("POST", SESSION, {"token": org["admin_token"]})):
                    keep = browser.cookie
                    got, replied, reply = browser.ask(method, path, body, **headers)
                    assert got == status, (headers, path, got, reply)
                    assert status == 200 or reply["error"]["code"] == code, (headers, reply)
                    assert "access-control-allow-origin" not in replied, replied
                    browser.cookie = keep
            # Without a cookie it is somebody's script, with a token of its own.
            assert bridge.send("/api/v1/org", org["admin_token"], "PATCH", {"seats": 4})["ok"]
            # With both, the token is what counts.
            status, _, _ = bridge.ask("/api/v1/org", org["admin_token"], "PATCH", "{}",
                                      Cookie=browser.cookie, Content_Type=JSON)
            assert status == 200
            # A cookie that is there twice says nothing; neither does half of one.
            for cookie in (browser.cookie + "; tally_sid=0", "tally_sid=", "x" + browser.cookie,
                           browser.cookie[:-1], browser.cookie + "0", "tally_sid"):
                assert bridge.ask(SESSION, Cookie=cookie)[0] == 401, cookie
            assert bridge.ask(SESSION, Cookie="a=b; %s; c" % browser.cookie)[0] == 200


def test_behind_tls_the_cookie_is_secure():
    with Daemon() as daemon:
        org = daemon.create_org()
        with Bridge(daemon, "--behind-proxy", "--host", "tally.test") as bridge:
            def ask(method, body=None, **headers):
                return bridge.ask(SESSION, "", method, body, X_Tally="1", Host="tally.test",
                                  Content_Type=JSON, **headers)

            body = json.dumps({"token": org["admin_token"]})
            assert ask("POST", body, Origin="http://tally.test")[0] == 403
            status, headers, _ = ask("POST", body, Origin="https://tally.test")
            assert status == 200
            assert re.fullmatch(r"__Host-sid=[0-9a-f]{32}; Secure; HttpOnly; SameSite=Strict; "
                                r"Path=/; Max-Age=604800", headers["set-cookie"]), headers
            assert headers["strict-transport-security"] == "max-age=31536000"
            cookie = headers["set-cookie"].split(";")[0]
            assert ask("GET", Cookie=cookie)[0] == 200
            assert ask("GET", Cookie=cookie.replace("__Host-sid", "tally_sid"))[0] == 401


def test_tally_up_prints_an_address_on_a_terminal():
    with tempfile.TemporaryDirectory(prefix="tally-") as directory:
        with Daemon(directory=directory) as daemon:
            daemon.create_org()
            daemon.stop()
        master, terminal = pty.openpty()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        up = subprocess.Popen(
            [os.path.join(BUILD, "tally"), "up", "--data", directory, "--ingest", "none",
             "--query", "none", "--http", "127.0.0.1:%d" % port, "--metrics", "none"],
            stdout=terminal, stderr=subprocess.DEVNULL)
        try:
            heard = b""
            while b"\n" not in heard:
                assert select.select([master], [], [], 60)[0], heard
                heard += os.read(master, 4096)
            found = re.match(r"http://127\.0\.0\.1:%d/login#([0-9a-f]{32})\r?\n" % port,
                             heard.decode())
            assert found, heard
            bridge = Bridge.at(port)
            wait_for(lambda: bridge.ask("/livez")[0] == 200, "tally-http")
            Browser(bridge).sign_in(code=found.group(1))
        finally:
            up.terminate()
            assert up.wait(timeout=30) == 0
