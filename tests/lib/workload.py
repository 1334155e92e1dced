"""Random usage of one org, seeded: late, shuffled, duplicated, revised events; links first, in the
middle and last; several agents, repos and pull requests; sessions with odd habits."""

import random

DAY = 86400 * 1000
REPOS = ["github.com/acme/api", "github.com/acme/web", "gitlab.com/acme/tools/cli",
         "dev.azure.com/acme/core/site"]
MODELS = ["claude-opus-4-6", "claude-sonnet-4-5", "gpt-5.3-codex", "claude-haiku-4-5"]
AGENTS = ["claude_code", "codex", "opencode", "homegrown"]


def usage(rng, event):
    """Fill in what one call cost; every field of the protocol has its turn."""
    event["model"] = rng.choice(MODELS)
    event["input_tokens"] = rng.randrange(3000)
    event["output_tokens"] = rng.randrange(2000)
    if rng.random() < 0.7:
        event["cache_read_tokens"] = rng.randrange(200000)
    if rng.random() < 0.5:
        event["cache_write_tokens"] = rng.randrange(20000)
        event["cache_write_1h_tokens"] = rng.randrange(event["cache_write_tokens"] + 1)
    if rng.random() < 0.3:
        event["reasoning_tokens"] = rng.randrange(event["output_tokens"] + 1)
    if rng.random() < 0.9:
        event["cost_nusd"] = rng.randrange(10 ** rng.randrange(1, 13))
    if rng.random() < 0.3:
        event["saved_tokens"] = rng.randrange(5000)
        event["saved_nusd"] = rng.randrange(10 ** 8)
    if rng.random() < 0.1:
        event["status"] = rng.choice([0, 400, 429, 500, 529])
    if rng.random() < 0.5:
        event["duration_ms"] = rng.randrange(60000)
    if rng.random() < 0.2:
        event["billing"] = "plan"
    if rng.random() < 0.2:
        event["provider"] = "anthropic"
        event["branch"] = "feature/%d" % rng.randrange(5)
        event["tags"] = ["night", "batch"][:rng.randrange(3)]


def generate(seed, now_ms, days, sessions, keys):
    """A list of events in an order to push them. keys: key ids that may stand for a member."""
    rng = random.Random(seed)
    people = ["dev%d@acme.test" % i for i in range(9)]
    events, revised = [], []

    def new_id():
        if rng.random() < 0.5:
            return rng.getrandbits(128).to_bytes(16, "big")
        return "msg_%020x" % rng.getrandbits(80)

    for number in range(sessions):
        session = "s-%04d" % number if rng.random() < 0.95 else None
        who = {}
        draw = rng.random()
        if draw < 0.3 and keys:
            who = {"key": rng.choice(keys)}
        elif draw < 0.9:
            who = {"email": rng.choice(people), "agent": rng.choice(AGENTS)}
        elif draw < 0.95:
            who = {"member": "%032x" % (7 + number % 3)}
        start = now_ms - int(rng.random() ** 2 * days * DAY) - 1000
        at = start
        for _ in range(1 + int(rng.expovariate(1 / 12.0))):
            at += int(rng.expovariate(1 / (600.0 * 1000)))
            if at >= now_ms:
                break
            event = {"id": new_id(), "ts": at, **who}
            if session:
                event["session"] = session
            usage(rng, event)
            if rng.random() < 0.15:
                event["repo"] = rng.choice(REPOS)
                if rng.random() < 0.4:
                    event["pr"] = rng.randrange(1, 6)
            events.append(event)
            if rng.random() < 0.06:
                later = {name: value for name, value in event.items() if name in (
                    "id", "ts", "key", "email", "member", "agent", "session", "repo", "pr")}
                later["rev"] = rng.randrange(1, 4)
                usage(rng, later)
                if rng.random() < 0.3:
                    later["ts"] = max(now_ms - days * DAY, min(
                        now_ms - 1, later["ts"] + rng.randrange(-2 * DAY, DAY)))
                revised.append(later)
        if session is None:
            continue
        for op, chance in (("set_repo", 0.7), ("set_repo", 0.2), ("add_pr", 0.5), ("add_pr", 0.3),
                           ("add_pr", 0.2), ("set_name", 0.5), ("add_commit", 0.3)):
            if rng.random() > chance:
                continue
            value = {"set_repo": rng.choice(REPOS),
                     "add_pr": rng.choice(["#%d" % rng.randrange(1, 6), "%s#%d" % (
                         rng.choice(REPOS), rng.randrange(1, 6))]),
                     "set_name": "work item %d" % rng.randrange(100),
                     "add_commit": "%040x" % rng.getrandbits(160)}[op]
            ts = min(now_ms - 1, start + rng.randrange(0, 5 * DAY))
            events.append({"id": new_id(), "ts": ts, "kind": "link", "session": session,
                           "op": op, "value": value})
    rng.shuffle(events)
    # Revisions come after or before what they revise, and some events come twice.
    for event in revised + rng.sample(events, len(events) // 20):
        events.insert(rng.randrange(len(events) + 1), event)
    return events
