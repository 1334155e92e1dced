"""The check that ends every fault test. A gateway remembers each batch it sent and whether it was
acknowledged; afterwards every acknowledged event is there once, what was not acknowledged is there
whole or not at all, sending it again is answered accordingly, and every figure equals the oracle's."""

import itertools
import random
import threading
import time

import msgpack

from compare import Compare
from oracle import SUMS, Oracle, add, zero
from sp import Req

DAY = 86400 * 1000
REPOS = ("github.com/acme/api", "github.com/acme/web", "gitlab.com/acme/tools/cli")
MODELS = ("claude-opus-4-6", "gpt-5.3-codex")


class Batch:
    """Events sent together, and by how much they move the sums of the org and of each member."""

    def __init__(self, token, events, before):
        self.events = events
        self.body = msgpack.packb({"v": 1, "token": token, "events": events})
        self.accepted = sum(event["id"] not in before for event in events)
        self.delta = {}
        for event in events:
            if event.get("kind") == "link":
                continue
            for sign, counted in ((-1, before.get(event["id"])), (1, event)):
                for name, amount in self.measures(counted).items():
                    sums = self.delta.setdefault(event["email"], zero())
                    sums[name] += sign * amount

    @staticmethod
    def measures(event):
        sums = zero()
        if event is not None:
            add(sums, event)
        return sums

    def is_answered(self, reply, stored):
        """stored: None when nobody can know whether it was."""
        count = len(self.events)
        fresh = (self.accepted, count - self.accepted, 0)
        verdicts = {False: [fresh], True: [(0, 0, count)], None: [fresh, (0, 0, count)]}[stored]
        return reply["rejected"] == 0 and (
            reply["accepted"], reply["replaced"], reply["duplicate"]) in verdicts


class Gateway:
    """Sends batches of its own events one after the other; what is not acknowledged goes again."""

    def __init__(self, number, token, seed, days=30):
        self.number, self.token, self.days = number, token, days
        self.rng = random.Random(seed * 1000 + number)
        self.acked = []
        self.open = None  # sent, not acknowledged
        self.stored = None  # whether the open batch is there: True, False, or None: not known
        self.standing = {}
        self.seq = 0

    def make_event(self, now_ms):
        rng = self.rng
        late = rng.randrange(self.days * DAY) if rng.random() < 0.05 else rng.randrange(1000)
        event = {"id": rng.randbytes(16), "ts": now_ms - 1 - late,
                 "email": "dev%d@acme.test" % rng.randrange(9), "agent": "claude_code",
                 "session": "s%d-%d" % (self.number, rng.randrange(20)),
                 "model": rng.choice(MODELS), "input_tokens": rng.randrange(3000),
                 "output_tokens": rng.randrange(2000), "cache_read_tokens": rng.randrange(9000),
                 "cost_nusd": rng.randrange(10 ** 10)}
        if rng.random() < 0.2:
            event["repo"] = rng.choice(REPOS)
            event["pr"] = rng.randrange(1, 6)
        return event

    def make_link(self, now_ms):
        return {"id": self.rng.randbytes(16), "ts": now_ms - 1, "kind": "link", "op": "set_repo",
                "session": "s%d-%d" % (self.number, self.rng.randrange(20)),
                "value": self.rng.choice(REPOS)}

    def revise(self, event):
        return dict(event, rev=event.get("rev", 0) + 1, cost_nusd=self.rng.randrange(10 ** 10))

    def make_batch(self, sizes=(1, 2, 5, 10, 20, 40)):
        rng, now_ms = self.rng, int(time.time() * 1000)
        events = [self.make_event(now_ms) for _ in range(rng.choice(sizes))]
        if rng.random() < 0.2:
            events.append(self.make_link(now_ms))
        if self.standing and rng.random() < 0.2:
            held = self.standing[rng.choice(list(self.standing))]
            events.append(self.revise(held))
        return Batch(self.token, events, self.standing)

    def send(self, client):
        """Send the open batch, or a new one, once. Raises OSError when no answer came. False: it was
        refused and may be sent again."""
        if self.open is None:
            self.open, self.stored = self.make_batch(), False
        stored = self.stored
        self.stored = True if stored else None
        reply = msgpack.unpackb(client.raw(self.open.body))
        if reply.get("ok") is False:
            assert reply["error"]["retry"] in ("same", "after"), reply
            return False
        assert self.open.is_answered(reply, stored), (stored, reply, self.open.accepted)
        self.acknowledged(reply)
        return True

    def acknowledged(self, reply):
        self.seq = max(self.seq, reply["seq"])
        self.acked.append(self.open)
        for event in self.open.events:
            if event.get("kind") != "link":
                self.standing[event["id"]] = event
        self.open = None


class Pusher(threading.Thread):
    """A gateway that pushes until told to hold; it holds by itself when the daemon is gone."""

    def __init__(self, gateway, address):
        super().__init__(name="gateway-%d" % gateway.number, daemon=True)
        self.gateway, self.address = gateway, address
        self.go, self.held = threading.Event(), threading.Event()
        self.ending = False
        self.error = None
        self.start()

    def run(self):
        client = None
        while True:
            self.held.set()
            self.go.wait()
            if self.ending:
                return
            self.held.clear()
            client = client or Req(self.address)
            try:
                while self.go.is_set():
                    if not self.gateway.send(client):
                        time.sleep(0.002)
            except OSError:
                client.close()
                self.go.clear()
            except Exception as error:  # reported by the test, not lost with the thread
                self.error = error
                self.go.clear()

    def release(self):
        self.held.clear()
        self.go.set()

    def hold(self):
        self.go.clear()
        assert self.held.wait(60), "a gateway does not hold"

    def end(self):
        self.hold()
        self.ending = True
        self.go.set()
        self.join(60)


def total(deltas):
    """The sums of the org and of each member over some batches, as comparable text."""
    members = {}
    for delta in deltas:
        for email, sums in delta.items():
            mine = members.setdefault(email, zero())
            for name in SUMS:
                mine[name] += sums[name]
    return members


class Exact:
    """What a daemon must hold after these gateways pushed."""

    def __init__(self, daemon, org, gateways):
        self.daemon, self.org, self.gateways = daemon, org, gateways
        self.settled = []  # deltas of acknowledged batches, by member, added up as they come
        self.counted = {gateway: 0 for gateway in gateways}

    def acked_sums(self):
        fresh = []
        for gateway in self.gateways:
            fresh += [batch.delta for batch in gateway.acked[self.counted[gateway]:]]
            self.counted[gateway] = len(gateway.acked)
        self.settled = [total(self.settled + fresh)]
        return self.settled[0]

    def ask(self, client, op, **params):
        return client.ask(dict({"v": 1, "token": self.org["admin_token"], "op": op}, **params))

    def shown(self, client):
        reply = self.ask(client, "leaderboard", range="90d", limit=1000)
        return {member["email"]: {name: member[name] for name in SUMS}
                for member in reply["members"] if member["requests"]}

    def possible(self):
        """Every state the promise allows: all that was acknowledged, and each open batch whole or
        not at all. -> [(set of gateways whose open batch is there, sums by member)]"""
        base, unsure = self.acked_sums(), [g for g in self.gateways if g.open is not None]
        states = []
        for count in range(len(unsure) + 1):
            for chosen in itertools.combinations(unsure, count):
                if not any(g.stored is True and g not in chosen for g in unsure):
                    states.append((chosen, total([base] + [g.open.delta for g in chosen])))
        return states, unsure

    def check_present(self):
        """(a) and (b): what is shown is one of the possible states. Notes which open batches are
        there, so that sending them again must say so."""
        states, unsure = self.possible()
        self.daemon.wait_caught_up()
        client = self.daemon.query()
        shown = self.shown(client)
        client.close()
        chosen = next((chosen for chosen, sums in states if sums == shown), None)
        assert chosen is not None, self.difference(states, unsure, shown)
        # A link moves no sum, so its presence shows only in a batch with requests beside it.
        for gateway in unsure:
            if any(gateway.open.delta.values()):
                gateway.stored = gateway in chosen

    @staticmethod
    def difference(states, unsure, shown):
        want, got = ({name: sum(sums[name] for sums in members.values()) for name in (
            "requests", "cost_nusd")} for members in (states[0][1], shown))
        return "acknowledged %r, open batches of %r, shown %r" % (
            want, [len(gateway.open.events) for gateway in unsure], got)

    def resend(self):
        """Send every open batch again, until it is acknowledged."""
        for gateway in self.gateways:
            client = self.daemon.ingest()
            while gateway.open is not None:
                gateway.send(client)
            client.close()

    def oracle(self):
        oracle = Oracle()
        for gateway in self.gateways:
            for batch in gateway.acked:
                for event in batch.events:
                    oracle.push(event)
        oracle.freeze()
        return oracle

    def check_all(self):
        """(c) and (d): after sending the rest again, every figure of every op equals the oracle's,
        and a recount finds no difference."""
        self.resend()
        self.check_present()
        self.daemon.wait_folded(max(gateway.seq for gateway in self.gateways))
        report = self.daemon.verify()
        assert report["differences"] == 0, report
        Compare(self.daemon, self.org["admin_token"], self.oracle(),
                self.gateways[0].rng).check_some()
        return report
