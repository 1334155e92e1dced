"""SIGHUP: settings that may change while running are read again from the file; a wrong file changes
nothing, says why and is counted."""

import os
import signal
import tempfile

from daemon import Daemon
from sp import wait_for


def reload(daemon, path, text, counter):
    before = daemon.stats()[counter]
    with open(path, "w") as file:
        file.write(text)
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.stats()[counter] == before + 1, "the reload")
    return daemon.log().splitlines()[-1]


def test_bounds_of_connections_change_under_open_ones():
    handle, path = tempfile.mkstemp(prefix="tally-conf-")
    os.close(handle)
    try:
        with Daemon("--config", path) as daemon:
            silent = [daemon.ingest() for _ in range(3)]
            for client in silent:
                client.connect()
            wait_for(lambda: daemon.stats()["connections"] >= 3, "the connections")
            said = reload(daemon, path, "idle_ms_max = 100\nconnections_max = 60000\n", "reloads")
            assert 'changed="connections_max idle_ms_max" at_the_next_start=""' in said, said
            wait_for(lambda: daemon.stats()["connections_ended"]["idle"] >= 3, "the end of the idle")
            reload(daemon, path, "connections_max = 8\n", "reloads")
            crowd = [daemon.ingest() for _ in range(20)]
            for client in crowd:
                try:
                    client.connect()
                except OSError:
                    pass  # it was full
            wait_for(lambda: daemon.stats()["connections"] <= 8, "no more than there may be")
            ended = daemon.stats()["connections_ended"]
            assert ended["made_room"] + ended["count_full"] >= 12, ended
            for client in silent + crowd:
                client.close()
    finally:
        os.unlink(path)


def test_settings_are_read_again_and_a_wrong_file_is_not():
    handle, path = tempfile.mkstemp(prefix="tally-conf-")
    os.close(handle)
    try:
        with Daemon("--config", path) as daemon:
            said = reload(daemon, path, "queue_bytes_max = 8M\n", "reloads")
            assert 'changed="queue_bytes_max" at_the_next_start=""' in said, said
            said = reload(daemon, path, "queue_bytes_max = 8M\nworkers = 3\n", "reloads")
            assert 'changed="" at_the_next_start="workers"' in said, said
            for text, why in (("queue_bytes_max = much\n", ":1: queue_bytes_max must be"),
                              ("nothing = 1\n", "unknown setting"),
                              ("log = loud\n", "error, warn, info or debug"),
                              ("retention_days = 71\n", "from 72"),
                              ("accept_past_days = 400\n", "retention_days must be")):
                said = reload(daemon, path, text, "failed_reloads")
                assert "reload failed, the settings stay" in said and why in said, said
            os.unlink(path)
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: daemon.stats()["failed_reloads"] == 6, "a file that is gone")
            reload(daemon, path, "log = error\n", "reloads")  # of which the log is silent now
            assert daemon.create_org()["admin_token"]
            daemon.process.send_signal(signal.SIGUSR1)  # "report" is of level info
            assert daemon.stats()["reloads"] == 3
            assert " report " not in daemon.log()
    finally:
        os.unlink(path)
