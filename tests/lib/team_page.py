"""The Team screen as tests find it."""

CARD = ".member[data-member]"


def opened(browser, bridge, team, path="/dashboard", **options):
    page = browser.page(bridge, **options)
    page.sign_in(team.admin, path)
    page.until("document.querySelector('.overview .u-over') !== null")
    return page


def settled(page, question):
    """Until the page stands on the answer to what its address asks."""
    page.until("location.search.includes(%r) && document.querySelector('.team[aria-busy=false]')"
               " !== null && !document.querySelector('.team[aria-busy=true]')" % question)
