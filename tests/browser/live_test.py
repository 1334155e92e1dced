"""An open page follows the figures, keeps what is read in its place, and outlives what happens to the
server and to the session."""

import time

from bridge import Bridge
from browser import Browser, browser_test
from daemon import Daemon
from seeded import Seeded
from team_page import CARD, opened


def live(page):
    page.until("document.querySelector('.live-live') !== null")


@browser_test
def test_a_push_is_on_the_page():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push([team.event("a@x.example", cost_nusd=10**9)])
        with opened(browser, bridge, team) as page:
            live(page)
            slowest = 0
            for round_no in range(1, 4):
                time.sleep(1.2)  # figures are asked for once a second at most
                client = daemon.ingest()
                client.ask({"v": 1, "token": team.gateway,
                            "events": [team.event("a@x.example", cost_nusd=10**9)]})
                client.close()
                acked = time.monotonic()
                page.until("document.querySelector('.figure-huge').value === '%d.00'" % (round_no + 1),
                           5000)
                slowest = max(slowest, (time.monotonic() - acked) * 1000)
            return "visible after at most %d ms" % slowest


@browser_test
def test_cards_stay_where_they_are_until_the_reader_wants_the_new_order():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push([team.event("first@x.example", cost_nusd=3 * 10**9),
                   team.event("second@x.example", cost_nusd=2 * 10**9)])
        with opened(browser, bridge, team) as page:
            live(page)
            team.push([team.event("second@x.example", cost_nusd=5 * 10**9),
                       team.event("third@x.example", cost_nusd=10**9)])
            page.until("document.querySelector('.figure-huge').value === '11.00'")
            page.until("document.querySelector('.pill') !== null")
            assert page.texts(CARD + " h3") == ["first@x.example", "second@x.example"]
            assert page.values(CARD + " .figure-large") == ["3.00", "7.00"]
            page.click(on=".pill")
            page.until("document.querySelector('.pill') === null")
            assert page.texts(CARD + " h3") == [
                "second@x.example", "first@x.example", "third@x.example"]
            assert page.eval("document.querySelector('.rank-gold').closest('%s').dataset.member"
                             " === document.querySelector('%s').dataset.member" % (CARD, CARD))


@browser_test
def test_tally_http_may_restart_under_an_open_page():
    with Daemon() as daemon, Browser() as browser:
        team = Seeded(daemon)
        team.push([team.event("a@x.example", cost_nusd=10**9)])
        with Bridge(daemon) as bridge:
            port = bridge.port
            page = opened(browser, bridge, team)
            live(page)
        page.until("document.querySelector('.live-lost') !== null")
        assert page.values(".figure-huge") == ["1.00"], "figures stay while nobody answers"
        team.push([team.event("a@x.example", cost_nusd=10**9)])
        with Bridge(daemon, "--listen", "127.0.0.1:%d" % port) as again:
            assert again.port == port
            live(page)
            page.until("document.querySelector('.figure-huge').value === '2.00'")
            page.troubles()
            page.close()


@browser_test
def test_a_session_that_ended_asks_for_sign_in_and_goes_on_where_it_was():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(3))
        spare = bridge.send("/api/v1/tokens", team.admin, "POST", {"type": "personal", "name": "spare"})
        with browser.page(bridge) as page:
            page.sign_in(spare["token"], "/dashboard?range=30d&sort=tokens")
            live(page)
            bridge.send("/api/v1/tokens/" + spare["token_id"], team.admin, "DELETE")
            page.until("document.querySelector('.signin-panel') !== null")
            assert "has ended" in page.text(".signin-panel .quiet")
            assert page.eval("!document.body.textContent.includes('dev000')"), "nothing is left"
            page.fill(on="input[type=password]", text=team.admin)
            page.click(on="button[type=submit]")
            page.until("document.querySelector('.overview h2')?.textContent === 'Tokens, last 30 days'")
            assert page.path() == "/dashboard?range=30d&sort=tokens"


@browser_test
def test_sign_in_by_link_once_and_out_again():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        link = team.login_link(bridge.port)
        with browser.page(bridge) as page:
            page.goto(url=link)
            page.until("document.querySelector('.overview') !== null")
            assert page.path() == "/dashboard" and page.eval("location.hash") == ""
            page.click(on="button[aria-label^='Sign out']")
            page.until("document.querySelector('.signin-panel') !== null")
            page.reload()
            page.until("document.querySelector('.signin-panel') !== null")
            page.goto(url=link)
            page.until("document.querySelector('.trouble')?.textContent.includes('used already')")
            page.fill(on="input[type=password]", text="tally_pat_nobody_knows_this")
            page.click(on="button[type=submit]")
            page.until("document.querySelector('.trouble')?.textContent.includes('not known')")


@browser_test
def test_failures_are_said_and_can_be_tried_again():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        with browser.page(bridge) as page:
            page.sign_in(team.admin)
            page.until("document.querySelector('.overview') !== null")
            for status, code, title in (
                    (403, "forbidden", "Not for your role"), (404, "not_found", "Not found"),
                    (503, "overloaded", "These figures could not be read")):
                body = '{"error": {"code": "%s", "message": "said so"}}' % code
                page.answer(url="**/api/v1/team**", status=status, body=body)
                page.visit("/dashboard/team")
                page.until("document.querySelector('.empty-title')?.textContent === '%s'" % title)
            page.let(url="**/api/v1/team**")
            page.click(on=".empty .button")
            page.until("document.querySelector('.empty-title')?.textContent"
                       " === 'Nobody is on the team yet'")


HIDE = """(Object.defineProperty(document, 'hidden', { value: %s, configurable: true }),
    document.dispatchEvent(new Event('visibilitychange')))"""


@browser_test
def test_who_comes_back_from_another_window_finds_the_order_of_now():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push([team.event("first@x.example", cost_nusd=3), team.event("second@x.example", cost_nusd=2)])
        with opened(browser, bridge, team) as page:
            live(page)
            page.eval(HIDE % "true")
            page.requests()
            team.push([team.event("second@x.example", cost_nusd=9)])
            time.sleep(1.5)
            assert [url for url in page.requests() if "/api/" in url] == [], "nobody looks, nothing is asked"
            page.eval(HIDE % "false")
            page.until("document.querySelector('%s h3').textContent === 'second@x.example'" % CARD)
            assert page.eval("document.querySelector('.pill') === null")


@browser_test
def test_shapes_stand_where_figures_will_be():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        team.push(team.usage(3))
        with opened(browser, bridge, team) as page:
            for path, asked, there in (
                    ("", "dashboard", ".member"), ("/team", "team", ".person"),
                    ("/sessions", "sessions", ".session-link"),
                    ("/sessions/s-1-1", "sessions/s-1-1", ".about")):
                page.hold(url="**/api/v1/%s**" % asked)
                page.visit("/dashboard" + path)
                page.until("document.querySelector('.skeleton') !== null")
                assert page.eval("document.querySelector('%s') === null" % there)
                page.release()
                page.until("document.querySelector('%s') !== null && "
                           "document.querySelector('.skeleton') === null" % there)


@browser_test
def test_a_range_that_cannot_be_is_refused_in_words():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        with opened(browser, bridge, Seeded(daemon)) as page:
            page.visit("/dashboard?range=custom&from=5&to=yesterday")
            page.until("document.querySelector('.empty-title')?.textContent"
                       " === 'These figures could not be read'")
            assert page.text(".empty-text code") == "bad_param"
            page.click(on=".range input[value='7d']")
            page.until("document.querySelector('.figure-huge') !== null")
            assert page.path() == "/dashboard?range=7d"


@browser_test
def test_a_fault_of_the_page_is_said_on_it():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        with opened(browser, bridge, Seeded(daemon)) as page:
            page.answer(url="**/api/v1/dashboard**", status=200, body="{}")
            page.reload()
            page.until("document.querySelector('.empty-title')?.textContent"
                       " === 'This page cannot be shown'")
            assert page.troubles(), "the console has the fault"
            page.click(on="nav a[href='/dashboard/team']")
            page.until("document.querySelector('.empty-title')?.textContent"
                       " === 'Nobody is on the team yet'")
