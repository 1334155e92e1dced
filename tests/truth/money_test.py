"""Money is whole nano-dollars from the socket to the reply (RELIABILITY P5), against Python's integers."""

import math
import os
import random
import struct
import subprocess
import time

import msgpack

from batch import encode, frame, push
from campaign import SEED, count, deadline, size
from daemon import BUILD, Daemon

NOW = int(time.time() * 1000)
COST_MAX = 10 ** 15
TOKENS_MAX = 10 ** 10
MONEY_MAX = (2 ** 63 - 1) // 2  # of an org, ever (ingest/sources.h)
SUMS = ("requests", "unpriced", "input_tokens", "cache_read_tokens", "cache_write_tokens",
        "output_tokens", "reasoning_tokens", "cost_nusd", "saved_tokens", "saved_nusd")


def plain(number, **fields):
    return dict({"id": "money-%012d" % number, "ts": NOW - 1000, "model": "m",
                 "input_tokens": 1, "output_tokens": 2}, **fields)


def ask(daemon, token, op="leaderboard", **params):
    client = daemon.query()
    reply = client.ask(dict({"v": 1, "token": token, "op": op, "limit": 1000}, **params))
    client.close()
    return reply


FIELDS = ["id", "ts", "email", "agent", "model", "input_tokens", "cache_read_tokens",
          "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_nusd", "saved_tokens",
          "saved_nusd"]


def random_row(rng, number, sums):
    """A row, and its values added where they belong."""
    member, model = "dev%d@acme.test" % rng.randrange(8), "m%d" % rng.randrange(4)
    output = rng.randrange(1 << rng.randrange(1, 33))
    cost = None if rng.random() < 0.1 else rng.randrange(1 << rng.randrange(1, size(47, 43)))
    values = {"requests": 1, "unpriced": cost is None,
              "input_tokens": rng.randrange(1 << rng.randrange(1, 33)),
              "cache_read_tokens": rng.randrange(1 << rng.randrange(1, 33)),
              "cache_write_tokens": rng.randrange(1 << rng.randrange(1, 33)),
              "output_tokens": output, "reasoning_tokens": rng.randrange(output + 1),
              "cost_nusd": cost or 0, "saved_tokens": rng.randrange(1 << 20),
              "saved_nusd": rng.randrange(1 << 30)}
    for key in ("org", member, model):
        mine = sums.setdefault(key, dict.fromkeys(SUMS, 0))
        for name, value in values.items():
            mine[name] += value
    return [number.to_bytes(16, "big"), NOW - 1 - rng.randrange(20 * 86400 * 1000), member,
            "codex", model] + [values[name] for name in FIELDS[5:10]] + [
                cost, values["saved_tokens"], values["saved_nusd"]]


def check_sums(row, want, where):
    for name in SUMS:
        assert row[name] == want[name], (SEED, where, name, row[name], want[name])
    tokens = (want["input_tokens"] + want["cache_read_tokens"] + want["cache_write_tokens"]
              + want["output_tokens"])  # classes are apart; reasoning is inside output
    assert row["tokens"] == tokens, (SEED, where, row["tokens"], tokens)
    assert row["tokens_uncached"] == tokens - want["cache_read_tokens"], (SEED, where)


def sums_are_small(sums):
    return sums.get("org", {}).get("cost_nusd", 0) <= 2 ** 53


def test_random_money_equals_python():
    rng = random.Random(SEED + 40)
    goal, done, end, sums = size(100000, 10000000), 0, deadline(0.2), {}
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        while done < goal and (time.monotonic() < end or sums_are_small(sums)):
            rows = [random_row(rng, (SEED << 40) + done + i + 1, sums) for i in range(1000)]
            done += 1000
            reply = client.ask({"v": 1, "token": org["gateway_token"], "fields": FIELDS,
                                "rows": rows})
            assert reply["accepted"] == 1000, (SEED, reply["errors"][:2])
        client.close()
        daemon.wait_folded(reply["seq"])
        top = ask(daemon, org["admin_token"], range="30d")
        assert not sums_are_small(sums), "sums past what a double holds"
        check_sums(top["org"], sums["org"], "org")
        for row in top["members"]:
            check_sums(row, sums[row["email"]], row["email"])
        for card in ask(daemon, org["admin_token"], "models", range="30d")["models"]:
            check_sums(card, sums[card["model"]], card["model"])
        assert daemon.verify()["differences"] == 0
        count("truth", money_events=done)


def test_sums_up_to_the_bound_and_never_past_it():
    """Greedy to the last nano-dollar: what fits is taken, what does not is amount_overflow."""
    rng = random.Random(SEED + 41)
    with Daemon() as daemon:
        org = daemon.create_org()
        client = daemon.ingest()
        taken, cost, saved, number = 0, 0, 0, 0
        while taken < MONEY_MAX:
            events, want = [], []
            for _ in range(1000):
                left = MONEY_MAX - taken
                price = rng.choice((COST_MAX, COST_MAX, COST_MAX, rng.randrange(COST_MAX)))
                save = rng.choice((0, COST_MAX))
                if left < 2 * COST_MAX and rng.random() < 0.5:
                    price, save = min(COST_MAX, left), 0  # the last coin, exactly
                number += 1
                events.append(plain(number, cost_nusd=price, saved_nusd=save))
                fits = price + save <= left
                want.append(fits)
                if fits:
                    taken, cost, saved = taken + price + save, cost + price, saved + save
            reply = push(client, org["gateway_token"], encode(events))
            refused = {error["i"]: error["code"] for error in reply["errors"]}
            assert sorted(refused) == [i for i, fits in enumerate(want) if not fits], (SEED, reply)
            assert set(refused.values()) <= {"amount_overflow"}, (SEED, refused)
            again = [events[i] for i in sorted(refused)[:5]]
            if again:  # what was refused is not known: sent again it is refused again
                reply = push(client, org["gateway_token"], encode(again))
                assert [e["code"] for e in reply["errors"]] == ["amount_overflow"] * len(again), (
                    SEED, reply)
        free = dict(again[0], cost_nusd=0, saved_nusd=0)
        assert push(client, org["gateway_token"], encode([free]))["accepted"] == 1, SEED
        client.close()
        daemon.kill()
        daemon.start()  # the bound is kept over a restart
        client = daemon.ingest()
        reply = push(client, org["gateway_token"], encode([plain(0, cost_nusd=1),
                                                          plain(-1, cost_nusd=0)]))
        assert [e["code"] for e in reply["errors"]] == ["amount_overflow"], reply
        daemon.wait_folded(reply["seq"])
        top = ask(daemon, org["admin_token"], range="24h")
        assert (top["org"]["cost_nusd"], top["org"]["saved_nusd"]) == (cost, saved), SEED
        assert sum(top["org"]["spark"]) == cost


WRONG = [0.0, 1.0, -0.0, 0.5, 1e15, 1e300, math.nan, math.inf, -math.inf, "1", "1.0", "", "NaN",
         True, False, b"1", [1], {"usd": 1}, -1, -2 ** 63, 2 ** 63, 2 ** 64 - 1]
INTEGERS = ("cost_nusd", "saved_nusd", "input_tokens", "output_tokens", "cache_read_tokens",
            "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "saved_tokens")
MONEY_CODES = {"amount_not_integer", "amount_negative", "amount_too_large"}
TOKEN_CODES = {"field_type", "tokens_negative", "tokens_too_large", "tokens_inconsistent"}


def test_what_is_no_whole_number_is_no_money():
    with Daemon() as daemon:
        org = daemon.create_org()
        client, number = daemon.ingest(), 0
        for field in INTEGERS:
            for value in WRONG + [struct.pack(">f", 1.0)]:
                number += 1
                one = msgpack.packb(plain(number, **{field: 0}))
                good = msgpack.packb(field) + b"\x00"
                bad = msgpack.packb(value)
                if isinstance(value, bytes) and len(value) == 4:
                    bad = b"\xca" + value  # float 32
                assert one.count(good) == 1
                body = frame(org["gateway_token"], [one.replace(good, msgpack.packb(field) + bad)])
                reply = msgpack.unpackb(client.raw(body))
                assert reply["accepted"] == 0 and reply["rejected"] == 1, (field, value, reply)
                error = reply["errors"][0]
                codes = MONEY_CODES if field.endswith("_nusd") else TOKEN_CODES
                assert error["code"] in codes, (field, value, error)
                assert error["field"] == field, (field, value, error)
        limits = [plain(9000 + i, **{field: most}) for i, (field, most) in enumerate(
            (field, COST_MAX if field.endswith("_nusd") else TOKENS_MAX) for field in INTEGERS
            if not field.startswith(("cache_write_1h", "reasoning")))]
        reply = push(client, org["gateway_token"], encode(limits))
        assert reply["accepted"] == len(limits), reply
        daemon.wait_folded(reply["seq"])
        top = ask(daemon, org["admin_token"], range="24h")["org"]
        assert (top["cost_nusd"], top["saved_nusd"]) == (COST_MAX, COST_MAX)
        assert (top["requests"], top["unpriced"]) == (len(limits), len(limits) - 1)


def test_unknown_cost_is_unpriced_and_zero_is_a_price():
    with Daemon() as daemon:
        org = daemon.create_org()
        reply = push(daemon.ingest(), org["gateway_token"], encode([
            plain(1), plain(2, cost_nusd=None), plain(3, cost_nusd=0), plain(4, cost_nusd=7)]))
        assert reply["accepted"] == 4, reply
        daemon.wait_folded(reply["seq"])
        top = ask(daemon, org["admin_token"], range="24h")["org"]
        assert (top["unpriced"], top["cost_nusd"], top["requests"]) == (2, 7, 4), top


def test_no_floating_point_where_money_goes():
    done = subprocess.run(["tests/truth/floats.sh"], env=dict(os.environ, BUILD=BUILD),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()
