"""The list of sessions with its filters, and one session to its last request."""

import time

from bridge import Bridge
from browser import Browser, browser_test
from daemon import Daemon
from seeded import DAY, Seeded

ROW = "tr[data-session]"


def listed(page, count):
    page.until("document.querySelectorAll('%s').length === %d && document.querySelector("
               "'[aria-busy=true]') === null" % (ROW, count))


@browser_test
def test_the_list_its_filters_and_its_pages():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(20))
        asked = "/api/v1/sessions?range=7d&limit=1000"
        sessions = bridge.get(asked, team.admin)["sessions"]
        with browser.page(bridge) as page:
            page.sign_in(team.admin, "/dashboard/sessions")
            listed(page, 50)
            assert page.values(ROW + " .figure") == [s["cost_usd"] for s in sessions[:50]]
            page.click(on=".more")
            listed(page, len(sessions))
            assert page.values(ROW + " .figure") == [s["cost_usd"] for s in sessions]
            page.select(on=".select select", value="codex")
            filtered = bridge.get(asked + "&agent=codex", team.admin)["sessions"]
            listed(page, min(50, len(filtered)))
            page.select(on=".select select", value="")
            listed(page, 50)
            page.click(on=ROW + " td:nth-of-type(1) a")
            mine = bridge.get(asked + "&member=" + sessions[0]["member_id"], team.admin)["sessions"]
            listed(page, len(mine))
            assert "member=" + sessions[0]["member_id"] in page.path()
            assert sessions[0]["display_name"] in page.text(".filter")
            page.click(on=".filter")
            listed(page, 50)
            page.fill(on="input[type=search]", text="s-7-")
            listed(page, len([s for s in sessions if s["session"].startswith("s-7-")]))
            page.fill(on="input[type=search]", text="no such session")
            page.until("document.querySelector('.empty-title')?.textContent === "
                       "'No sessions in this period'")


@browser_test
def test_one_session_with_models_links_and_every_request():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        now = int(time.time() * 1000)
        name, commit = "s/1 & #2?", "a" * 40
        team.push([team.event("ada@x.example", now - DAY + i * 60000, session=name,
                              model="m-%d" % (i % 3), cost_nusd=10**7 + i, duration_ms=100 * i,
                              status=500 if i == 7 else 200, saved_nusd=5, saved_tokens=7)
                   for i in range(120)] +
                  [dict({"id": "linked-session-%d" % i, "ts": now, "kind": "link", "session": name},
                        **link) for i, link in enumerate((
                            {"op": "set_repo", "value": "acme/api"}, {"op": "add_pr", "value": "#12"},
                            {"op": "add_commit", "value": commit}, {"op": "set_name", "value": "the fix"}))])
        said = bridge.get("/api/v1/sessions/s%2F1%20%26%20%232%3F", team.admin)
        with browser.page(bridge) as page:
            page.sign_in(team.admin, "/dashboard/sessions")
            page.click(on=".session-link")
            page.until("document.querySelector('.about') !== null")
            assert page.text("h1") == "the fix" and page.text(".session-id") == name
            about = dict(zip(page.texts(".about dt"), page.texts(".about dd")))
            assert about["Member"] == "ada@x.example" and about["Agent"] == "Claude Code"
            assert about["Repository"] == "acme/api" and about["Pull requests"] == "#12"
            assert about["Commits"] == commit[:10]
            took = dict(zip(page.texts(".totals dt"), page.texts(".totals dd")))
            assert took["Requests"] == "120" and took["Failed"] == "1", took
            page.point(on=".totals dd")
            assert page.hint() == "$" + said["cost_usd"]
            tables = page.texts(".table-panel h2")
            assert tables == ["Models", "Requests"]
            assert page.values("section[aria-labelledby=models-title] .figure") == \
                [m["cost_usd"] for m in said["models"]]
            shown = page.eval("document.querySelectorAll('tr[data-request]').length")
            while shown < 120:
                page.click(on="section[aria-labelledby=requests-title] .more")
                page.until("document.querySelectorAll('tr[data-request]').length > %d" % shown)
                shown = page.eval("document.querySelectorAll('tr[data-request]').length")
            ids = page.eval("[...document.querySelectorAll('tr[data-request]')].map((r) => r.dataset.request)")
            assert len(set(ids)) == 120
            assert page.eval("document.querySelector('.more') === null")
            assert "A request every 1 min 0 s" in page.text(".overview-zone")
            page.visit("/dashboard/sessions/nobody-knows")
            page.until("document.querySelector('.empty-title')?.textContent === 'Not found'")
