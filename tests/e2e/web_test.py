"""The dashboard as files of tally-http: what is built in is served, small, cached, and locked down."""

import gzip
import re

from bridge import Bridge
from daemon import Daemon

BUNDLE_BYTES_MAX = 60 << 10
PAGES = ["/dashboard", "/dashboard/team", "/dashboard/sessions", "/dashboard/sessions/s-1", "/login"]
POLICY = ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'",
          "base-uri 'none'", "require-trusted-types-for 'script'"]


def files_of(page):
    return re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)


def test_every_page_is_the_one_file_and_nothing_foreign_runs_in_it():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        texts = set()
        for path in PAGES:
            status, headers, text = bridge.ask(path)
            assert status == 200 and headers["content-type"].startswith("text/html"), (path, headers)
            rules = [rule.strip() for rule in headers["content-security-policy"].split(";")]
            assert all(rule in rules for rule in POLICY), rules
            assert [rule for rule in rules if rule.startswith("script-src")] == ["script-src 'self'"]
            texts.add(text)
        assert len(texts) == 1
        assert bridge.ask("/")[0] == 302
        assert bridge.ask("/dashboard/no/such/page")[0] == 404
        assert b"not built" in text or files_of(text.decode())


def test_files_are_small_the_same_in_each_coding_and_not_sent_twice():
    with Daemon() as daemon, Bridge(daemon) as bridge:
        page = bridge.ask("/dashboard")
        names = files_of(page[2].decode())
        if not names:
            return "no dashboard is built in: nothing to look at"
        bundle_bytes = 0
        for name in ["/dashboard", *names]:
            status, headers, packed = bridge.ask(name, Accept_Encoding="gzip")
            plain = bridge.ask(name)
            bundle_bytes += len(packed)
            assert status == plain[0] == 200, name
            if headers.get("content-encoding") == "gzip":
                packed = gzip.decompress(packed)
            assert packed == plain[2], name
            assert ("immutable" in headers["cache-control"]) == name.startswith("/assets/"), headers
            status, again, _ = bridge.ask(name, If_None_Match=headers["etag"])
            assert status == 304
            for kept in ("content-security-policy", "cache-control", "etag"):
                assert again[kept] == headers[kept], (name, kept)
            assert bridge.ask(name, If_None_Match='W/"another"')[0] == 200
        assert bundle_bytes <= BUNDLE_BYTES_MAX, bundle_bytes
        return "bundle: %d bytes of %d" % (bundle_bytes, BUNDLE_BYTES_MAX)
