"""The oracle: every figure tally answers, recomputed from the list of pushed events in the
slowest and most obvious way, with integers of any size and Python's own time zone code. It
shares nothing with the product. Numbers in comments are SPEC paragraphs."""

import datetime
import hashlib
from zoneinfo import ZoneInfo

QUARTER = 15 * 60 * 1000
HOUR = 4 * QUARTER
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)

SUMS = ("requests", "errors", "unpriced", "input_tokens", "cache_read_tokens",
        "cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_nusd",
        "cost_plan_nusd", "saved_tokens", "saved_nusd")


def local(zone, ms):
    return (EPOCH + datetime.timedelta(milliseconds=ms)).astimezone(zone)


def fixed_edges(range_name, zone_name, now_ms):
    """3.2, 9.10: walk quarter hours and cut where the local clock or calendar says so."""
    zone = ZoneInfo(zone_name)
    count = {"24h": 24, "7d": 28, "30d": 30, "90d": 90}[range_name]

    def bin_of(ms):
        at = local(zone, ms)
        if range_name == "24h":
            return None
        if range_name == "7d":
            return (at.date(), at.hour // 6)
        return at.date()

    def is_edge(ms):
        if range_name == "24h":
            return local(zone, ms).minute == 0
        return bin_of(ms) != bin_of(ms - QUARTER)

    at = now_ms // QUARTER * QUARTER
    end = at + QUARTER
    while not is_edge(end):
        end += QUARTER
    edges = [end]
    while len(edges) < count + 1:
        if is_edge(at):
            edges.append(at)
        at -= QUARTER
    return edges[::-1]


def before_edges(range_name, zone_name, edges):
    """9.9: the N bins before."""
    if range_name == "custom":
        length = edges[-1] - edges[0]
        return [edges[0] - length, edges[0]]
    return fixed_edges(range_name, zone_name, edges[0] - 1)


def event_id(raw):
    if isinstance(raw, bytes):
        return raw
    return hashlib.sha256(b"tally-id\0" + raw.encode()).digest()[:16]


def zero():
    return dict.fromkeys(SUMS, 0)


def add(sums, event):
    sums["requests"] += 1
    status = event.get("status", 200)
    sums["errors"] += status >= 400 or status == 0
    for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
                 "reasoning_tokens", "saved_tokens", "saved_nusd"):
        sums[name] += event.get(name, 0)
    cost = event.get("cost_nusd")
    if cost is None:
        sums["unpriced"] += 1
    else:
        sums["cost_nusd"] += cost
        if event.get("billing", "api") == "plan":
            sums["cost_plan_nusd"] += cost


def tokens_of(sums):
    return (sums["input_tokens"] + sums["cache_read_tokens"] + sums["cache_write_tokens"]
            + sums["output_tokens"])


def value_of(sums, metric, uncached=False):
    if metric == "cost":
        return sums["cost_nusd"]
    if metric == "requests":
        return sums["requests"]
    return tokens_of(sums) - (sums["cache_read_tokens"] if uncached else 0)


class Oracle:
    """Give it every event pushed, in order; ask it what the answers must be."""

    def __init__(self, keys=None):
        self.events = {}  # id -> event that stands
        self.keys = keys or {}  # key id -> (member label, agent label)

    def push(self, event):
        """Returns the verdict: accepted, duplicate, replaced or conflict (2.7, 9.4)."""
        key = event_id(event["id"])
        held = self.events.get(key)
        if held is None:
            self.events[key] = event
            return "accepted"
        if event.get("rev", 0) > held.get("rev", 0):
            self.events[key] = event
            return "replaced"
        if event.get("rev", 0) < held.get("rev", 0):
            return "duplicate"
        same = dict(event, id=0) == dict(held, id=0)
        return "duplicate" if same else "conflict"

    # Attribution.

    def requests(self):
        return [(key, e) for key, e in self.events.items()
                if e.get("kind", "request") == "request"]

    def member_of(self, event):
        if "key" in event:
            return self.keys[event["key"]][0]
        return event.get("email", event.get("member"))

    def links(self, session, op):
        """In the order of 9.5."""
        found = [(e["ts"], key, e) for key, e in self.events.items()
                 if e.get("kind") == "link" and e["session"] == session and e["op"] == op]
        return [e for _, _, e in sorted(found, key=lambda f: f[:2])]

    def session_repo(self, session):
        links = self.links(session, "set_repo")
        return links[-1]["value"] if links else None

    def session_name(self, session):
        links = self.links(session, "set_name")
        return links[-1]["value"] if links else None

    def session_prs(self, session):
        """9.6, 9.7: (repo, number), sorted; a session has at most 1,000 (limits.h)."""
        found = set()
        for link in self.links(session, "add_pr"):
            repo, _, number = str(link["value"]).rpartition("#")
            repo = repo or self.session_repo(session)
            if repo is not None:
                found.add((repo, int(number)))
        for _, event in self.requests():
            if event.get("session") == session and "repo" in event and "pr" in event:
                found.add((event["repo"], event["pr"]))
        return sorted(found)[:1000]

    def repo_of(self, event):
        if "repo" in event:
            return event["repo"]
        if "session" in event:
            return self.attributes(event["session"])[0]
        return None

    def attributes(self, session):
        if session not in self._attributes:
            self._attributes[session] = (self.session_repo(session), self.session_prs(session))
        return self._attributes[session]

    def freeze(self):
        """Forget cached attributes: call after pushes, before questions."""
        self._attributes = {}

    # Figures.

    def within(self, start, end):
        return [e for _, e in self.requests() if start <= e["ts"] < end]

    def totals(self, events):
        sums = zero()
        for event in events:
            add(sums, event)
        sums["tokens"] = tokens_of(sums)
        sums["tokens_uncached"] = sums["tokens"] - sums["cache_read_tokens"]
        sums["sessions"] = len({e["session"] for e in events if "session" in e})
        whole = sums["tokens"] + sums["saved_tokens"]
        sums["saved_ppm"] = sums["saved_tokens"] * 1000000 // whole if whole else 0
        return sums

    def spark(self, events, edges, metric, uncached=False):
        bars = []
        for start, end in zip(edges, edges[1:]):
            sums = zero()
            for event in events:
                if start <= event["ts"] < end:
                    add(sums, event)
            bars.append(value_of(sums, metric, uncached))
        return bars

    def group(self, events, key):
        groups = {}
        for event in events:
            name = key(event)
            for each in name if isinstance(name, list) else [name]:
                if each is not None:
                    groups.setdefault(each, []).append(event)
        return groups

    def by_member(self, events):
        return self.group(events, self.member_of)

    def by_model(self, events):
        return self.group(events, lambda e: e["model"])

    def by_repo(self, events):
        return self.group(events, self.repo_of)

    def by_pr(self, events):
        return self.group(
            events, lambda e: self.attributes(e["session"])[1] if "session" in e else [])

    def splits(self, events):
        """3.8, 9.8: per session and 15-minute cell, equal shares, remainders in turn."""
        cells = {}
        for event in events:
            if "session" in event and self.attributes(event["session"])[1]:
                add(cells.setdefault((event["session"], event["ts"] // QUARTER), zero()), event)
        shares = {}
        for (session, cell), sums in cells.items():
            prs = self.attributes(session)[1]
            for name in SUMS:
                floor, rest = divmod(sums[name], len(prs))
                for turn in range(len(prs)):
                    extra = 1 if turn < rest else 0
                    pr = prs[(cell % len(prs) + turn) % len(prs)]
                    shares.setdefault(pr, zero())[name] += floor + extra
        return shares

    def ranking(self, start, end, metric, uncached, ids):
        """3.3: [(rank, label, value)] of members with requests; ids: label -> member id."""
        groups = self.by_member(self.within(start, end))
        order = sorted(
            ((label, value_of(self.totals(events), metric, uncached))
             for label, events in groups.items()),
            key=lambda row: (-row[1], ids[row[0]]))
        ranks, previous = [], None
        for place, (label, value) in enumerate(order, 1):
            rank = ranks[-1][0] if value == previous else place
            ranks.append((rank, label, value))
            previous = value
        return ranks
