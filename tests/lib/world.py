"""Two orgs of the same shape, one of each who may ask in both, and what must never be seen of one by the
other: names with a mark in them, ids, and secrets."""

import http.client
import itertools
import json
import os
import time

from asker import SESSION, Browser, link
from daemon import Daemon  # noqa: F401  (who uses a world starts a daemon)

_sources = itertools.count(1)


def source():
    """An address nobody asked from before, so that no limit of another test is met."""
    n = next(_sources)
    return "127.%d.%d.%d" % (1 + (n >> 16) % 250, (n >> 8) & 255, 1 + n % 254)


class Actor:
    """Somebody with a credential, a cookie, or nothing; asks like a page of the server when told to."""

    def __init__(self, name, token="", cookie="", is_page=True):
        self.name, self.token, self.cookie, self.is_page = name, token, cookie, is_page

    def ask(self, bridge, method, path, body=None, headers=()):
        """(status, headers in lower case, body as bytes)"""
        connection = http.client.HTTPConnection("127.0.0.1", bridge.port, timeout=30,
                                                source_address=(source(), 0))
        send = dict(headers)
        if self.token:
            send["Authorization"] = "Bearer " + self.token
        if self.cookie:
            send["Cookie"] = self.cookie
        if self.is_page:
            send.update({"X-Tally": "1", "Origin": "http://127.0.0.1:%d" % bridge.port})
        text = None
        if body is not None:
            text = body if isinstance(body, (str, bytes)) else json.dumps(body)
            send.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=text, headers=send)
        reply = connection.getresponse()
        # A stream has no end: what it says first is enough.
        is_stream = "event-stream" in (reply.getheader("Content-Type") or "")
        heard = reply.read1(65536) if is_stream else reply.read()
        got = {name.lower(): value for name, value in reply.getheaders()}
        connection.close()
        return reply.status, got, heard


class Org:
    """An org with a member, an agent, usage, tokens; mark: in every name that is its own."""

    def __init__(self, daemon, bridge, name):
        self.daemon, self.bridge = daemon, bridge
        self.mark = "zq%s%s" % (name[0], os.urandom(5).hex())
        self.control = daemon.control()
        self.count = itertools.count()
        self.name = self.mark + "-org"
        self.secrets = []
        made = self.control.ask({"v": 1, "op": "org_create", "name": self.name,
                                 "github_connected": True})
        self.email = self.fresh() + "@tenants.test"
        self.tokens = {"gateway": made["gateway_token"], "admin": made["admin_token"]}
        self.tokens["member"] = self.token("personal", email=self.email)["token"]
        self.tokens["service"] = self.token("service")["token"]
        agent = self.enrol()
        self.tokens["agent"] = agent["token"]
        self.agent_id, self.member_id = agent["agent_id"], agent["member_id"]
        gone = self.token("personal", role="admin")
        self.command("token_revoke", token_id=gone["token_id"])
        self.revoked = gone["token"]
        self.session = self.mark + "-session"
        self.push()
        self.cookies = {"admin": self.sign_in(code=link(daemon, self.name)),
                        "member": self.sign_in(token=self.tokens["member"])}
        ended = Browser(bridge)
        ended.sign_in(token=self.tokens["admin"])
        self.ended = ended.cookie
        ended.ask("DELETE", SESSION)
        self.secrets += [self.revoked, *self.tokens.values(),
                         *(cookie.split("=")[1] for cookie in (self.ended, *self.cookies.values()))]

    def command(self, op, **params):
        return self.control.ask(dict({"v": 1, "op": op, "org": self.name}, **params))

    def fresh(self):
        """A name nobody has, with the mark."""
        return "%s-%d" % (self.mark, next(self.count))

    def token(self, kind, **params):
        made = self.command("token_create", type=kind, name=self.fresh(), **params)
        self.secrets.append(made["token"])
        return made

    def enrol(self):
        made = self.command("agent_create", email=self.fresh() + "@tenants.test", type="codex")
        self.secrets.append(made["token"])
        return dict(made, member_id=self.command("key_resolve", key=made["token"])["member_id"])

    def invite(self, key):
        """key "code" or "email" of a new invitation."""
        email = self.fresh() + "@tenants.test"
        code = self.command("invite", email=email)["code"]
        self.secrets.append(code)
        return {"code": code, "email": email}[key]

    def sign_in(self, **proof):
        browser = Browser(self.bridge)
        browser.sign_in(**proof)
        self.secrets.append(browser.cookie.split("=")[1])
        return browser.cookie

    def signin_id(self):
        browser = Browser(self.bridge)
        browser.cookie = self.sign_in(token=self.tokens["member"])
        return browser.get(SESSION)["credential_id"]

    def push(self, first=0):
        now = int(time.time() * 1000)
        events = [{"id": "tenants-%08d" % (first + i), "ts": now - i * 1000, "email": self.email,
                   "agent": self.mark + "-agent", "model": self.mark + "-model",
                   "provider": self.mark + "-provider", "session": self.session,
                   "repo": "%s/repo" % self.mark.lower(), "pr": 1 + i % 2, "branch": self.mark,
                   "tags": [self.mark + "-tag"], "input_tokens": 10, "output_tokens": 10,
                   "cost_nusd": 10**9} for i in range(40)]
        events.append({"id": "tenants-link-%d" % first, "ts": now, "kind": "link", "session": self.session,
                       "op": "set_name", "value": self.mark + "-name"})
        events.append(dict(events[0], model=self.mark + "-conflict"))
        reply = self.daemon.ingest().ask({"v": 1, "token": self.tokens["gateway"],
                                          "events": events})
        assert reply["accepted"] == 41, reply
        self.daemon.wait_folded(reply["seq"])

    def actors(self):
        """Everybody, by kind."""
        actors = {kind: Actor(kind, token=token) for kind, token in self.tokens.items()}
        for kind, cookie in self.cookies.items():
            actors[kind + " cookie"] = Actor(kind + " cookie", cookie=cookie)
            actors[kind + " cookie of another page"] = Actor(
                kind + " cookie of another page", cookie=cookie, is_page=False)
        actors["nobody"] = Actor("nobody")
        actors["revoked"] = Actor("revoked", token=self.revoked)
        actors["ended cookie"] = Actor("ended cookie", cookie=self.ended)
        return actors

    def ids(self):
        """What names its things; nothing of it may be told to anybody else."""
        return [self.mark, self.member_id, self.agent_id, *self.secrets]

    def state(self):
        """What a command could have changed, as its admin sees it."""
        admin, state = Actor("admin", token=self.tokens["admin"]), {}
        for path in ("team", "tokens", "invitations", "signins"):
            status, _, text = admin.ask(self.bridge, "GET", "/api/v1/%s?limit=1000" % path
                                        if path == "team" else "/api/v1/" + path)
            assert status == 200, (path, text)
            state[path] = json.loads(text)
        for one in state["signins"]["signins"]:
            del one["used_ms"]
        return state
