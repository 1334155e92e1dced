"""tally import of real transcripts gives exactly the published totals, twice in a row. The data
lies beside the project and is not part of it: without it these tests say so and check nothing."""

import decimal
import json
import os
import subprocess
import tempfile

from daemon import BUILD, Daemon

DATA = os.path.join("..", "shared", "data")
CLASSES = {"input": "input_tokens", "cache_write": "cache_write_tokens",
           "cache_read": "cache_read_tokens", "output": "output_tokens"}


def tally(daemon, token, *words):
    done = subprocess.run(
        [os.path.join(BUILD, "tally"), *words, "--data", daemon.directory, "--token", token,
         "--ingest", daemon.address("ingest"), "--query", daemon.address("query"), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, (words, done.returncode, done.stderr)
    return json.loads(done.stdout)


# What the sets cost at flat prices, by a tool that others wrote (README of the data): dollars, to
# the places it prints.
FLAT = {"episodic-memory": "35.295959", "spotter": "31.078372", "localpush": "16.808645"}


def import_twice(source, name, requests, tokens, models, sessions):
    folder = os.path.join(DATA, source, name)
    with Daemon("--retention-days", "3650") as daemon:
        token = daemon.create_org()["admin_token"]
        first = tally(daemon, token, "import", source, folder, "--email", "dev@acme.test")
        assert (first["accepted"], first["rejected"]) == (requests, 0), first
        again = tally(daemon, token, "import", source, folder, "--email", "dev@acme.test")
        assert (again["accepted"], again["duplicate"]) == (0, requests), again
        client = daemon.query_control()
        seq = client.ask({"v": 1, "op": "health"})["seq"]
        daemon.wait_folded(max(seq, requests))
        client.close()
        # 400 days is the longest range: ask year by year.
        total = dict.fromkeys(CLASSES, 0)
        count = cost_nusd = 0
        by_model = {}
        seen = set()
        for year in (2025, 2026, 2027):
            span = ["--from", "%d-01-01T00:00:00Z" % year, "--to",
                    "%d-01-01T00:00:00Z" % (year + 1), "--tz", "UTC", "--limit", "1000"]
            top = tally(daemon, token, "top", *span)
            count += top["org"]["requests"]
            cost_nusd += int(decimal.Decimal(top["org"]["cost_usd"]) * 10**9)
            for name_, key in CLASSES.items():
                total[name_] += top["org"][key]
            for model in tally(daemon, token, "models", *span)["models"]:
                by_model[model["model"]] = by_model.get(model["model"], 0) + model["requests"]
            seen |= {s["session"] for s in tally(daemon, token, "sessions", *span)["sessions"]}
        assert count == requests
        assert total == {key: tokens[key] for key in CLASSES}, (total, tokens)
        assert by_model == models, by_model
        assert abs(cost_nusd - decimal.Decimal(FLAT[name]) * 10**9) <= 500, (name, cost_nusd)
        assert len(seen) == sessions
        assert daemon.verify()["differences"] == 0


def expected():
    path = os.path.join(DATA, "expected.json")
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


def model_requests(models):
    return {name: m["requests"] if isinstance(m, dict) else m for name, m in models.items()}


def test_claude_code_transcripts():
    data = expected()
    if data is None:
        return "transcripts are not here: nothing checked"
    for name, want in data["claude-code"].items():
        import_twice("claude-code", name, want["requests"], want["tokens"],
                     model_requests(want["models"]), want["sessions"])
    return "%d sets equal their published totals" % len(data["claude-code"])


def test_codex_transcripts():
    data = expected()
    if data is None:
        return "transcripts are not here: nothing checked"
    for name, want in data["codex"].items():
        import_twice("codex", name, want["requests"], want["tokens"],
                     model_requests(want["models"]), want["sessions"])
    return "%d sets equal their published totals" % len(data["codex"])


def test_prices_are_shown_own_ones_first():
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("version acme\nours 2026-02-01 1 2 3 4 5 # per token\n")
        file.flush()
        done = subprocess.run([os.path.join(BUILD, "tally"), "prices", "--json", "--prices",
                               file.name], stdout=subprocess.PIPE, check=True)
        shown = json.loads(done.stdout)
        assert shown["version"].startswith("acme over 2"), shown["version"]
        assert shown["prices"][0] == {"model": "ours", "since": "2026-02-01", "input": 1, "output": 2,
                                      "cache_read": 3, "cache_write": 4, "cache_write_1h": 5}
        assert len(shown["prices"]) > 10
        file.write("ours - one 2 3 4 5\n")
        file.flush()
        done = subprocess.run([os.path.join(BUILD, "tally"), "prices", "--prices", file.name],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 64 and "line 3" in done.stderr, done
