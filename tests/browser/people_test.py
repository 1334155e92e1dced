"""The Team table: who is on the team, and emails that only the reader's browser can open."""

import hashlib

from bridge import Bridge
from browser import Browser, browser_test
from daemon import Daemon
from seeded import Seeded

PASSPHRASE = "correct horse battery staple"

# What an org's own client does to an email (schema/README 2.2), said in WebCrypto.
SEAL = """(async () => {
    const bytes = (text) => new TextEncoder().encode(text);
    const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
    const salt = bytes('an org, one salt'), iv = crypto.getRandomValues(new Uint8Array(12));
    const material = await crypto.subtle.importKey('raw', bytes(%r), 'PBKDF2', false, ['deriveKey']);
    const key = await crypto.subtle.deriveKey({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations: 600000 },
        material, { name: 'AES-GCM', length: 256 }, false, ['encrypt']);
    const sealed = await crypto.subtle.encrypt(
        { name: 'AES-GCM', iv, additionalData: bytes('email ' + %r) }, key, bytes(%r));
    return { alg: 'aes-256-gcm', kdf: 'pbkdf2-sha256:600000', salt: base64(salt), iv: base64(iv),
        ct: base64(sealed.slice(0, -16)), tag: base64(sealed.slice(-16)) };
})()"""


def member_id(name):
    return hashlib.sha256(name.encode()).hexdigest()[:32]


@browser_test
def test_rows_are_what_the_api_says():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon, seats=9)
        team.push(team.usage(5))
        rows = bridge.get("/api/v1/team", team.admin)["members"]
        bridge.send("/api/v1/team/" + rows[0]["gitEmailHash"], team.admin, "PATCH",
                    {"displayName": "Ada Lovelace", "hourlyRate": "87.50"})
        with browser.page(bridge) as page:
            page.sign_in(team.admin, "/dashboard/team")
            page.until("document.querySelectorAll('.person').length === 5")
            assert page.text(".seats") == "5 / 9 seats used"
            assert page.texts(".people th[scope=col]")[:6] == [
                "#", "Member", "First seen", "Last active", "Hourly rate", "Events"]
            rows = bridge.get("/api/v1/team", team.admin)["members"]
            for nth, row in enumerate(rows, 1):
                cells = page.texts(".person:nth-of-type(%d) td" % nth)
                assert cells[0] == str(nth)
                assert cells[3] == ("$87.50" if row["hourlyRate"] else "–")
                assert cells[4] == str(row["events"])
            named = [nth for nth, row in enumerate(rows, 1) if row["displayName"] == "Ada Lovelace"][0]
            assert page.texts(".person:nth-of-type(%d) bdi" % named) == [
                "Ada Lovelace", rows[named - 1]["email"]]
            page.click(on=".person:nth-of-type(%d) button" % named)
            page.until("document.querySelector('.person-more') !== null")
            assert "True cost" in page.text(".person-more")
            page.see("people-open")


@browser_test
def test_sealed_emails_open_in_this_page_alone():
    with Daemon() as daemon, Bridge(daemon) as bridge, Browser() as browser:
        team = Seeded(daemon)
        with browser.page(bridge) as page:
            page.visit("/login")
            names = {member_id(email): email for email in ("ada@x.example", "grace@x.example")}
            sealed = {who: page.eval(SEAL % (PASSPHRASE, who, email)) for who, email in names.items()}
            moved = member_id("moved")
            sealed[moved] = sealed[member_id("ada@x.example")]
            team.push([team.event(member=who, agent="codex", email_enc=sealed[who]) for who in sealed] +
                      [team.event(member=member_id("bare"), agent="codex")])
            page.sign_in(team.admin, "/dashboard/team")
            page.until("document.querySelectorAll('.person').length === 4")
            short = {who[:16] + "..." for who in [*sealed, member_id("bare")]}
            assert set(page.texts(".person bdi")) == short
            assert "3 emails sealed" in page.text(".unlock")
            page.requests()
            page.fill(on=".unlock input", text="a wrong guess")
            page.click(on=".unlock button")
            page.until("document.querySelector('.unlock .trouble').textContent !== ''", 30000)
            page.fill(on=".unlock input", text=PASSPHRASE)
            page.click(on=".unlock button")
            page.until("document.querySelector('.unlock')?.textContent.includes('2 of them open')", 30000)
            shown = set(page.texts(".person bdi"))
            assert set(names.values()) <= shown and moved[:16] + "..." in shown, shown
            assert page.requests() == [], "nothing of it leaves the browser"
            assert page.eval("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
                             ) .find("horse") < 0
            page.see("people-unlocked")
            # The Team screen calls them by their emails, too; a sign-out forgets.
            page.click(on="nav a[href='/dashboard']")
            page.until("[...document.querySelectorAll('.member h3')].some((h) => h.textContent"
                       " === 'ada@x.example')")
            page.click(on="button[aria-label^='Sign out']")
            page.until("document.querySelector('.signin-panel') !== null")
            page.sign_in(team.admin, "/dashboard")
            page.until("document.querySelectorAll('.member').length === 4")
            assert set(page.texts(".member h3")) == short
