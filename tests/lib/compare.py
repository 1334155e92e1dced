"""Asks a daemon every question and compares each figure with the oracle's, to the nano-dollar."""

from oracle import SUMS, before_edges, fixed_edges, tokens_of, value_of
from sp import wait_for

DAY = 86400 * 1000
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]
TOTALS = SUMS + ("tokens", "tokens_uncached", "sessions", "saved_ppm")


class Compare:
    """The org's zone is Europe/Berlin."""

    def __init__(self, daemon, admin, oracle, rng):
        self.admin, self.oracle, self.rng = admin, oracle, rng
        self.query = daemon.query()
        self.ids = {}

    def ask(self, op, **params):
        return self.query.ask(dict({"v": 1, "token": self.admin, "op": op}, **params))

    def same_totals(self, got, events, where):
        want = self.oracle.totals(events)
        for name in TOTALS:
            key = name
            assert got[key] == want[name], "%s %s: got %r, want %r" % (
                where, name, got[key], want[name])

    def edges(self, reply, params):
        got = reply["window"]["bin_edges_ms"]
        zone = params.get("tz", "Europe/Berlin")
        assert reply["window"]["tz"] == zone
        assert len(got) == reply["window"]["bins"] + 1
        if params["range"] == "custom":
            assert got[0] == params["from"] and got[-1] == params["to"]
            assert all(a < b for a, b in zip(got, got[1:])) and len(got) <= 121
        else:
            want = fixed_edges(params["range"], zone, reply["as_of_ms"])
            assert got == want, "edges %s: got %r want %r" % (params, got, want)
        assert reply["window"]["start_ms"] == got[0] and reply["window"]["end_ms"] == got[-1]
        return got

    def labels(self, members):
        """email or id as pushed, for each member of a reply."""
        out = {}
        for member in members:
            out[member.get("email") or member["member_id"]] = member
        assert len(out) == len(members)
        return out

    def leaderboard(self, params):
        where = "leaderboard %r" % params
        reply = self.ask("leaderboard", limit=1000, **params)
        edges = self.edges(reply, params)
        metric, uncached = params.get("metric", "cost"), params.get("tokens") == "uncached"
        assert reply["metric"] == metric
        assert reply["tokens_rule"] == ("uncached" if uncached else "all")
        inside = self.oracle.within(edges[0], edges[-1])
        groups = self.oracle.by_member(inside)
        members = self.labels(reply["members"])
        self.ids = {label: member["member_id"] for label, member in members.items()}
        self.same_totals(reply["org"], inside, where + " org")
        nobody = [e for e in inside if self.oracle.member_of(e) is None]
        self.same_totals(reply["unattributed"], nobody, where + " unattributed")

        ranking = self.oracle.ranking(edges[0], edges[-1], metric, uncached, self.ids)
        before = before_edges(params["range"], params.get("tz", "Europe/Berlin"), edges)
        earlier = {label: (rank, value) for rank, label, value in self.oracle.ranking(
            before[0], before[-1], metric, uncached, self.ids)}
        shown = [m for m in reply["members"] if m["rank"]]
        assert [(m["rank"], m.get("email") or m["member_id"], m["value"]) for m in shown] == \
            ranking, where
        org_value = value_of(self.oracle.totals(inside), metric, uncached)
        for rank, label, value in ranking:
            member = members[label]
            self.same_totals(member, groups[label], where + " " + label)
            assert member["spark"] == self.oracle.spark(
                groups[label], edges, metric, uncached), where + " spark " + label
            badge = {1: "gold", 2: "silver", 3: "bronze"}.get(rank) if value > 0 else None
            assert member.get("badge") == badge, where
            want = earlier.get(label, (None, 0))
            assert (member["prev_rank"] or None, member["prev_value"]) == want, \
                "%s prev of %s: %r %r want %r" % (
                    where, label, member["prev_rank"], member["prev_value"], want)
            assert member["share_ppm"] == (value * 1000000 // org_value if org_value else 0)
            all_of = [e for _, e in self.oracle.requests()
                      if self.oracle.member_of(e) == label]
            assert member["last_used_ms"] == max(e["ts"] for e in all_of), where
        # DESIGN 8.5: one reply adds up.
        total = sum(m["value"] for m in reply["members"]) + reply["unattributed"]["value"]
        assert total == reply["org"]["value"] == sum(reply["org"]["spark"]) == org_value, where

    def cards(self, op, key, groups_of, params):
        where = "%s %r" % (op, params)
        reply = self.ask(op, limit=1000, **params)
        edges = self.edges(reply, params)
        metric, uncached = params.get("metric", "cost"), params.get("tokens") == "uncached"
        inside = self.oracle.within(edges[0], edges[-1])
        groups = groups_of(inside)
        splits = self.oracle.splits(inside) if op == "pulls" else None
        cards = {(c["repo"], c["number"]) if op == "pulls" else c[key]: c for c in reply[op]}
        assert set(cards) == set(groups), "%s: %r %r" % (where, set(cards), set(groups))
        for name, events in groups.items():
            card = cards[name]
            self.same_totals(dict(card["touched"] if splits is not None else card,
                                  sessions=card["sessions"]), events, "%s %s" % (where, name))
            if splits is not None:
                want = splits[name]
                for measure in SUMS:
                    assert card["split"][measure] == want[measure], "%s split %s %s %r %r" % (
                        where, name, measure, card["split"][measure], want[measure])
                assert card["split"]["tokens"] == tokens_of(want)
            assert card["spark"] == self.oracle.spark(events, edges, metric, uncached), where
            assert card["value"] == sum(card["spark"]), where
            if op != "models":
                assert card["last_activity_ms"] == max(e["ts"] for e in events), where

        def order(card):
            name = (card["repo"], card["number"]) if op == "pulls" else card[key]
            totals = card["touched"] if op == "pulls" else card
            return (-card["value"], -totals["requests"], name)
        assert [order(c) for c in reply[op]] == sorted(order(c) for c in reply[op]), where

    def top_repos(self, params):
        reply = self.ask("top_repos", limit=1000, **params)
        edges = self.edges(reply, params)
        groups = self.oracle.by_repo(self.oracle.within(edges[0], edges[-1]))
        want = sorted(
            ((name, self.oracle.totals(events)) for name, events in groups.items()),
            key=lambda row: (-row[1]["sessions"], -row[1]["tokens"], row[0]))
        assert [(r["repo"], r["sessions"]) for r in reply["repos"]] == \
            [(name, sums["sessions"]) for name, sums in want], params

    def dashboard(self, params):
        """Each part is what its own op says of the same moment; the others are compared above."""
        def at_one_moment():
            reply = self.ask("dashboard", **params)
            singles = {op: self.ask(op, limit=1000, **params) for op in (
                "leaderboard", "series", "top_repos", "repos", "pulls")}
            moments = {reply["seq"]} | {single["seq"] for single in singles.values()}
            windows = {str(r["window"]) for r in [reply, *singles.values()]}
            return (reply, singles) if len(moments) == len(windows) == 1 else None

        reply, singles = wait_for(at_one_moment, "a moment without change")
        board = singles["leaderboard"]
        for name in ("metric", "tokens_rule", "truncated", "next_cursor", "unattributed"):
            assert reply[name] == board[name], (name, params)

        def still(members):
            """Without what changes with the time alone."""
            return [dict(m, active_now=None) for m in members]
        assert still(reply["members"]) == still(board["members"]), params
        assert {k: reply["org"][k] for k in board["org"]} == board["org"], params
        edges = self.edges(reply, params)
        before = before_edges(params["range"], params.get("tz", "Europe/Berlin"), edges)
        earlier = self.oracle.totals(self.oracle.within(before[0], before[-1]))
        assert reply["org"]["prev_value"] == value_of(
            earlier, params.get("metric", "cost"), params.get("tokens") == "uncached"), params
        assert reply["bars"] == singles["series"]["bars"], params
        assert reply["top_repos"]["state"] == singles["top_repos"]["state"]
        assert reply["top_repos"]["repos"] == singles["top_repos"]["repos"][:10], params
        for name in ("repos", "pulls"):
            cards, page = singles[name][name], reply[name + "_page"]
            assert reply[name] == cards[:12], (name, params)
            assert page == {"truncated": len(cards) > 12,
                            "next_cursor": "o12" if len(cards) > 12 else None}, (page, params)
        team = self.ask("team")
        assert reply["seats"] == {"seats": team["seats"], "used": team["used"]}, params

    def series(self, scope, events_of, params):
        where = "series %s %r" % (scope, params)
        reply = self.ask("series", scope=scope, **params)
        edges = self.edges(reply, params)
        events = events_of(self.oracle.within(edges[0], edges[-1]))
        bars = self.oracle.spark(events, edges, params.get("metric", "cost"),
                                 params.get("tokens") == "uncached")
        assert reply["bars"] == bars, "%s\n%r\n%r" % (where, reply["bars"], bars)
        assert reply["total"] == sum(bars), where

    def all_series(self, params):
        oracle = self.oracle
        self.series("org", lambda events: events, params)
        for label, member_id in list(self.ids.items())[:4]:
            self.series("member:" + member_id,
                        lambda events: oracle.by_member(events).get(label, []), params)
        requests = [e for _, e in oracle.requests()]
        for model in sorted(oracle.by_model(requests))[:2]:
            self.series("model:" + model,
                        lambda events: oracle.by_model(events).get(model, []), params)
        for repo in sorted(oracle.by_repo(requests)):
            self.series("repo:" + repo,
                        lambda events: oracle.by_repo(events).get(repo, []), params)
        for repo, number in sorted(oracle.by_pr(requests))[:3]:
            self.series("pr:%s#%d" % (repo, number),
                        lambda events: oracle.by_pr(events).get((repo, number), []), params)
        for key, (_, agent) in sorted(oracle.keys.items()):
            self.series("agent:" + agent, lambda events: [
                e for e in events if e.get("key") == key or (
                    self.same_agent(e, key))], params)
        for session in sorted({e["session"] for e in requests if "session" in e})[:3]:
            self.series("session:" + session, lambda events: [
                e for e in events if e.get("session") == session], params)

    def same_agent(self, event, key):
        """An email with the type of an enrolled agent of that member is that agent."""
        kinds = {"dev0@acme.test": "codex", "dev1@acme.test": "claude_code",
                 "lead@acme.test": "claude_code"}
        member = self.oracle.keys[key][0]
        return event.get("email") == member and event.get("agent") == kinds[member]

    def sessions(self, params):
        where = "sessions %r" % params
        reply = self.ask("sessions", limit=1000, **params)
        edges = self.edges(reply, params)
        requests = [e for _, e in self.oracle.requests()]
        active = {e["session"] for e in self.oracle.within(edges[0], edges[-1])
                  if "session" in e}
        assert {s["session"] for s in reply["sessions"]} == active, where
        last = [s["last_ms"] for s in reply["sessions"]]
        assert last == sorted(last, reverse=True), where
        for row in reply["sessions"]:
            events = [e for e in requests if e.get("session") == row["session"]]
            repo, prs = self.oracle.attributes(row["session"])
            assert row["requests"] == len(events), where
            assert row["cost_nusd"] == self.oracle.totals(events)["cost_nusd"], where
            assert row["first_ms"] == min(e["ts"] for e in events), where
            assert row["last_ms"] == max(e["ts"] for e in events), where
            assert (row.get("repo") or None) == repo, where
            assert (row.get("name") or None) == self.oracle.session_name(row["session"]), where
            assert [(p["repo"], p["number"]) for p in row["pulls"]] == prs, where
        if reply["sessions"]:
            self.session_detail(reply["sessions"][0]["session"])

    def session_detail(self, session):
        reply = self.ask("session", session=session, limit=1000)
        events = [e for _, e in self.oracle.requests() if e.get("session") == session]
        want = self.oracle.totals(events)
        for name in SUMS:
            assert reply[name] == want[name], "session %s %s" % (session, name)
        models = {m["model"]: m for m in reply["models"]}
        groups = self.oracle.by_model(events)
        assert set(models) == set(groups), session
        for model, part in groups.items():
            for name in SUMS:
                assert models[model][name] == self.oracle.totals(part)[name], (session, model)
        commits = {e["value"] for e in self.oracle.links(session, "add_commit")}
        assert set(reply["commits"]) == commits, session
        assert len(reply["rows"]) == len(events), session
        assert sorted(r["ts"] for r in reply["rows"]) == sorted(e["ts"] for e in events)

    def team(self):
        reply = self.ask("team", limit=1000)
        requests = [e for _, e in self.oracle.requests()]
        groups = self.oracle.by_member(requests)
        rows = {(m.get("email") or m["gitEmailHash"]): m for m in reply["members"]}
        for label, events in groups.items():
            assert rows[label]["events"] == len(events), label
        assert reply["used"] == len(groups)

    def explain(self, params):
        """The events behind a member's figure are the events, and the cells add up to it."""
        label, member_id = sorted(self.ids.items())[0]
        reply = self.ask("explain", scope="member:" + member_id, limit=1000, **params)
        edges = self.edges(reply, params)
        want = self.oracle.by_member(self.oracle.within(edges[0], edges[-1])).get(label, [])
        totals = self.oracle.totals(want)
        for name in SUMS:
            assert reply["total"][name] == totals[name], ("explain", params, name)
            assert sum(cell[name] for cell in reply["cells"]) == totals[name], (params, name)
        shown = [event["ts"] for cell in reply["cells"] for event in cell["events"]]
        assert not reply["events_truncated"]
        assert sorted(shown) == sorted(e["ts"] for e in want), params

    def export_pages(self, **params):
        """(head, fields, rows) of an export."""
        head, rows, cursor = None, [], None
        while head is None or cursor is not None:
            reply = self.ask("export", **dict(params, **({"cursor": cursor} if cursor else {})))
            assert head is None or reply["seq"] == head["seq"] and \
                reply["window"] == head["window"] and reply["as_of_ms"] == head["as_of_ms"]
            head, cursor = head or reply, reply["next_cursor"]
            assert reply["truncated"] == (cursor is not None)
            rows += reply["rows"]
        return head, head["fields"], rows

    def export(self, params):
        """Every request of the window once, in the order of (ts, id); and what each member has in
        each bin."""
        head, fields, rows = self.export_pages(**params)
        edges = self.edges(head, params)
        rows = [dict(zip(fields, row)) for row in rows]
        want = sorted((e["ts"], key.hex()) for key, e in self.oracle.requests()
                      if edges[0] <= e["ts"] < edges[-1])
        assert [(r["ts"], r["id"]) for r in rows] == want, params
        events = {key.hex(): e for key, e in self.oracle.requests()}
        labels = {member_id: label for label, member_id in self.ids.items()}
        for row in rows:
            event = events[row["id"]]
            assert labels.get(row["member_id"]) == self.oracle.member_of(event), (row, event)
            assert row["repo"] == self.oracle.repo_of(event), (row, event)
            for name in ("model", "session", "pr", "cost_nusd", "duration_ms", "branch"):
                assert row[name] == event.get(name), (name, row, event)
            for name in ("input_tokens", "cache_read_tokens", "output_tokens", "saved_nusd", "rev"):
                assert row[name] == event.get(name, 0), (name, row, event)
            assert row["billing"] == event.get("billing", "api"), (row, event)
            assert row["status"] == event.get("status", 200), (row, event)
        head, fields, rows = self.export_pages(level="bins", **params)
        edges = self.edges(head, params)
        rows = [dict(zip(fields, row)) for row in rows]
        shown = [(r["bin_start_ms"], r["member_id"] is None, r["member_id"]) for r in rows]
        assert shown == sorted(shown, key=lambda s: (s[0], s[1], s[2] or "")), params
        want = {}
        for start, end in zip(edges, edges[1:]):
            for label, part in self.oracle.by_member(self.oracle.within(start, end)).items():
                want[start, self.ids[label]] = self.oracle.totals(part)
        got = {(r["bin_start_ms"], r["member_id"]): r for r in rows if r["member_id"]}
        assert set(got) == set(want), params
        for at, totals in want.items():
            for name in SUMS + ("sessions",):
                assert got[at][name] == totals[name], (at, name, got[at], totals)

    def check_window(self, params):
        """Every op over one window."""
        self.leaderboard(params)
        self.cards("repos", "repo", self.oracle.by_repo, params)
        self.cards("pulls", "pr", self.oracle.by_pr, params)
        self.cards("models", "model", self.oracle.by_model, params)
        self.top_repos(params)
        self.dashboard(params)
        self.export(params)
        self.all_series(params)

    def ranges(self):
        now = self.ask("leaderboard")["as_of_ms"]
        yield from ({"range": name} for name in ("24h", "7d", "30d", "90d"))
        for _ in range(3):
            start = now - self.rng.randrange(2 * 60000, 95 * DAY)
            end = min(now, start + self.rng.randrange(60000, 90 * DAY))
            yield {"range": "custom", "from": start, "to": end}

    def choose(self, params, zone):
        metric = self.rng.choice(["cost", "tokens", "requests"])
        chosen = dict(params, tz=zone, metric=metric)
        return dict(chosen, tokens="uncached") if self.rng.random() < 0.3 else chosen

    def check(self):
        count = 0
        for params in self.ranges():
            for zone in self.rng.sample(ZONES, 2):
                self.check_window(self.choose(params, zone))
                count += 1
            self.sessions(params)
            self.explain(dict(params, tz="Europe/Berlin"))
        self.team()
        return count

    def check_some(self):
        """The longest range, a drawn one, and the lists: a second instead of ten."""
        self.check_window({"range": "90d", "tz": "Europe/Berlin", "metric": "cost"})
        params = self.rng.choice(list(self.ranges()))
        self.check_window(self.choose(params, self.rng.choice(ZONES)))
        self.sessions({"range": "90d"})
        self.team()
