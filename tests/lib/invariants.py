"""What every reply must satisfy by itself (DESIGN 8: invariants 3 and 5). Called on each reply that
any test receives."""


def check_answer(request, reply):
    """A batch's answer: every event has one verdict, every rejected index is named once."""
    sent = len(request.get("events", request.get("rows", ())))
    counted = (reply["accepted"] + reply["duplicate"] + reply["replaced"] + reply["rejected"])
    assert counted == sent, "%d events sent, %d counted: %r" % (sent, counted, reply)
    indexes = [error["i"] for error in reply["errors"]]
    assert len(set(indexes)) == len(indexes) == reply["rejected"], reply
    assert all(0 <= i < sent for i in indexes), reply


def check_window(window):
    edges = window["bin_edges_ms"]
    assert len(edges) == window["bins"] + 1, window
    assert all(a < b for a, b in zip(edges, edges[1:])), window
    assert (edges[0], edges[-1]) == (window["start_ms"], window["end_ms"]), window


def check_leaderboard(reply):
    """Members and the unattributed add up to the org, bin by bin and in all."""
    org = reply["org"]
    assert org["value"] == sum(org["spark"]), reply
    rows = reply["members"] + [reply["unattributed"]]
    for row in rows:
        assert row["value"] == sum(row["spark"]), row
    if reply["next_cursor"] is None and not reply.get("members_hidden"):
        for key in ("cost_nusd", "tokens", "requests", "errors", "saved_nusd", "saved_tokens"):
            assert org[key] == sum(row[key] for row in rows), (key, reply)
        assert org["spark"] == [sum(bins) for bins in zip(*(row["spark"] for row in rows))]
    ranks = [row["rank"] for row in reply["members"] if row["rank"]]
    assert ranks == sorted(ranks), ranks


def check(request, reply):
    if "accepted" in reply and "errors" in reply:
        check_answer(request, reply)
    if "window" in reply:
        check_window(reply["window"])
        assert reply["as_of_ms"] >= 0 and reply["seq"] >= 0
    if request.get("op") == "leaderboard" and "cursor" not in request:
        check_leaderboard(reply)
    if request.get("op") == "series":
        assert reply["total"] == sum(reply["bars"]), reply
