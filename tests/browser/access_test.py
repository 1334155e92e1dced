"""Every page in light and dark under axe: no violation. The screenshots are of the same pages."""

from bridge import Bridge
from browser import Browser, browser_test
from daemon import Daemon
from seeded import HOSTILE, Seeded

PAGES = {
    "team": ("/dashboard?range=30d", ".member"),
    "custom": ("/dashboard?range=custom&from=1&to=2", ".pickers"),
    "people": ("/dashboard/team", ".person"),
    "sessions": ("/dashboard/sessions?agent=codex&repo=github.com/acme/api", ".session-link"),
    "session": ("/dashboard/sessions/s-1-1", ".about"),
    "absent": ("/dashboard/sessions/none", ".empty"),
}


def seeded(daemon, bridge):
    team = Seeded(daemon, seats=9)
    team.push(team.usage(14, days=30, each=30) +
              [team.event("named%d@x.example" % i, agent=name[:60]) for i, name in enumerate(HOSTILE)] +
              [team.event()])
    bridge.send("/api/v1/invitations", team.admin, "POST", {"email": "soon@x.example", "role": "member"})
    bridge.send("/api/v1/members/dev001%40acme.example/agents", team.admin, "POST", {"type": "a-new-one"})
    return team


def look(page, name, found):
    violations = page.axe()
    found += ["%s: %s" % (name, violation) for violation in violations]
    page.see(name)


@browser_test
def test_no_page_has_a_violation():
    found = []
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = seeded(daemon, bridge)
        for kind, options in (("light", {}), ("dark", {"theme": "dark"}),
                              ("phone", {"width": 360, "height": 740})):
            with browser.page(bridge, bypassCSP=True, motion="reduce", **options) as page:
                page.visit("/login")
                page.until("document.querySelector('.signin-panel') !== null")
                look(page, "signin-" + kind, found)
                page.sign_in(team.admin)
                for name, (path, mark) in PAGES.items():
                    page.visit(path)
                    page.until("document.querySelector('%s') !== null && document.querySelector("
                               "'[aria-busy=true]') === null" % mark)
                    look(page, "%s-%s" % (name, kind), found)
                page.visit("/dashboard/team")
                page.until("document.querySelector('.person') !== null")
                page.click(on=".person button")
                look(page, "people-open-" + kind, found)
                page.visit("/dashboard")
                page.until("document.querySelector('.member') !== null")
                page.focus(on=".chart")
                page.press(key="Home")
                look(page, "chart-" + kind, found)
    assert not found, "\n".join(found)


@browser_test
def test_the_theme_is_chosen_and_kept():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        with browser.page(bridge, theme="dark") as page:
            page.sign_in(team.admin)
            page.until("document.documentElement.dataset.theme === 'dark'")
            page.click(on="button[aria-label^='Theme']")
            page.until("document.documentElement.dataset.theme === 'light'")
            page.reload()
            page.until("document.querySelector('.shell') !== null")
            assert page.eval("document.documentElement.dataset.theme") == "light"
            page.click(on="button[aria-label^='Theme']")
            page.click(on="button[aria-label^='Theme']")
            page.until("document.querySelector('button[aria-label^=Theme]').ariaLabel"
                       " === 'Theme: as the system'")
            assert page.eval("document.documentElement.dataset.theme") == "dark"
