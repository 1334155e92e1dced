"""Chromium under playwright-core (tests/browser/driver.mjs), a real page against a real tallyd and
tally-http. Needs node 20 and chromium; without them a browser test says so loudly and is skipped."""

import functools
import json
import os
import re
import shutil
import subprocess
import threading

from daemon import BUILD
from npm import installed

HERE = os.path.abspath("tests/browser")
PLACE = os.path.abspath(os.path.join(BUILD, "tests/browser"))
SHOTS = os.path.join(PLACE, "shots")
NODE_MAJOR_MIN = 20


def _absent():
    """What is missing, or ""; brings the npm packages of the lock file."""
    chromium = shutil.which("chromium")
    node = shutil.which("node")
    if not chromium or not node or not shutil.which("npm"):
        return "chromium, node or npm is not there"
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True).stdout
    if int(re.match(r"v(\d+)", version).group(1)) < NODE_MAJOR_MIN:
        return "node is %s, %d is needed" % (version.strip(), NODE_MAJOR_MIN)
    if b"not built in" in open(os.path.join(BUILD, "tally-http"), "rb").read() and \
            b"/assets/index-" not in open(os.path.join(BUILD, "tally-http"), "rb").read():
        return "no dashboard is built into tally-http"
    os.makedirs(SHOTS, exist_ok=True)
    return installed(HERE, PLACE)


@functools.lru_cache
def absent():
    return _absent()


def browser_test(test):
    """The test, or a loud note where there is no browser."""
    @functools.wraps(test)
    def run():
        if absent():
            return "SKIPPED, NOTHING WAS SEEN IN A BROWSER: " + absent()
        return test()
    return run


class Browser:
    """The Chromium of this thread, started when first used; it ends with the run. Pages share no
    cookies, so tests share the browser."""

    _of_thread = threading.local()

    def __enter__(self):
        if getattr(self._of_thread, "process", None) is None:
            self._of_thread.process = subprocess.Popen(
                ["node", os.path.join(PLACE, "driver.mjs"), shutil.which("chromium")], cwd=PLACE,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.process = self._of_thread.process
            self._read()
        self.process = self._of_thread.process
        return self

    def __exit__(self, *_):
        pass

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            self._of_thread.process = None
            raise AssertionError("the driver ended")
        reply = json.loads(line)
        if "error" in reply:
            raise AssertionError(reply["error"])
        return reply["ok"]

    def ask(self, does, **more):
        self.process.stdin.write(json.dumps(dict(more, does=does)) + "\n")
        self.process.stdin.flush()
        return self._read()

    def page(self, bridge, **options):
        return Page(self, bridge, options)


class Page:
    """A page in a context of its own: no cookie of another. Ends without a word in the console."""

    def __init__(self, browser, bridge, options):
        self.browser, self.bridge = browser, bridge
        self.id = browser.ask("open", **options)

    def __getattr__(self, does):
        return lambda **more: self.browser.ask(does, page=self.id, **more)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            troubles = self.troubles()
            assert not troubles, troubles
        elif os.path.isdir(SHOTS):
            self.shot(path=os.path.join(SHOTS, "failed.png"))
        self.close()

    def visit(self, path):
        status = self.goto(url="http://127.0.0.1:%d%s" % (self.bridge.port, path))
        assert status == 200, (path, status)

    def sign_in(self, token, path="/dashboard"):
        """As a person would, with a token."""
        self.visit("/login")
        self.fill(on="input[type=password]", text=token)
        self.click(on="button[type=submit]")
        self.until("location.pathname === '/dashboard'")
        if path != "/dashboard":
            self.visit(path)

    def until(self, expression, timeout_ms=30000):
        """Wait until a script's expression is true; its value."""
        return self.wait(until=expression, timeout=timeout_ms)

    def eval(self, expression):
        return self.run(script=expression)

    def texts(self, selector):
        return self.eval("[...document.querySelectorAll(%s)].map((e) => e.textContent.trim())"
                         % json.dumps(selector))

    def text(self, selector):
        return self.texts(selector)[0]

    def values(self, selector):
        """What <data> elements are in full."""
        return self.eval("[...document.querySelectorAll(%s)].map((e) => e.value)"
                         % json.dumps(selector))

    def hint(self):
        """The bubble's text."""
        return self.until("document.querySelector('.hint')?.textContent")

    def see(self, name):
        """A screenshot, kept under the build directory."""
        self.shot(path=os.path.join(SHOTS, name + ".png"))

    def path(self):
        return self.eval("location.pathname + location.search")
