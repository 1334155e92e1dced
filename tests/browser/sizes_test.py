"""Teams of any size and names of any kind: nothing breaks, nothing runs, nothing moves."""

import time

from bridge import Bridge
from browser import Browser, browser_test
from daemon import Daemon
from seeded import DAY, HOSTILE, Seeded
from team_page import CARD, opened, settled

# Shifts since the page was asked for, the buffered ones included.
MOVED = """new Promise((done) => {
    let sum = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((shift) => sum += shift.value))
        .observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => done(sum), 50);
})"""

WIDTHS = [360, 480, 768, 1024, 1360, 1920]


def overflow(page):
    """How far the page is wider than the window."""
    return page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@browser_test
def test_nobody():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        with opened(browser, bridge, Seeded(daemon)) as page:
            assert page.text(".figure-huge") == "$0.00"
            assert page.text("section[aria-labelledby=members-title] .empty-title") == \
                "Nobody is on the team yet"
            assert page.texts(".grid-section .empty-title")[1:] == [
                "No repository activity in this period", "No pull request activity in this period"]
            page.see("team-nobody")
            for path in ("team", "sessions"):
                page.visit("/dashboard/" + path)
                page.until("document.querySelector('.empty-title') !== null")


@browser_test
def test_one_member_with_one_request():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push([team.event("one@x.example", cost_nusd=123456789)])
        with opened(browser, bridge, team) as page:
            assert page.texts(CARD + " h3") == ["one@x.example"]
            assert page.values(CARD + " .figure-large") == ["0.123456789"]
            assert page.text(CARD + " .rank") == "Rank 1"
            page.see("team-one")


@browser_test
def test_a_thousand_members():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(1000, each=2))
        with opened(browser, bridge, team) as page:
            said = [str(m["value"]) for m in team.top(range="7d", limit=1000)["members"]]
            assert len(said) == 1000
            assert page.values(CARD + " .figure-large") == said[:48]
            for shown in (240, 432, 624, 816, 1000):
                page.click(on="section[aria-labelledby=members-title] .more")
                page.until("document.querySelectorAll('%s').length === %d" % (CARD, shown))
            assert page.values(CARD + " .figure-large") == said
            page.click(on=".choice input[value=tokens]")
            settled(page, "sort=tokens")
            page.until("document.querySelectorAll('%s').length === 48" % CARD)
            page.visit("/dashboard/team")
            page.until("document.querySelectorAll('.person').length === 1000")
            page.fill(on="input[type=search]", text="dev777")
            page.until("document.querySelectorAll('.person').length === 1")
            assert page.path() == "/dashboard/team?q=dev777"


@browser_test
def test_ninety_days():
    with Daemon("--accept-past-days", "100") as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(6, days=89, each=200))
        with opened(browser, bridge, team, "/dashboard?range=90d") as page:
            bars = bridge.get("/api/v1/series?range=90d", team.admin)["bars"]
            assert page.eval("document.querySelector('.chart').ariaValueMax") == str(len(bars) - 1)
            page.focus(on=".chart")
            page.press(key="Home")
            page.until("document.querySelector('.chart-bubble') !== null")
            days = [page.text(".chart-bubble span")]
            for _ in range(3):
                page.press(key="ArrowRight")
                days.append(page.text(".chart-bubble span"))
            first = time.gmtime(time.time() + 3600 - 89 * 86400)
            assert str(first.tm_mday) in days[0] and len(set(days)) == 4, days
            page.see("team-90d")


@browser_test
def test_names_are_text_whatever_they_say():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        now = int(time.time() * 1000) - 1000
        team.push([team.event("p%d@x.example" % i, agent=name[:60], session="s%d" % i,
                              model=name[:100], repo="acme/" + "very-long-" * 9 + str(i), pr=i + 1)
                   for i, name in enumerate(HOSTILE)] +
                  [{"id": "hostile-name-%d" % i, "ts": now, "kind": "link", "session": "s%d" % i,
                    "op": "set_name", "value": name} for i, name in enumerate(HOSTILE)])
        for member in bridge.get("/api/v1/team", team.admin)["members"]:
            nth = int(member["email"][1])
            bridge.send("/api/v1/team/" + member["gitEmailHash"], team.admin, "PATCH",
                        {"displayName": HOSTILE[nth]})
        with opened(browser, bridge, team) as page:
            assert sorted(page.texts(CARD + " h3")) == sorted(name.strip() for name in HOSTILE)
            page.see("team-hostile")
            for width in WIDTHS:
                page.size(width=width, height=900)
                assert overflow(page) <= 0, (width, overflow(page))
            page.size(width=1360, height=900)
            page.visit("/dashboard/team")
            page.until("document.querySelectorAll('.person').length === %d" % len(HOSTILE))
            assert {name.strip() for name in HOSTILE} <= set(page.texts(".person bdi"))
            page.visit("/dashboard/sessions")
            page.until("document.querySelectorAll('.session-link').length === %d" % len(HOSTILE))
            assert set(page.texts(".session-link")) == {name.strip() for name in HOSTILE}
            page.see("sessions-hostile")
            page.click(on=".session-link")
            page.until("document.querySelector('.about') !== null")
            page.see("session-hostile")
            assert page.eval("document.querySelectorAll('script[src^=\"/assets\"]').length === "
                             "document.scripts.length && document.images.length === 0")


@browser_test
def test_every_width_fits_and_nothing_moves_while_it_loads():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon, seats=40)
        team.push(team.usage(30, each=8))
        for width in WIDTHS:
            with opened(browser, bridge, team, width=width) as page:
                for path in ("?range=30d", "?range=custom&from=%d&to=%d" % (
                        (time.time() * 1000 - 20 * DAY), time.time() * 1000), "/team", "/sessions"):
                    page.visit("/dashboard" + path)
                    page.until("document.querySelector('.member, .person, .session-link') !== null")
                    assert overflow(page) <= 0, (width, path, overflow(page))
                    moved = page.eval(MOVED)
                    assert moved <= 0.02, (width, path, moved)


@browser_test
def test_nothing_is_animated_for_who_wants_no_motion():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(2))
        with opened(browser, bridge, team, motion="reduce") as page:
            assert page.eval("document.getAnimations().length") == 0
