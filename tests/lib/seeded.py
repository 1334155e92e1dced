"""An org with usage of known shape, for the pages that show it."""

import json
import os
import random
import subprocess
import time

from daemon import BUILD

DAY = 86400000
HOUR = 3600000

# Names that break pages which trust them: markup, quotes, right to left, joined emoji, no spaces.
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "\"><script>alert(1)</script>",
    "\u202eevil \u05d0\u05d1\u05d2\u05d3 \u0645\u0631\u062d\u0628\u0627",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \U0001f680",
    "W" * 120,
    "{{constructor.constructor('alert(1)')()}} & &amp;",
]


class Seeded:
    """An org in a daemon; events are numbered, so that every one counts."""

    def __init__(self, daemon, name="acme", seed=7, **params):
        self.daemon = daemon
        org = daemon.create_org(name, **dict({"tz": "Europe/Berlin"}, **params))
        self.name, self.admin, self.gateway = name, org["admin_token"], org["gateway_token"]
        self.pick = random.Random(seed)
        self.count = 0

    def event(self, email=None, ts=None, **more):
        self.count += 1
        made = {"id": "seeded-%s-%08d" % (self.name, self.count),
                "ts": ts or int(time.time() * 1000) - 1000, "model": "claude-opus-4-6",
                "input_tokens": 100, "output_tokens": 20, "cost_nusd": 1}
        if email:
            made.update(email=email, agent="claude_code")
        made.update(more)
        return made

    def push(self, events):
        """Returns when all are in the figures."""
        client = self.daemon.ingest()
        for at in range(0, len(events), 1000):
            reply = client.ask({"v": 1, "token": self.gateway, "events": events[at:at + 1000]})
            assert reply["accepted"] == len(events[at:at + 1000]), reply
            self.daemon.wait_folded(reply["seq"])
        client.close()

    def usage(self, people, days=7, each=20, repos=("acme/api", "acme/web", "acme/docs")):
        """Everybody works on some repositories; the first the most."""
        now = int(time.time() * 1000)
        return [self.event(
            "dev%03d@acme.example" % person, now - self.pick.randrange(1000, days * DAY),
            agent=self.pick.choice(["claude_code", "codex", "opencode", "my-own-agent"]),
            session="s-%d-%d" % (person, i % 4), repo=self.pick.choice(repos),
            pr=1 + self.pick.randrange(9), cost_nusd=self.pick.randrange(10**9 * 900) // (person + 1),
            cache_read_tokens=self.pick.randrange(90000), saved_tokens=self.pick.randrange(900),
            saved_nusd=self.pick.randrange(10**7), status=self.pick.choice([200] * 9 + [429]),
            duration_ms=self.pick.randrange(200, 20000))
            for person in range(people) for i in range(each)]

    def top(self, **options):
        """What `tally top --json` says."""
        words = [word for name, value in options.items() for word in ("--" + name, str(value))]
        done = subprocess.run(
            [os.path.join(BUILD, "tally"), "top", "--json", "--data", self.daemon.directory,
             "--token", self.admin, *words], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def login_link(self, port, member=None):
        """Where a browser is signed in, once; as an admin unless told."""
        done = subprocess.run(
            [os.path.join(BUILD, "tally"), "login-link", "--data", self.daemon.directory, "--org",
             self.name, "--http", "http://127.0.0.1:%d" % port,
             *(["--member", member] if member else [])], stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip()
