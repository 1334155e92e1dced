"""A daemon and its bridge as agents meet them: an org, a key for each of two people, exports."""

import json

import otlp
from bridge import Bridge
from daemon import Daemon

JSON, PROTOBUF = "application/json", "application/x-protobuf"


class World:
    """Use it in a with block; options are tallyd's, bridge those of tally-http."""

    def __init__(self, *options, bridge=()):
        self.daemon = Daemon(*options)
        self.bridge = Bridge(self.daemon, *bridge)

    def __enter__(self):
        self.daemon.__enter__()
        self.org = self.daemon.create_org()
        self.admin, self.gateway = self.org["admin_token"], self.org["gateway_token"]
        self.bridge.__enter__()
        self.ada, self.bob = self.key("ada@acme.test"), self.key("bob@acme.test")
        return self

    def __exit__(self, *why):
        self.bridge.__exit__(*why)
        self.daemon.__exit__(*why)

    def key(self, email, kind="claude_code"):
        control = self.daemon.control()
        made = control.ask({"v": 1, "op": "agent_create", "org": "acme", "email": email,
                            "type": kind})
        control.close()
        return made["token"]

    def export(self, signal, body, token=None, kind=JSON, status=200, **headers):
        if isinstance(body, dict):
            body = json.dumps(body) if kind == JSON else otlp.protobuf(body)
        got = self.bridge.ask("/v1/" + signal, self.ada if token is None else token, "POST", body,
                              Content_Type=kind, **headers)
        assert got[0] == status, got
        return got[1], got[2]

    def push(self, events, token):
        return json.loads(self.bridge.ask("/api/v1/events", token, "POST", json.dumps(events),
                                          Content_Type=JSON)[2])

    def board(self):
        self.daemon.wait_caught_up()
        return self.bridge.get("/api/v1/leaderboard?range=90d", self.admin)

    def totals(self):
        return self.board()["org"]

    def team(self):
        self.daemon.wait_caught_up()
        return {one["email"]: one for one in
                self.bridge.get("/api/v1/team", self.admin)["members"]}
