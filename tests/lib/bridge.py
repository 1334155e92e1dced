"""A real tally-http beside a test's tallyd, asked by http.client or byte by byte."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess

from daemon import BUILD
from sp import wait_for


class Bridge:
    """Use it in a with block inside the daemon's."""

    def __init__(self, daemon, *options):
        self.daemon = daemon
        self.options = list(options)
        self.log_path = os.path.join(daemon.directory, "tally-http.log")
        self.process = None
        self.port = self.metrics_port = 0

    @classmethod
    def at(cls, port):
        """To ask one that somebody else started."""
        bridge = cls.__new__(cls)
        bridge.port = port
        return bridge

    def __enter__(self):
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "tally-http"), "--listen", "127.0.0.1:0", "--metrics",
                 "127.0.0.1:0", "--data",
                 self.daemon.directory, *self.options], stderr=log)
        wait_for(self.is_ready, "tally-http to start")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("tally-http ended with %d: %s" % (
                self.process.returncode, self.log()))
        found = re.findall(r"ready http_port=(\d+) metrics_port=(\d+)",
                           self.log()[self.log_start:])
        self.port, self.metrics_port = map(int, found[-1]) if found else (0, 0)
        return self.port

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM if kind is None else signal.SIGKILL)
        code = self.process.wait(timeout=30)
        assert kind is not None or code == 0, (code, self.log()[-2000:])

    def ask(self, path, token="", method="GET", body=None, **headers):
        """(status, headers in lower case, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        send = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            send["Authorization"] = "Bearer " + token
        connection.request(method, path, body=body, headers=send)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, text

    def get(self, path, token="", status=200, **headers):
        """The JSON of a reply that must have this status."""
        got, _, text = self.ask(path, token, **headers)
        assert got == status, (path, got, text)
        return json.loads(text)

    def send(self, path, token, method, body=None, status=200):
        """The same for a command with a JSON body."""
        text = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content_Type": "application/json"}
        got, _, reply = self.ask(path, token, method, text, **headers)
        assert got == status, (method, path, got, reply)
        return json.loads(reply)

    def metrics(self):
        """{name and labels: value as text} and the whole text."""
        scraped = Bridge.at(self.metrics_port).ask("/metrics")
        assert scraped[0] == 200, scraped
        text = scraped[2].decode()
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"), text

    def dial(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def raw(self, data):
        """Everything the server says to these bytes until it closes."""
        with self.dial() as sock:
            sock.sendall(data)
            return read_all(sock)


def read_all(sock):
    heard = b""
    try:
        while True:
            part = sock.recv(65536)
            if not part:
                return heard
            heard += part
    except ConnectionResetError:
        return heard
