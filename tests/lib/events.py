"""A reader of server-sent events that shares nothing with the product."""

import http.client
import json
import socket


class Events:
    """One stream; use it in a with block."""

    def __init__(self, port, token, last_id=None, path="/api/v1/live"):
        headers = {"Authorization": "Bearer " + token, "Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.request("GET", path, headers=headers)
        self.reply = self.connection.getresponse()
        self.status = self.reply.status
        self.last_id = last_id
        self.comments = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        # What is being read holds the socket open: a reset is certain, a close is not.
        if self.connection.sock:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def next(self):
        """(name, data) of the next event; None at the end of the stream."""
        name, data = "message", []
        while True:
            line = self.reply.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line:
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    self.last_id = value
                else:
                    assert field == "data", line
                    data.append(value)
            elif data:
                return name, json.loads("\n".join(data))
