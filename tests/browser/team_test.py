"""The Team screen in a browser: what it shows is what tally says, and every control does its work."""

import time

from bridge import Bridge
from browser import Browser, browser_test
from daemon import Daemon
from seeded import DAY, HOUR, Seeded
from team_page import CARD, opened, settled

@browser_test
def test_figures_are_those_of_tally_top_digit_for_digit():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(12, days=30))
        with opened(browser, bridge, team) as page:
            for window in ("24h", "7d", "30d", "90d"):
                for metric in ("cost", "tokens", "requests"):
                    page.visit("/dashboard?range=%s&sort=%s" % (window, metric))
                    page.until("document.querySelector('%s') !== null" % CARD)
                    said = team.top(range=window, by=metric)
                    shown = page.values(CARD + " .figure-large")
                    assert shown == [str(m["value"]) for m in said["members"]], (window, metric)
                    assert page.values(".overview .figure-huge") == [str(said["org"]["value"])]
                    names = page.texts(CARD + " h3")
                    assert names == [m["display_name"] for m in said["members"]], names
                    ranks = [text.replace("Rank ", "") for text in page.texts(CARD + " .rank")]
                    assert ranks == [str(m["rank"] or "–") for m in said["members"]], ranks


@browser_test
def test_one_request_paints_the_screen():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(3))
        with opened(browser, bridge, team) as page:
            page.requests()
            page.reload()
            page.until("document.querySelector('%s') !== null" % CARD)
            asked = [url.split("/api/v1")[1] for url in page.requests() if "/api/v1" in url]
            assert len([url for url in asked if url.startswith("/dashboard")]) == 1, asked
            assert {url.split("?")[0] for url in asked} <= {"/dashboard", "/session", "/live"}, asked


@browser_test
def test_range_and_sort_are_in_the_address_and_go_back():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(5, days=30))
        with opened(browser, bridge, team) as page:
            before = page.values(".figure-huge")
            page.click(on=".range input[value='30d']")
            settled(page, "range=30d")
            page.until("document.querySelector('.overview h2').textContent === 'Cost, last 30 days'")
            assert page.values(".figure-huge") != before
            page.click(on=".choice input[value=tokens]")
            settled(page, "sort=tokens")
            page.until("document.querySelector('.overview h2').textContent === 'Tokens, last 30 days'")
            assert page.eval("document.querySelector('.chart').getAttribute('aria-valuetext')") \
                .endswith("tokens")
            page.back()
            page.until("document.querySelector('.overview h2').textContent === 'Cost, last 30 days'")
            page.back()
            page.until("document.querySelector('.overview h2').textContent === 'Cost, last 7 days'")
            assert page.values(".figure-huge") == before


@browser_test
def test_radio_buttons_and_chart_work_by_keyboard():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(3))
        with opened(browser, bridge, team) as page:
            page.focus(on=".range input[value='7d']")
            page.press(key="ArrowLeft")
            settled(page, "range=24h")
            bars = bridge.get("/api/v1/series?range=24h", team.admin)["bars"]
            page.focus(on=".chart")
            page.press(key="End")
            for bin_idx in (23, 22, 21):
                shown = page.until("document.querySelector('.chart-bubble strong')?.textContent")
                dollars, rest = bars[bin_idx].split(".")
                assert shown == "$%s.%s" % (format(int(dollars), ","), rest), (bin_idx, shown)
                page.press(key="ArrowLeft")
            page.press(key="Escape")
            page.until("document.querySelector('.chart-bubble') === null")
            # From the top of the page to the first card by Tab alone.
            page.eval("(document.activeElement.blur(), scrollTo(0, 0))")
            for _ in range(60):
                page.press(key="Tab")
                if page.eval("document.activeElement.closest('%s') !== null" % CARD):
                    break
            first = team.top(range="24h")["members"][0]["display_name"]
            assert page.hint().startswith(first + "\nCost: $"), page.hint()
            page.press(key="Enter")
            page.until("location.pathname === '/dashboard/sessions'")


@browser_test
def test_exact_values_on_hover():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        # Past 2^53 nano-dollars, where a float would be wrong.
        team.push([team.event("a@x.example", cost_nusd=10**15) for _ in range(9)] +
                  [team.event("a@x.example", cost_nusd=7199254740993)])
        with opened(browser, bridge, team) as page:
            assert page.text(".figure-huge") == "$9,007,199.25"
            page.point(on=".figure-huge")
            assert page.hint() == "The whole org: $9,007,199.254740993"
            page.point(on=CARD + " .figure-large")
            assert page.hint() == "Cost: $9,007,199.254740993"
            page.focus(on=".chart")
            page.press(key="End")
            assert "$9,007,199.254740993" in page.eval(
                "document.querySelector('.chart').getAttribute('aria-valuetext')")


@browser_test
def test_custom_range_is_picked_in_the_zone_of_the_org():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        now = int(time.time() * 1000)
        team.push([team.event("a@x.example", now - 3 * DAY, cost_nusd=10**9)])
        with opened(browser, bridge, team) as page:
            page.click(on=".range input[value=custom]")
            settled(page, "range=custom")
            zoned = page.eval("new Intl.DateTimeFormat('sv-SE', {timeZone: 'Europe/Berlin', dateStyle:"
                              " 'short', timeStyle: 'short'}).format(%d)" % (now - 4 * DAY))
            page.fill(on=".pickers label:nth-of-type(1) input", text=zoned.replace(" ", "T"))
            page.click(on=".pickers button")
            start = (now - 4 * DAY) // 60000 * 60000
            page.until("location.search.includes('from=%d')" % start)
            settled(page, "from=%d" % start)
            assert page.values(".figure-huge") == ["1.00"]
            assert "Europe/Berlin" in page.text(".overview-zone")
            page.fill(on=".pickers label:nth-of-type(1) input", text="2036-01-01T00:00")
            assert page.until("document.querySelector('.pickers-trouble').textContent") == \
                "The end must be after the start."
            assert page.eval("document.querySelector('.pickers button').disabled")


@browser_test
def test_cards_say_who_moved_who_is_active_and_who_never_was():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        now = int(time.time() * 1000)
        team.push([team.event("old@x.example", now - 10 * DAY, cost_nusd=50),
                   team.event("rising@x.example", now - 10 * DAY, cost_nusd=10),
                   team.event("rising@x.example", now - 1000, cost_nusd=10**9),
                   team.event("old@x.example", now - 5 * HOUR, cost_nusd=10**8),
                   team.event("new@x.example", now - 2 * HOUR, cost_nusd=10**7)])
        bridge.send("/api/v1/invitations", team.admin, "POST",
                    {"email": "soon@x.example", "role": "admin"})
        bridge.send("/api/v1/members/new%40x.example/agents", team.admin, "POST", {"type": "codex"})
        with opened(browser, bridge, team) as page:
            def card(nth):
                return CARD + ":nth-child(%d) " % nth
            assert page.texts(CARD + " h3") == [
                "rising@x.example", "old@x.example", "new@x.example", "soon@x.example"]
            assert page.texts(card(1) + ".rank-gold") == ["Rank 1"]
            assert page.texts(card(2) + ".rank-silver") == ["Rank 2"]
            assert page.texts(card(3) + ".rank-bronze") == ["Rank 3"]
            assert page.text(card(1) + ".movement-up") == "up by 1"
            assert page.text(card(2) + ".movement-down") == "down by 1"
            assert page.text(card(3) + ".movement-new") == "new"
            assert page.text(card(1) + ".activity") == "active now"
            assert page.eval("document.querySelectorAll('.member .pulse').length") == 1
            assert page.text(card(2) + ".activity") == "5 h ago"
            assert page.texts(card(3) + ".agent") == ["Claude Code", "Codexnever used"]
            assert page.text(card(4) + ".tag") == "Pending"
            assert page.text(card(4) + ".activity") == "invited as admin"


@browser_test
def test_repositories_pull_requests_and_their_empty_states():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        with opened(browser, bridge, team) as page:
            assert page.text(".top-repos .empty-title") == "Connect GitHub"
            bridge.send("/api/v1/org", team.admin, "PATCH", {"github_connected": True})
            page.reload()
            page.until("document.querySelector('.top-repos .empty-title')?.textContent ==="
                       " 'No repository activity in this period'")
            team.push(team.usage(4, repos=["acme/r%d" % i for i in range(20)]))
            page.reload()
            page.until("document.querySelectorAll('.work').length > 0")
            top = bridge.get("/api/v1/repos/top?range=7d&limit=10", team.admin)["repos"]
            assert page.texts(".bars a") == \
                [r["repo"].replace("github.com/", "") + str(r["sessions"]) for r in top]
            assert page.eval("document.querySelector('.bars a').href") == top[0]["url"]
            cards = bridge.get("/api/v1/repos?range=7d&limit=50", team.admin)["repos"]
            grid = "section[aria-labelledby=grid-Repositories] "
            assert page.values(grid + ".figure-large") == [c["value"] for c in cards[:12]]
            page.click(on=grid + ".more")
            page.until("document.querySelectorAll('%s.work').length === %d" % (grid, len(cards)))
            assert page.values(grid + ".figure-large") == [c["value"] for c in cards]
            pulls = bridge.get("/api/v1/pulls?range=7d&limit=50", team.admin)["pulls"]
            grid = "section[aria-labelledby=grid-Pull-requests] "
            assert page.values(grid + ".figure-large") == [c["value"] for c in pulls[:12]]
            assert page.eval("document.querySelector('%s.cover').href" % grid) == pulls[0]["url"]


@browser_test
def test_seats_used_and_too_many():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon, seats=3)
        team.push(team.usage(2))
        with opened(browser, bridge, team) as page:
            assert page.text(".seats") == "2 / 3 seats used"
            team.push([team.event("p%d@x.example" % i) for i in range(5)])
            page.reload()
            page.until("document.querySelector('.seats-over')?.textContent === '7 / 3 seats used'")


@browser_test
def test_cards_add_up_and_what_has_no_price_is_said():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push([team.event("a@x.example", cost_nusd=3 * 10**9, billing="plan"),
                   team.event(cost_nusd=10**9), team.event("a@x.example", cost_nusd=None)])
        with opened(browser, bridge, team) as page:
            assert page.texts(".member h3") == ["a@x.example", "Unattributed"]
            assert page.values(".member .figure-large") == ["3.00", "1.00"]
            assert page.values(".figure-huge") == ["4.00"]
            assert page.text(".overview-unpriced") == \
                "1 request without a known price: not in the cost."
            totals = dict(zip(page.texts(".totals dt"), page.texts(".totals dd")))
            assert totals["In plans"] == "$3.00", totals


@browser_test
def test_a_member_sees_what_the_org_lets_members_see():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(3))
        with browser.page(bridge) as page:
            page.goto(url=team.login_link(bridge.port, "dev001@acme.example"))
            page.until("document.querySelectorAll('%s').length === 3" % CARD)
            # Others are seen, their emails are not: they have short names.
            assert len([name for name in page.texts(CARD + " h3") if name.endswith("...")]) == 2
            bridge.send("/api/v1/org", team.admin, "PATCH", {"peers_visible": False})
            page.reload()
            page.until("document.querySelectorAll('%s').length === 1" % CARD)
            assert page.texts(CARD + " h3") == ["dev001@acme.example"]
            assert page.text(".section-note") == "Your org shows each member the own figures."
            page.visit("/dashboard/sessions")
            page.until("document.querySelector('.session-link') !== null")
            assert all(text.startswith("s-1-") for text in page.texts(".session-link"))
