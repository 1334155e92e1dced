"""Four gateways that push while a daemon is being killed, and the check after each death."""

from exact import Exact, Gateway, Pusher
from sp import Refused, wait_for

GATEWAYS = 4


class Load:
    """Use it in a with block, around every death of the daemon."""

    def __init__(self, daemon, seed, verify_each=True):
        self.daemon, self.verify_each = daemon, verify_each
        org = daemon.create_org(tz="Europe/Berlin")
        gateways = [Gateway(n, org["gateway_token"], seed) for n in range(GATEWAYS)]
        self.exact = Exact(daemon, org, gateways)
        self.pushers = [Pusher(gateway, daemon.address("ingest")) for gateway in gateways]
        self.resent = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for pusher in self.pushers:
            pusher.end()

    def acks(self):
        return sum(len(pusher.gateway.acked) for pusher in self.pushers)

    def errors(self):
        return [pusher.error for pusher in self.pushers if pusher.error]

    def run(self, acks):
        """All gateways push until there are so many more acknowledgements; they go on after that.
        Meanwhile the days that have ended are sealed."""
        goal = self.acks() + acks
        self.order_sealing()
        for pusher in self.pushers:
            pusher.release()
        wait_for(lambda: self.acks() >= goal or self.errors(), "acknowledgements")
        assert not self.errors(), self.errors()

    def order_sealing(self):
        """It goes on by itself; a daemon that has just started may not be ready for it."""
        try:
            client = self.daemon.control()
            client.ask({"v": 1, "op": "seal", "start": True})
            client.close()
        except (OSError, Refused):
            pass

    def hold(self):
        for pusher in self.pushers:
            pusher.hold()
        assert not self.errors(), self.errors()

    def check_after_crash(self):
        """The daemon died and is back: every open batch is there whole or not at all, all others
        are there, and a recount agrees."""
        self.hold()
        self.resent += sum(pusher.gateway.open is not None for pusher in self.pushers)
        self.exact.check_present()
        if self.verify_each:
            report = self.daemon.verify()
            assert report["differences"] == 0, report

    def events(self):
        return sum(len(batch.events) for pusher in self.pushers for batch in pusher.gateway.acked)
