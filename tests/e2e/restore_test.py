"""A daemon whose data was put back from an older copy: libtally notices by the acknowledgements and
sends again what it kept, and the figures are what they were."""

import os
import shutil
import subprocess
import tempfile

from daemon import BUILD, Daemon
from sp import wait_for

EVENTS = 3  # and a link, in each run of the example


def test_an_older_copy_is_filled_up_by_the_gateway():
    gateway = tempfile.mkdtemp(prefix="tally-gateway-")
    with Daemon() as daemon:
        org = daemon.create_org()

        def push():
            done = subprocess.run(
                [os.path.abspath(os.path.join(BUILD, "example")), daemon.address("ingest")],
                cwd=gateway, env=dict(os.environ, TALLY_TOKEN=org["gateway_token"]),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0 and "refused" not in done.stdout, done.stdout

        def totals():
            client = daemon.query()
            try:
                row = client.ask({"v": 1, "token": org["admin_token"], "op": "leaderboard",
                                  "range": "24h"})["org"]
                return row["requests"], row["cost_nusd"]
            finally:
                client.close()

        for _ in range(5):
            push()
        assert daemon.stop() == 0
        copy = daemon.directory + "-copy"
        shutil.copytree(daemon.directory, copy)
        daemon.start()
        for _ in range(5):
            push()
        wait_for(lambda: totals() == (30, 30 * 27750000), "ten runs to show")
        daemon.stop()
        for name in os.listdir(daemon.directory):  # as a restore does it
            path = os.path.join(daemon.directory, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        shutil.copytree(copy, daemon.directory, dirs_exist_ok=True)
        shutil.rmtree(copy)
        daemon.start()
        assert totals() == (15, 15 * 27750000)
        runs = 10
        while totals()[0] < EVENTS * runs or runs == 10:
            push()  # the gateway goes on, and each run sends some of what is missing
            runs += 1
            assert runs < 60, totals()
        wait_for(lambda: totals() == (EVENTS * runs, EVENTS * runs * 27750000), "all to show")
    shutil.rmtree(gateway)
    return "filled up after %d more runs of the gateway" % (runs - 10)
