"""How soon the dashboard is painted: web_bench.py [--rounds N] [--json FILE]

A real tallyd and tally-http, headless Chromium on the same machine. "Painted" is the first moment
after the frame that has the last card and the chart, from the start of the navigation or from the
click. The rows in "cpu ms" are what the page's thread worked for it: they do not wait for others."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/lib"))
from bridge import Bridge  # noqa: E402
from browser import Browser, absent  # noqa: E402
from daemon import BUILD, Daemon  # noqa: E402
from seeded import Seeded  # noqa: E402

# A message that is sent in a frame comes after the frame was drawn.
DRAWN = """new Promise((done) => requestAnimationFrame(() => {
    const after = new MessageChannel();

    after.port1.onmessage = () => done(performance.now());
    after.port2.postMessage(null);
}))"""

# The whole screen of this heading is there.
THERE = """(() => document.querySelector('.overview h2')?.textContent === %s &&
    document.querySelector('.team[aria-busy=false] .u-over') !== null &&
    document.querySelectorAll('.member').length === %d)()"""

# Times a click in the page itself, so that the driver's way to the page is not in it.
CLICK = """new Promise((done) => {
    const began = performance.now();
    const look = () => %s && (seen.disconnect(), %s.then((drawn) => done(drawn - began)));
    const seen = new MutationObserver(look);

    seen.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    document.querySelector(%s).click();
})"""

ARRIVE = """new Promise((done) => {
    const look = () => %s && (seen.disconnect(), done(%s));
    const seen = new MutationObserver(look);

    seen.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    look();
})"""


def there(title, cards):
    return THERE % (json.dumps(title), cards)


def painted(page, path, title, cards):
    page.visit(path)
    return page.eval(ARRIVE % (there(title, cards), DRAWN))


def clicked(page, on, title, cards):
    return page.eval(CLICK % (there(title, cards), DRAWN, json.dumps(on)))


def sort_changes(page, rounds):
    """Three changes a round, each to another ranking: ms until painted, and of work."""
    took, worked = [], []
    for _ in range(rounds):
        for metric in ("tokens", "requests", "cost"):
            before = page.worked()
            took.append(clicked(page, "input[value=%s]" % metric,
                                metric.capitalize() + ", last 7 days", SHOWN))
            worked.append(page.worked() - before)
    return took, worked


SHOWN = 48  # of a team's members at first


class Table:
    def __init__(self, path):
        self.json = open(path, "a") if path else None
        print("\n%-38s %9s %-14s %17s  %-9s %s" % (
            "dashboard", "median", "unit", "range of rounds", "goal", "met"))

    def row(self, name, took, goal=None, unit="ms"):
        value, low, high = statistics.median(took), min(took), max(took)
        met = None if goal is None else value <= goal
        words = "" if goal is None else "<= %g" % goal
        print("  %-36s %9.3g %-14s %17s  %-9s %s" % (
            name, value, unit, "%.3g..%.3g" % (low, high), words,
            "" if met is None else "yes" if met else "NO"), flush=True)
        if self.json:
            self.json.write(json.dumps({
                "name": name, "value": round(value, 3), "unit": unit, "low": round(low, 3),
                "high": round(high, 3), "rounds": len(took), "goal": words or None, "met": met}) + "\n")
            self.json.flush()


def demo_org(table, browser, rounds):
    """The org of `make demo`: 24 members, 90 days, 60,000 requests."""
    with Daemon("--accept-past-days", "100") as daemon, Bridge(daemon) as bridge:
        team = Seeded(daemon)
        subprocess.run([os.path.join(BUILD, "tally"), "load", "--token", team.gateway, "--ingest",
                        daemon.address("ingest"), "--days", "90", "--events", "60000"],
                       stdout=subprocess.DEVNULL, check=True)
        daemon.wait_caught_up()
        cards = len(team.top(limit=1000)["members"])
        page = browser.page(bridge)
        page.sign_in(team.admin)
        again = [painted(page, "/dashboard", "Cost, last 7 days", cards) for _ in range(rounds)]
        page.close()
        first = []
        for _ in range(rounds):
            page = browser.page(bridge)
            page.goto(url=team.login_link(bridge.port))
            page.until("document.querySelector('.member') !== null")
            page.forget()
            first.append(painted(page, "/dashboard?range=7d", "Cost, last 7 days", cards))
            page.close()
        table.row("demo_painted_first_visit", first, 300)
        table.row("demo_painted_again", again, 300)


def push_shown(table, browser, rounds):
    """From the acknowledgement of a push to its figure on an open page."""
    with Daemon() as daemon, Bridge(daemon) as bridge:
        team = Seeded(daemon)
        team.push([team.event("a@x.example", cost_nusd=10**9)])
        page = browser.page(bridge)
        page.sign_in(team.admin)
        page.until("document.querySelector('.live-live') !== null")
        client, took = daemon.ingest(), []
        for round_no in range(rounds):
            time.sleep(1.5)  # an open page asks once a second at most
            client.ask({"v": 1, "token": team.gateway,
                        "events": [team.event("a@x.example", cost_nusd=10**9)]})
            acked = time.monotonic()
            page.until("document.querySelector('.figure-huge').value === '%d.00'" % (round_no + 2))
            took.append((time.monotonic() - acked) * 1000)
        client.close()
        page.close()
        table.row("push_to_open_page", took, 1000)


def thousand(table, browser, rounds):
    with Daemon() as daemon, Bridge(daemon) as bridge:
        team = Seeded(daemon)
        team.push(team.usage(1000, each=4))
        page = browser.page(bridge)
        page.sign_in(team.admin)
        took = [painted(page, "/dashboard", "Cost, last 7 days", SHOWN) for _ in range(rounds)]
        table.row("members_1000_painted", took, 300)
        page.until(there("Cost, last 7 days", SHOWN))
        sort_changes(page, 1)
        took, worked = sort_changes(page, rounds)
        table.row("members_1000_sort_change", took, 50)
        table.row("members_1000_sort_change_work", worked, unit="cpu ms")
        page.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    if absent():
        print("dashboard: nothing measured: " + absent())
        return
    table = Table(options.json)
    with Browser() as browser:
        demo_org(table, browser, options.rounds)
        thousand(table, browser, options.rounds)
        push_shown(table, browser, options.rounds)


main()
