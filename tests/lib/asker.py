"""Who asks over HTTP: a browser with its cookie, and the tokens and links of people."""

import json

SESSION = "/api/v1/session"
JSON = "application/json"


class Browser:
    """Keeps its cookie and says what a page of the server would say."""

    def __init__(self, bridge):
        self.bridge, self.cookie = bridge, ""

    def ask(self, method, path, body=None, **headers):
        """(status, reply headers, JSON)"""
        send = {"Cookie": self.cookie} if self.cookie else {}
        if method != "GET":
            send.update({"X_Tally": "1", "Origin": "http://127.0.0.1:%d" % self.bridge.port})
        if body is not None:
            send["Content_Type"] = JSON
        send.update(headers)
        send = {name: value for name, value in send.items() if value is not None}
        status, got, text = self.bridge.ask(path, "", method, body and json.dumps(body), **send)
        if "set-cookie" in got:
            self.cookie = got["set-cookie"].split(";")[0]
        return status, got, json.loads(text)

    def sign_in(self, status=200, **body):
        got, headers, reply = self.ask("POST", SESSION, body)
        assert got == status, (got, reply)
        return reply

    def get(self, path, status=200):
        got, _, reply = self.ask("GET", path)
        assert got == status, (path, got, reply)
        return reply


def person(daemon, email, role="member", org="acme"):
    return daemon.control().ask({"v": 1, "op": "token_create", "org": org, "type": "personal",
                                 "name": email, "email": email, "role": role})


def link(daemon, org="acme", **params):
    return daemon.control().ask(dict({"v": 1, "op": "link_create", "org": org}, **params))["code"]
