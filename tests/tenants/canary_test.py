"""Random requests as one org never show a word of another's and change nothing there; and no secret of
anybody is in a file, a log, the metrics or an environment afterwards."""

import os
import random
import re
import subprocess
import time
import urllib.parse

import msgpack

import campaign
from bridge import Bridge
from daemon import BUILD, Daemon
from sp import Refused
from world import Org

V1 = "/api/v1"
HOSTILE = ["", "0", "a", "/a", "\x00", "\xff\xff", "..", "%2e%2e", "'", "\"", "<b>", "\u202e", "x" * 300,
           "null", "-1", "1e9", "o3", "{}", "[]", "*", "org", "member:", "session:", "repo:"]


def canaries(org):
    """What must not be heard by others: every name and id of the org, and its secrets."""
    return [one.encode() for one in org.ids()]


class Chooser:
    """Values for parameters: of the own org, of the other, and of nobody."""

    def __init__(self, pick, own, other):
        self.pick, self.own, self.other = pick, own, other
        things = []
        for org in (own, other):
            things += [org.email, org.member_id, org.agent_id, org.session, org.name,
                       org.mark + "-model", "%s/repo" % org.mark.lower(), org.mark + "-agent",
                       "member:" + org.member_id, "agent:" + org.agent_id,
                       "session:" + org.session, "model:" + org.mark + "-model",
                       "repo:github.com/%s/repo" % org.mark.lower(),
                       "pr:github.com/%s/repo#1" % org.mark.lower()]
        # Of the other org also what is only in its lists, and secrets that are nearly right: with
        # a right one the asker would be the other org.
        things += [one["token_id"] for one in other.state()["tokens"]["tokens"]]
        things += [one["signin_id"] for one in other.state()["signins"]["signins"]]
        things += [secret[:-1] + ("0" if secret[-1] != "0" else "1") for secret in other.secrets]
        self.things = things

    def value(self):
        return self.pick.choice(HOSTILE if self.pick.random() < 0.2 else self.things)


def random_request(pick, choose, operations):
    """(method, path, body, headers) of some route, with values from anywhere."""
    method, path, parameters, members = pick.choice(operations)
    path = re.sub("{.*?}", lambda _: urllib.parse.quote(choose.value(), safe=""), path)
    query = {name: choose.value() if pick.random() < 0.7 else pick.choice(
        ["24h", "7d", "30d", "1000", "cost", "tokens", "2020-01-01T00:00:00Z", "1", "UTC"])
        for name in parameters if pick.random() < 0.4}
    if query:
        path += "?" + urllib.parse.urlencode(query, errors="surrogatepass")
    body = None
    if method != "GET":
        body = {name: pick.choice([choose.value(), 1, True, None, {}, [choose.value()]])
                for name in members if pick.random() < 0.7}
        if pick.random() < 0.1:
            body[pick.choice(["org", "token", "op", "org_no"])] = choose.value()
    headers = {}
    if pick.random() < 0.3:
        headers["Accept"] = "application/msgpack"
    if pick.random() < 0.2:
        headers["X-Tally-Key"] = choose.value().encode("ascii", "ignore").decode().replace("\x00", "")
    return method, path, body, headers


def operations_of(document):
    """What a random caller may not use up: its own sessions and tokens stay."""
    found = []
    for path, entry in document["paths"].items():
        for method, operation in entry.items():
            parameters = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
            content = operation.get("requestBody", {}).get("content", {})
            members = list(content.get("application/json", {}).get("schema", {}).get(
                "properties", {}))
            found.append((method.upper(), path, parameters, members))
    return found


def random_frame(pick, choose, org, ops):
    """The same over nng: (is a query, request)."""
    op = pick.choice(ops)
    request = {"v": 1, "op": op, "token": pick.choice(list(org.tokens.values()))}
    names = ("org", "scope", "session", "member", "repo", "pr", "agent", "q", "cursor", "key",
             "signin_id", "token_id", "email", "code", "type", "name", "range")
    for name in names:
        if pick.random() < 0.25:
            request[name] = choose.value()
    return request


def leaks(text, request, secret_words):
    """The canaries in text that the asker did not bring along."""
    said = repr(request).encode() + urllib.parse.unquote(repr(request)).encode("utf-8", "replace")
    return [one for one in secret_words if one in text and one not in said]


def scan(paths, words):
    """Which words are in which files."""
    found = []
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        found += [(path, one) for one in words if one in data]
    return found


def all_files(directory):
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def test_random_requests_show_nothing_of_another_org():
    pick = random.Random(campaign.SEED)
    count, until = campaign.size(400, 10**9), campaign.deadline(0.9)
    with Daemon() as daemon, Bridge(daemon, "--connections-per-address", "1000") as bridge:
        own, other = Org(daemon, bridge, "own"), Org(daemon, bridge, "foreign")
        choose = Chooser(pick, own, other)
        operations = operations_of(bridge.get(V1 + "/openapi.json"))
        words, before = canaries(other), other.state()
        # What would end the caller is left out: people and tokens of its own.
        actors = [actor for name, actor in own.actors().items()]
        queries = ["leaderboard", "series", "top_repos", "repos", "pulls", "models", "sessions",
                   "session", "team", "dashboard", "live", "reconcile", "explain", "keys_resolve"]
        commands = ["token_list", "invite_list", "signin_list", "signin_show", "key_resolve",
                    "agent_update", "agent_rotate", "member_update", "token_revoke",
                    "signin_revoke", "invite_revoke", "ping", "org_list"]
        ingest, query = daemon.ingest(), daemon.query()
        asked = in_count = 0
        while asked < count and time.monotonic() < until:
            actor = pick.choice(actors)
            request = random_request(pick, choose, operations)
            method, path, body, headers = request
            if method == "DELETE" and path.startswith(V1 + "/session"):
                continue
            if "\x00" in path or any(ord(c) > 255 for c in headers.get("X-Tally-Key", "")):
                continue
            status, got, text = actor.ask(bridge, method, path, body, headers)
            asked += 1
            in_count += status < 300
            assert status < 500, (actor.name, request, status, text)
            found = leaks(text + repr(got).encode(), request, words)
            assert not found, (actor.name, request, found, text)
            frame = random_frame(pick, choose, own, queries if asked % 2 else commands)
            try:
                reply = (query if asked % 2 else ingest).ask(frame)
            except Refused as refused:
                reply = refused.error
                assert refused.code != "internal", (frame, refused)
            found = leaks(msgpack.packb(reply), frame, words)
            assert not found, (frame, found, reply)
        assert other.state() == before
        assert in_count > asked // 20, (in_count, asked)  # the actors are alive
        campaign.count("tenants", random_requests=2 * asked, canaries_seen=0)


def test_orgs_whose_names_begin_alike():
    names = ["a", "ab", "a/", "/a", "a b", "A", "\u00e4", "a\u0301", "'a'", "%61", "a" * 100]
    with Daemon() as daemon, Bridge(daemon) as bridge:
        made = {name: daemon.control().ask({"v": 1, "op": "org_create", "name": name})
                for name in names}
        now = int(time.time() * 1000)
        for i, name in enumerate(names):
            reply = daemon.ingest().ask({"v": 1, "token": made[name]["gateway_token"], "events": [
                {"id": "same-id-%04d" % n, "ts": now, "email": "x@tenants.test", "model": "m",
                 "session": "s", "repo": "o/r", "input_tokens": 1, "output_tokens": 1,
                 "cost_nusd": 10 ** i} for n in range(3)]})
            assert reply["accepted"] == 3, (name, reply)
        daemon.wait_folded(reply["seq"])
        for i, name in enumerate(names):
            token = made[name]["admin_token"]
            board = daemon.query().ask({"v": 1, "op": "leaderboard", "token": token})
            assert board["org"]["cost_nusd"] == 3 * 10 ** i, (name, board["org"])
            assert len(board["members"]) == 1
            assert daemon.query().ask({"v": 1, "op": "session", "token": token,
                                       "session": "s"})["requests"] == 3
            assert bridge.get(V1 + "/session", token)["org"] == name


def test_no_secret_is_written_down():
    with Daemon("--log", "debug") as daemon:
        with Bridge(daemon, "--log", "debug", "--connections-per-address", "1000") as bridge:
            org = Org(daemon, bridge, "own")
            # Every secret is used rightly and wrongly, in each place it may travel.
            for secret in list(org.secrets):
                for method, path, body, headers in (
                        ("GET", V1 + "/team", None, {"Authorization": "Bearer " + secret}),
                        ("GET", V1 + "/team", None, {"Cookie": "tally_sid=" + secret}),
                        ("GET", V1 + "/keys/resolve", None, {
                            "Authorization": "Bearer " + org.tokens["gateway"],
                            "X-Tally-Key": secret}),
                        ("POST", V1 + "/session", {"token": secret}, {}),
                        ("POST", V1 + "/session", {"code": secret}, {}),
                        ("POST", V1 + "/events", "[", {"Authorization": "Bearer " + secret}),
                        ("PATCH", V1 + "/org", {"name": 7}, {"Authorization": "Bearer " + secret})):
                    org.actors()["nobody"].ask(bridge, method, path, body, headers)
                for op in ("leaderboard", "nonsense"):
                    try:
                        daemon.query().ask({"v": 1, "op": op, "token": secret})
                    except Refused:
                        pass
            for what in ("stats", "reconcile", "top", "keys", "team"):
                subprocess.run([os.path.join(BUILD, "tally"), what, *(["list"] if what == "keys" else [
                    ]), "--data", daemon.directory, "--token", org.tokens["admin"]],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            # A flush point and a restart put everything into tables; then the logs and tables again.
            daemon.stop()
            daemon.start()
            org.push(1000)
            metrics = bridge.metrics()[1].encode()
            words = [part.encode() for secret in org.secrets for part in secret_parts(secret)]
            assert len(words) >= 15, words
            for pid in (daemon.process.pid, bridge.process.pid):
                for name in ("environ", "cmdline"):
                    with open("/proc/%d/%s" % (pid, name), "rb") as file:
                        text = file.read()
                    assert not any(word in text for word in words), (pid, name)
            assert not any(word in metrics for word in words)
            dump = subprocess.run([os.path.join(BUILD, "tally"), "dump", "registry", "--data",
                                   daemon.directory], stdout=subprocess.PIPE, check=True).stdout
            assert not any(word in dump for word in words)
            daemon.stop()
            files = list(all_files(daemon.directory))
            found = scan(files, words)
            assert not found, found
            assert any(path.endswith(".log") for path in files), files
            daemon.start()
        campaign.count("tenants", secrets=len(words), files_searched=len(files), secrets_found=0)


def secret_parts(secret):
    """What must not be found: all of it, and what is behind the key id."""
    parts = secret.split("_")
    return [secret, parts[3]] if len(parts) == 5 else [secret]
