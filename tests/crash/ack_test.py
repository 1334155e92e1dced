"""When an acknowledgement leaves. With every fdatasync taking 300 ms, none leaves before the
fdatasync that covers it has returned: the daemon is killed at the moment of an acknowledgement, the
power is cut, and the batch is there. And an acknowledgement that never arrives costs nothing: what
is sent again is known."""

import os
import random
import shutil
import tempfile
import time

from campaign import SEED, count, deadline, size
from daemon import Daemon
from exact import Exact, Gateway
from fault.kth_syscall import Kth
from fault.sync_ledger import Ledger, settle

CUTS = size(3, 60)
DROPPED = size(50, 2000)
SLOW_MS = 300


def test_no_ack_leaves_before_its_fdatasync():
    rng = random.Random(SEED)
    root = tempfile.mkdtemp(prefix="tally-ack-")
    data, ledger = os.path.join(root, "d"), os.path.join(root, "ledger")
    os.mkdir(data)
    kth = Kth(os.path.join(root, "kth"), data, "sleep", calls="fdatasync", sleep_ms=SLOW_MS)
    environment = kth.environment("sync_ledger", TALLY_LEDGER=ledger, TALLY_LEDGER_DIR=data)
    end, cuts, fastest = deadline(0.05), 0, float("inf")
    with Daemon(directory=data, environment=environment) as daemon:
        org = daemon.create_org(tz="Europe/Berlin")
        gateway = Gateway(0, org["gateway_token"], SEED)
        exact = Exact(daemon, org, [gateway])
        while cuts < CUTS and time.monotonic() < end:
            client = daemon.ingest()
            for _ in range(rng.randrange(1, 4)):
                kth.arm(kth.calls + 1, 1)
                started, before = time.monotonic(), kth.calls
                assert gateway.send(client)
                fastest = min(fastest, time.monotonic() - started)
                assert kth.calls > before, "an acknowledgement without any fdatasync"
            daemon.kill()  # nothing that was still on its way to the disk gets there
            Ledger(ledger).cut(data, rng)
            settle(ledger, data)
            kth.arm(0)
            daemon.start()
            exact.check_present()
            cuts += 1
        exact.check_all()
    shutil.rmtree(root)
    assert fastest * 1000 >= SLOW_MS, "an acknowledgement after %.0f ms" % (fastest * 1000)
    count("crash", cuts_at_an_acknowledgement=cuts)
    return "fastest acknowledgement %.0f ms" % (fastest * 1000)


def lose_the_reply(daemon, gateway):
    """The batch was stored, its gateway never hears of it."""
    gateway.open, gateway.stored = gateway.make_batch(), True
    client = daemon.ingest()
    client.raw(gateway.open.body)
    client.close()


def test_dropped_replies():
    with Daemon() as daemon:
        org = daemon.create_org(tz="Europe/Berlin")
        gateway = Gateway(0, org["gateway_token"], SEED)
        exact = Exact(daemon, org, [gateway])
        end, dropped = deadline(0.05), 0
        while dropped < DROPPED and time.monotonic() < end:
            lose_the_reply(daemon, gateway)
            exact.resend()
            dropped += 1
        exact.check_all()
    count("crash", replies_dropped=dropped)
