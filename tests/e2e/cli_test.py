"""The command line as a person uses it: what README says, what a mistake looks like, what --json
gives, and that a replayed trace arrives whole."""

import json
import os
import subprocess
import time

from daemon import BUILD, Daemon

TALLY = os.path.join(BUILD, "tally")
TRACE = os.path.join("..", "shared", "data", "llm-traces", "azure-llm-2023-code.csv.gz")


def run(*words, token="", stdin=None, code=0, data=""):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("TALLY_")}
    if token:
        environment["TALLY_TOKEN"] = token
    if data:
        environment["TALLY_DATA"] = data
    done = subprocess.run([TALLY, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          input=stdin, env=environment, text=True, timeout=120)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def events(count):
    now = int(time.time() * 1000)
    return [{"id": "cli-%08d" % i, "ts": now - i * 1000, "email": "dev%d@acme.test" % (i % 3),
             "agent": "codex", "session": "s-%d" % (i % 5), "model": "m", "input_tokens": 10,
             "output_tokens": 5, "cost_nusd": 1234567891} for i in range(count)]


def test_the_way_through_the_readme():
    with Daemon() as daemon:
        data = daemon.directory
        made = json.loads(run("org", "create", "acme", "--tz", "Europe/Berlin", "--json",
                              data=data))
        gateway, admin = made["gateway_token"], made["admin_token"]
        sent = events(30)
        lines = "\n".join(json.dumps(event) for event in sent) + "\n"
        lines += json.dumps({"id": "cli-link-1", "ts": int(time.time() * 1000), "kind": "link",
                             "session": "s-1", "op": "set_repo",
                             "value": "git@github.com:acme/api.git"}) + "\n"
        out = run("push", "-", token=gateway, stdin=lines, data=data)
        assert out == "accepted=31 duplicate=0 replaced=0 rejected=0\n", out
        out = run("push", "-", token=gateway, stdin=json.dumps(sent), data=data)
        assert out == "accepted=0 duplicate=30 replaced=0 rejected=0\n", out
        daemon.wait_folded(31)
        top = json.loads(run("top", "--range", "24h", "--json", token=admin, data=data))
        assert top["org"]["cost_usd"] == "37.03703673", top["org"]
        assert [m["rank"] for m in top["members"]] == [1, 1, 1]
        table = run("top", "--range", "24h", token=admin, data=data)
        assert "dev0@acme.test" in table and "$12.35" in table and "total: $37.04" in table, table
        assert "github.com/acme/api" in run("repos", token=admin, data=data)
        assert "s-1" in run("sessions", token=admin, data=data)
        assert json.loads(run("sessions", "s-1", token=admin, data=data))["requests"] == 6
        assert "3 of 0 seats used" in run("team", token=admin, data=data)
        part = run("team", "--limit", "2", token=admin, data=data)
        assert "(the first 2; --limit shows more)" in part and "3 of 0 seats used" in part
        assert "--limit shows more" in run("keys", "list", "--limit", "1", token=admin, data=data)
        assert "31" in run("reconcile", token=admin, data=data)
        # The operator on the machine needs no token.
        assert "dev0@acme.test" in run("top", "--range", "24h", data=data)
        assert "0 differences" in run("verify", data=data)
        assert "rebuilt" in run("rebuild", data=data)
        assert json.loads(run("stats", data=data))["accepted"] == 31
        families = run("dump", data=data).split()
        for family in families:
            assert run("dump", family, data=data) is not None
        assert "input_tokens=10" in run("dump", families[-1], data=data)


def test_mistakes_are_explained():
    with Daemon() as daemon:
        data = daemon.directory
        assert "no command" in run("tpo", code=64)
        assert "no daemon at" in run("top", "--data", "/nonexistent", code=69)
        assert "no org yet" in run("top", data=data, code=64)
        assert "gateway token is needed" in run("push", "-", data=data, code=64)
        made = json.loads(run("org", "create", "acme", "--json", data=data))
        assert "conflict" in run("org", "create", "acme", data=data, code=1)
        assert "bad_param" in run("top", "--range", "8d", data=data, code=1)
        assert "limit" in run("top", "--limit", "5000", data=data, code=64)
        assert "unauthenticated" in run("top", "--token", "nonsense", data=data, code=1)
        bad = dict(events(1)[0], cost_nusd=-5)
        err = run("push", "-", token=made["gateway_token"], stdin=json.dumps([bad]), data=data,
                  code=1)
        assert "event 0: amount_negative cost_nusd" in err, err
        err = run("push", "-", token=made["gateway_token"], stdin="{not json}\n", data=data,
                  code=64)
        assert "line 1" in err, err
        assert "forbidden" in run("push", "-", token=made["admin_token"], data=data,
                                  stdin=json.dumps(events(1)), code=1)


def test_every_command_has_help():
    names = [line.split()[0] for line in run("help").splitlines() if line.startswith("  ")]
    assert len(names) >= 18, names
    for name in names:
        assert "--data" in run(name, "--help"), name


def test_keys_and_members():
    with Daemon() as daemon:
        data = daemon.directory
        run("org", "create", "acme", data=data)
        made = json.loads(run("keys", "create", "--type", "claude_code", "--email",
                              "ada@acme.test", "--json", data=data))
        assert made["agent_id"].startswith("tally_ca_") and made["token"]
        assert "conflict" in run("keys", "create", "--type", "claude_code", "--email",
                                 "ada@acme.test", data=data, code=1)
        run("keys", "rotate", made["agent_id"], data=data)
        reader = json.loads(run("keys", "create", "--type", "service", "--name", "grafana",
                                "--json", data=data))
        assert "ada@acme.test" in run("top", token=reader["token"], data=data) + run(
            "team", data=data)
        run("keys", "revoke", reader["token_id"], data=data)
        assert "unauthenticated" in run("top", token=reader["token"], data=data, code=1)
        invited = json.loads(run("members", "invite", "bob@acme.test", "--json", data=data))
        run("members", "accept", invited["code"], data=data)
        run("members", "update", "bob@acme.test", "--name", "Bob", "--rate", "95.50", data=data)
        assert "Bob" in run("team", data=data) and "95.5" in run("team", data=data)
        run("members", "remove", "bob@acme.test", data=data)


def test_a_trace_arrives_whole():
    if not os.path.exists(TRACE):
        return "the trace is not here: nothing checked"
    with Daemon() as daemon:
        org = daemon.create_org()
        out = json.loads(run("load", "--trace", TRACE, "--gateways", "2", "--late", "0", "--json",
                             token=org["gateway_token"], data=daemon.directory))
        daemon.wait_folded(out["accepted"])
        top = daemon.query().ask({"v": 1, "token": org["admin_token"], "op": "leaderboard"})
        assert (top["org"]["requests"], top["org"]["input_tokens"],
                top["org"]["output_tokens"]) == (8819, 18059974, 245896), top["org"]
        return "8,819 requests, %d sent twice" % out["duplicate"]
