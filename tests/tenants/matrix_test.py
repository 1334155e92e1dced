"""Every route and every op, asked by everybody, in their own org and in another: who may is let in, who
may not changes nothing and learns nothing. The rows below say who; a route or an op without a row
fails."""

import json
import os
import random
import re
import subprocess

import campaign
from bridge import Bridge
from daemon import BUILD, Daemon
from sp import Refused, Req
from world import Actor, Org

V1 = "/api/v1"

EVERYBODY = {"gateway", "agent", "member", "service", "admin", "member cookie", "admin cookie",
             "nobody", "revoked", "ended cookie"}
UNKNOWN = {"nobody", "revoked", "ended cookie"}
WHO = {
    "page": EVERYBODY,
    "anybody": EVERYBODY,
    "any": EVERYBODY - UNKNOWN,
    "member": {"member", "service", "admin", "member cookie", "admin cookie"},
    "auditor": {"service", "admin", "admin cookie"},
    "admin": {"admin", "admin cookie"},
    "gateway": {"gateway"},
    "agent": {"gateway", "agent"},
}


def at(path, body=None):
    return lambda org: (path, body)


# Route: who, and a request that works for those, on a thing of its own each time.
ROUTES = {
    "GET /api/v1/dashboard": ("member", at(V1 + "/dashboard")),
    "GET /api/v1/leaderboard": ("member", at(V1 + "/leaderboard")),
    "GET /api/v1/series": ("member", at(V1 + "/series")),
    "GET /api/v1/repos/top": ("member", at(V1 + "/repos/top")),
    "GET /api/v1/repos": ("member", at(V1 + "/repos")),
    "GET /api/v1/pulls": ("member", at(V1 + "/pulls")),
    "GET /api/v1/models": ("member", at(V1 + "/models")),
    "GET /api/v1/sessions": ("member", at(V1 + "/sessions")),
    "GET /api/v1/sessions/{id}": ("member", lambda org: (V1 + "/sessions/" + org.session, None)),
    "GET /api/v1/team": ("member", at(V1 + "/team")),
    "GET /api/v1/live": ("member", at(V1 + "/live")),
    "GET /api/v1/reconcile": ("auditor", at(V1 + "/reconcile")),
    "GET /api/v1/explain": ("auditor", at(V1 + "/explain")),
    "GET /api/v1/export": ("auditor", at(V1 + "/export?format=csv")),
    "GET /api/v1/keys/resolve": ("gateway", at(V1 + "/keys/resolve")),
    "GET /api/v1/openapi.json": ("anybody", at(V1 + "/openapi.json")),
    "GET /livez": ("anybody", at("/livez")),
    "GET /readyz": ("anybody", at("/readyz")),
    "POST /v1/logs": ("agent", at("/v1/logs", {})),
    "POST /v1/metrics": ("agent", at("/v1/metrics", {})),
    "POST /v1/traces": ("agent", at("/v1/traces", {})),
    "POST /mcp": ("agent", at("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"})),
    "POST /api/v1/events": ("agent", lambda org: (V1 + "/events", [
        {"id": org.fresh(), "ts": 1, "model": "m"}])),
    "GET /api/v1/invitations": ("admin", at(V1 + "/invitations")),
    "POST /api/v1/invitations": ("admin", lambda org: (
        V1 + "/invitations", {"email": org.fresh() + "@tenants.test"})),
    "DELETE /api/v1/invitations/{member}": ("admin", lambda org: (
        V1 + "/invitations/" + org.invite("email"), None)),
    "POST /api/v1/invitations/{code}/accept": ("anybody", lambda org: (
        V1 + "/invitations/%s/accept" % org.invite("code"), None)),
    "POST /api/v1/members/{member}/agents": ("admin", lambda org: (
        V1 + "/members/%s/agents" % org.member_id, {"type": org.fresh()})),
    "PATCH /api/v1/agents/{agent}": ("admin", lambda org: (
        V1 + "/agents/" + org.enrol()["agent_id"], {"compression": False})),
    "DELETE /api/v1/agents/{agent}": ("admin", lambda org: (lambda agent: (
        V1 + "/agents/" + agent, {"confirm": agent}))(org.enrol()["agent_id"])),
    "POST /api/v1/agents/{agent}/rotate": ("admin", lambda org: (
        V1 + "/agents/%s/rotate" % org.enrol()["agent_id"], None)),
    "POST /api/v1/agents/{agent}/reveal": ("admin", lambda org: (
        V1 + "/agents/%s/reveal" % org.enrol()["agent_id"], None)),
    "PATCH /api/v1/team/{gitEmailHash}": ("admin", lambda org: (
        V1 + "/team/" + org.member_id, {"displayName": org.fresh(), "hourlyRate": 7})),
    "DELETE /api/v1/team/{gitEmailHash}": ("admin", lambda org: (
        V1 + "/team/" + org.enrol()["member_id"], None)),
    "PATCH /api/v1/org": ("admin", at(V1 + "/org", {"seats": 9})),
    "GET /api/v1/tokens": ("admin", at(V1 + "/tokens")),
    "POST /api/v1/tokens": ("admin", lambda org: (
        V1 + "/tokens", {"type": "service", "name": org.fresh()})),
    "DELETE /api/v1/tokens/{token}": ("admin", lambda org: (
        V1 + "/tokens/" + org.token("service")["token_id"], None)),
    "GET /api/v1/signins": ("admin", at(V1 + "/signins")),
    "DELETE /api/v1/signins/{signin}": ("admin", lambda org: (
        V1 + "/signins/" + org.signin_id(), None)),
    "POST /api/v1/session": ("anybody", lambda org: (
        V1 + "/session", {"token": org.tokens["member"]})),
    "GET /api/v1/session": ("any", at(V1 + "/session")),
    "DELETE /api/v1/session": ("any", at(V1 + "/session")),
    "GET /": ("page", at("/")),
    "GET /dashboard": ("page", at("/dashboard")),
    "GET /dashboard/team": ("page", at("/dashboard/team")),
    "GET /dashboard/sessions": ("page", at("/dashboard/sessions")),
    "GET /dashboard/sessions/{id}": ("page", lambda org: ("/dashboard/sessions/" + org.session,
                                                          None)),
    "GET /login": ("page", at("/login")),
}

# What those who may hear instead of 200.
OTHERWISE = {
    "GET /": 302,
    "POST /api/v1/agents/{agent}/reveal": 409,  # keys are kept as hashes
}

# Usage comes with a token alone.
NO_COOKIE = {"POST /api/v1/events", "POST /v1/logs", "POST /v1/metrics", "POST /v1/traces",
             "POST /mcp"}

# Things that are named in the path: an id of another org, in its place.
FOREIGN = {
    "GET /api/v1/sessions/{id}": lambda org: org.session,
    "DELETE /api/v1/invitations/{member}": lambda org: org.invite("email"),
    "POST /api/v1/members/{member}/agents": lambda org: org.member_id,
    "PATCH /api/v1/agents/{agent}": lambda org: org.agent_id,
    "DELETE /api/v1/agents/{agent}": lambda org: org.agent_id,
    "POST /api/v1/agents/{agent}/rotate": lambda org: org.agent_id,
    "POST /api/v1/agents/{agent}/reveal": lambda org: org.agent_id,
    "PATCH /api/v1/team/{gitEmailHash}": lambda org: org.member_id,
    "DELETE /api/v1/team/{gitEmailHash}": lambda org: org.member_id,
    "DELETE /api/v1/tokens/{token}": lambda org: org.token("service")["token_id"],
    "DELETE /api/v1/signins/{signin}": lambda org: org.signin_id(),
}

# Op: who, over nng.
OPERATOR = set()
OPS = dict(
    {op: WHO["member"] for op in (
        "leaderboard", "series", "top_repos", "repos", "pulls", "models", "sessions", "session",
        "team", "dashboard", "live")},
    **{op: WHO["auditor"] for op in ("reconcile", "explain", "export")},
    **{op: WHO["gateway"] for op in ("keys_resolve", "key_resolve")},
    **{op: WHO["agent"] for op in ("events",)},
    **{op: WHO["admin"] for op in (
        "org_update", "token_create", "token_revoke", "token_list", "invite", "invite_revoke",
        "invite_list", "agent_create", "agent_update", "agent_rotate", "agent_reveal",
        "agent_delete", "member_update", "member_remove", "signin_list", "signin_revoke")},
    **{op: EVERYBODY - UNKNOWN for op in ("ping", "signin_show", "signin_end", "invite_accept")},
    **{op: {"member", "admin"} for op in ("signin_create",)},
    **{op: EVERYBODY for op in ("health",)},
    **{op: OPERATOR for op in ("org_create", "org_list", "stats", "verify", "rebuild", "dump", "seal",
                               "accept_clock", "link_create")},
)
QUERIES = {"leaderboard", "series", "top_repos", "repos", "pulls", "models", "sessions", "session",
           "team", "dashboard", "live", "reconcile", "explain", "export", "keys_resolve",
           "health"}


def routes():
    """Every route of the server, with the word it has for who may ask it."""
    text = subprocess.run([os.path.join(BUILD, "tally-http"), "--routes"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    lines = [line.rsplit(" ", 1) for line in text.splitlines()]
    assert len(lines) > 40, text
    return {route: who for route, who in lines if not route.startswith("GET /assets/")}


def headers_of(route, org):
    return {"X-Tally-Key": org.tokens["agent"]} if route == "GET /api/v1/keys/resolve" else {}


def wanted(route, who, name):
    """The statuses that name may hear on route."""
    method, kind = route.split(" ")[0], name.replace(" of another page", "")
    if "another page" in name and (method != "GET" or route == "POST /api/v1/session"):
        return (403,)
    if kind not in WHO[who]:
        if kind in UNKNOWN:
            return (401, 429)  # 429: too many of them already
        return (401,) if route in NO_COOKIE and "cookie" in kind else (403,)
    if route == "DELETE /api/v1/session" and "cookie" not in kind:
        return (404,)  # a token is no session to be ended
    return (OTHERWISE.get(route, 200),)


def forget(text):
    """A reply without what names the request."""
    return re.sub(rb'"request_id":"[^"]*"', b"", text)


def test_every_route_has_a_row():
    served = routes()
    assert set(served) == set(ROUTES), set(served) ^ set(ROUTES)
    for route, who in served.items():
        assert ROUTES[route][0] == who, (route, who)
    named = {route for route in ROUTES if "{" in route and ROUTES[route][0] in (
        "member", "auditor", "admin", "gateway")}
    assert named == set(FOREIGN), named ^ set(FOREIGN)


def test_every_route_by_everybody():
    with Daemon() as daemon, Bridge(daemon, "--connections-per-address", "1000") as bridge:
        org, other = Org(daemon, bridge, "own"), Org(daemon, bridge, "foreign")
        asked = 0
        for route, (who, request) in sorted(ROUTES.items()):
            method = route.split(" ")[0]
            for name, actor in org.actors().items():
                if route == "DELETE /api/v1/session" and name in org.actors() and "cookie" in name \
                        and "ended" not in name and "another" not in name:
                    actor = Actor(name, cookie=org.sign_in(token=org.tokens["member"]))
                path, body = request(org)
                statuses = wanted(route, who, name)
                is_denied = statuses[0] in (401, 403)
                before = org.state() if is_denied and method != "GET" else None
                status, headers, text = actor.ask(bridge, method, path, body,
                                                  headers_of(route, org))
                asked += 1
                assert status in statuses, (route, name, status, text)
                assert headers["x-content-type-options"] == "nosniff", (route, headers)
                assert "content-security-policy" in headers, (route, headers)
                assert "access-control-allow-origin" not in headers, (route, headers)
                if is_denied:
                    assert not any(one.encode() in text for one in org.ids()), (route, name, text)
                    assert before is None or org.state() == before, (route, name)
                # Another org's people, asking for theirs, see nothing of this one's.
                if who not in ("page",) and method == "GET" and "{" not in route:
                    status, _, text = other.actors()[name].ask(bridge, method, path, body,
                                                               headers_of(route, other))
                    assert status in statuses, (route, name, status, text)
                    assert not any(one.encode() in text for one in org.ids()), (route, name, text)
        campaign.count("tenants", routes=len(ROUTES), requests=asked)


def test_a_foreign_thing_is_no_thing():
    with Daemon() as daemon, Bridge(daemon, "--connections-per-address", "1000") as bridge:
        org, other = Org(daemon, bridge, "own"), Org(daemon, bridge, "foreign")
        pick = random.Random(campaign.SEED)
        admin = org.actors()["admin"]
        for route, id_of in sorted(FOREIGN.items()):
            method, path = route.split(" ")
            foreign = id_of(other)
            # Of the same shape, and nobody's.
            unknown = "".join(pick.choice("0123456789abcdef") if c in "0123456789abcdef" else c
                              for c in foreign)
            before, heard = other.state(), []
            for one in (foreign, unknown):
                body = {"confirm": one} if route.startswith("DELETE /api/v1/agents") else (
                    {"type": "codex"} if "members" in path else {} if method == "PATCH" else None)
                status, headers, text = admin.ask(bridge, method, re.sub("{.*?}", one, path), body)
                assert status == 404, (route, one, status, text)
                heard.append((forget(text), sorted(set(headers) - {"date", "x-request-id"})))
            assert heard[0] == heard[1], (route, heard)
            assert other.state() == before, route
        # The key of another org's agent is unknown to a gateway, too.
        heard = [org.actors()["gateway"].ask(bridge, "GET", V1 + "/keys/resolve", None,
                                             {"X-Tally-Key": key})
                 for key in (other.tokens["agent"], other.agent_id, "tally_ca_00000000")]
        assert {status for status, _, _ in heard} == {404}, heard
        assert len({forget(text) for _, _, text in heard}) == 1, heard


def test_what_a_member_is_not_told():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        org = Org(daemon, bridge, "own")
        peer = org.fresh() + "@tenants.test"
        org.command("token_create", type="personal", name="p", email=peer)
        org.command("member_update", member=org.email, hourly_rate=77)
        daemon.ingest().ask({"v": 1, "token": org.tokens["gateway"], "events": [
            {"id": org.fresh(), "ts": int(__import__("time").time() * 1000), "email": peer,
             "model": "m", "input_tokens": 1, "output_tokens": 1, "cost_nusd": 5}]})
        daemon.wait_caught_up()
        member, admin = org.actors()["member"], org.actors()["admin"]
        team = json.loads(admin.ask(bridge, "GET", V1 + "/team")[2])["members"]
        assert {one.get("email") for one in team} >= {org.email, peer}, team
        assert any(one.get("hourlyRate") for one in team), team
        for path in ("/team", "/leaderboard", "/dashboard", "/sessions"):
            text = member.ask(bridge, "GET", V1 + path)[2].decode()
            assert peer not in text, (path, text)
        team = json.loads(member.ask(bridge, "GET", V1 + "/team")[2])["members"]
        assert len(team) >= 2 and not any(one.get("hourlyRate") for one in team), team
        org.command("org_update", peers_visible=False)
        for path in ("/team", "/leaderboard", "/dashboard"):
            reply = json.loads(member.ask(bridge, "GET", V1 + path)[2])
            members = reply.get("members") or reply["leaderboard"]["members"]
            assert len(members) <= 1, (path, members)


def verdict(client, request):
    """"in", or the code that says who was turned away."""
    try:
        client.ask(request)
    except Refused as refused:
        if refused.code in ("unauthenticated", "forbidden"):
            return refused.code
    return "in"


def test_every_op_by_everybody():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        org = Org(daemon, bridge, "own")
        known = set(daemon.stats()["denied"])
        assert known == set(OPS), known ^ set(OPS)
        ingest, query = daemon.ingest(), daemon.query()
        for op, allowed in sorted(OPS.items()):
            for name, actor in sorted(org.actors().items()):
                if "another page" in name:
                    continue
                token = actor.token or (actor.cookie.split("=")[1] if actor.cookie else None)
                if op == "signin_end" and name.endswith("cookie") and name != "ended cookie":
                    token = org.sign_in(token=org.tokens["member"]).split("=")[1]
                request = {"v": 1, "op": op} if op != "events" else {"v": 1, "events": [{"id": "x"}]}
                if token:
                    request["token"] = token
                told = verdict(query if op in QUERIES else ingest, request)
                if name in allowed:
                    assert told == "in", (op, name, told)
                elif name == "nobody" and op in ("invite_accept", "signin_create", "events"):
                    assert told == "in", (op, name, told)  # field_missing: the code, the token
                elif name in UNKNOWN:
                    assert told == "unauthenticated", (op, name, told)
                else:
                    assert told == "forbidden", (op, name, told)
        # The operator's doors are files; what goes in there without a token may all of it.
        control, query_control = daemon.control(), daemon.query_control()
        for op in sorted(OPS):
            request = {"v": 1, "op": op, "org": org.name}
            if op == "events":
                request = {"v": 1, "events": [{"id": "x"}]}
            told = verdict(query_control if op in QUERIES else control, request)
            if op not in ("signin_create", "signin_end", "events"):
                assert told == "in", (op, told)
        # A token on those doors is still what it is.
        assert verdict(control, {"v": 1, "op": "link_create", "org": org.name,
                                 "token": org.tokens["admin"]}) == "forbidden"
        # An org is chosen by the credential, never by what is said beside it.
        other = Org(daemon, bridge, "foreign")
        for client, op in ((query, "leaderboard"), (ingest, "token_list"), (ingest, "org_update")):
            for name in (other.name, "nobody's"):
                try:
                    client.ask({"v": 1, "op": op, "token": org.tokens["admin"], "org": name})
                    assert False, (op, name)
                except Refused as refused:
                    assert (refused.code, str(refused)) == (
                        "not_found", "not_found: org: no such org"), (op, refused)
