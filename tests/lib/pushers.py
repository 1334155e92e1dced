"""Many gateways in a process of their own, each on a connection of its own, that push unique
batches as fast as answers come until told to stop, and then until the last is acknowledged.

  pushers.py ADDRESS TOKEN COUNT ROWS eager|patient

prints a JSON line of what was acknowledged when its stdin ends. Eager ones come back at once when
told "overloaded", patient ones after retry_after_ms."""

import json
import os
import random
import sys
import threading
import time

import msgpack

from sp import Req

PADDING = "p" * 4000  # few events are many bytes, so a long run does not fill the id index
PLACE = b"\xf0PLACEHO"  # 8 bytes that every batch replaces by its own


def template(token, rows):
    now = int(time.time() * 1000)
    return msgpack.packb({"v": 1, "token": token, "fields": [
        "id", "ts", "email", "agent", "session", "model", "input_tokens", "output_tokens",
        "cost_nusd", "x_padding"], "rows": [
            [PLACE + n.to_bytes(8, "big"), now - 1, "dev%d@acme.test" % (n % 20), "claude_code",
             "session-%d" % (n % 50), "opus", 3, 4, 5, PADDING] for n in range(rows)]})


class Pusher(threading.Thread):
    def __init__(self, address, body, is_patient):
        super().__init__(daemon=True)
        self.client, self.body, self.is_patient = Req(address, 30), body, is_patient
        self.counts = dict.fromkeys(("acked", "known", "overloaded", "lost"), 0)
        self.stopping = False

    def push(self, body):
        """Until it is acknowledged."""
        while True:
            try:
                reply = msgpack.unpackb(self.client.raw(body))
            except OSError:
                self.counts["lost"] += 1
                continue
            if reply.get("ok") is not False:
                self.counts["acked"] += 1
                self.counts["known"] += reply["duplicate"]
                assert reply["rejected"] == 0, reply
                return
            assert reply["error"]["code"] == "overloaded", reply
            assert reply["retry_after_ms"] > 0, reply
            self.counts["overloaded"] += 1
            if self.is_patient or self.stopping:
                time.sleep(reply["retry_after_ms"] / 1000 * random.uniform(1, 1.2))

    def run(self):
        while not self.stopping:
            self.push(self.body.replace(PLACE, os.urandom(8)))


def main():
    address, token, count, rows, mood = sys.argv[1:]
    body = template(token, int(rows))
    pushers = [Pusher(address, body, mood == "patient") for _ in range(int(count))]
    for pusher in pushers:
        pusher.start()
    for line in sys.stdin:  # a line asks how it stands
        print(json.dumps({"acked": sum(p.counts["acked"] for p in pushers)}), flush=True)
    for pusher in pushers:
        pusher.stopping = True
    for pusher in pushers:
        pusher.join()
    print(json.dumps({name: sum(p.counts[name] for p in pushers) for name in pushers[0].counts}),
          flush=True)


if __name__ == "__main__":
    main()
