#!/usr/bin/python3
"""A proxy for nng's stream transports that misbehaves as told: it knows frames, so it can cut one in
the middle, send a request twice or lose a reply.

  proxy.py --listen tcp://127.0.0.1:0 --connect ipc:///data/ingest.sock --cut 10 --drop-replies 20

prints the address it listens on, then works until SIGTERM or SIGINT, when it prints what it did.
A fault given as N strikes one frame (or connection) in N, chosen by --seed; 0 is never, 1 always."""

import argparse
import asyncio
import json
import os
import random
import signal
import struct
import sys

GREETING_BYTES = 8


class Stream:
    """One side of a connection: greeting, then frames; ipc puts a byte before each length."""

    def __init__(self, url, reader, writer):
        self.prefix = b"\x01" if url.startswith("ipc:") else b""
        self.reader, self.writer = reader, writer

    async def greeting(self):
        return await self.reader.readexactly(GREETING_BYTES)

    async def frame(self):
        head = await self.reader.readexactly(len(self.prefix) + 8)
        return await self.reader.readexactly(struct.unpack(">Q", head[-8:])[0])

    def encode(self, body):
        return self.prefix + struct.pack(">Q", len(body)) + body

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def close(self):
        self.writer.close()


async def dial(url):
    if url.startswith("ipc://"):
        return Stream(url, *await asyncio.open_unix_connection(url[6:]))
    host, port = url[len("tcp://"):].rsplit(":", 1)
    return Stream(url, *await asyncio.open_connection(host, int(port)))


class Proxy:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.counts = dict.fromkeys(("connections", "requests", "replies", "delayed", "cut",
                                     "duplicated", "dropped_replies", "dripped", "half_open"), 0)

    def strikes(self, one_in):
        return one_in > 0 and self.rng.randrange(one_in) == 0

    async def pause(self):
        low, high = self.options.delay_ms
        if high > 0:
            self.counts["delayed"] += 1
            await asyncio.sleep(self.rng.uniform(low, high) / 1000)

    async def drip(self, stream, data):
        self.counts["dripped"] += 1
        for at in range(len(data)):
            await stream.send(data[at:at + 1])
            await asyncio.sleep(1 / self.options.drip_rate)

    async def pass_request(self, server, body):
        """False when the connection is to end here."""
        data = server.encode(body)
        self.counts["requests"] += 1
        await self.pause()
        if self.strikes(self.options.cut):
            at = self.options.cut_at if self.options.cut_at is not None else \
                self.rng.randrange(len(data))
            self.counts["cut"] += 1
            await server.send(data[:at])
            return False
        if self.strikes(self.options.duplicate):
            self.counts["duplicated"] += 1
            await server.send(data)
        if self.strikes(self.options.drip):
            await self.drip(server, data)
        else:
            await server.send(data)
        return True

    async def requests(self, client, server):
        await server.send(await client.greeting())
        while await self.pass_request(server, await client.frame()):
            pass

    async def replies(self, client, server):
        await client.send(await server.greeting())
        while True:
            body = await server.frame()
            self.counts["replies"] += 1
            await self.pause()
            if self.strikes(self.options.drop_replies):
                self.counts["dropped_replies"] += 1
                continue
            await client.send(client.encode(body))

    async def half_open(self, client):
        """The client is served a connection behind which nobody is."""
        self.counts["half_open"] += 1
        await client.send(b"\0SP\0" + struct.pack(">HH", 0x31, 0))
        while await client.reader.read(65536):
            pass

    async def serve(self, reader, writer):
        client, server = Stream(self.options.listen, reader, writer), None
        self.counts["connections"] += 1
        pumps = []
        try:
            if self.strikes(self.options.half_open):
                await self.half_open(client)
                return
            server = await dial(self.options.connect)
            pumps = [asyncio.ensure_future(pump(client, server))
                     for pump in (self.requests, self.replies)]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side is gone: so is the other
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            client.close()
            if server is not None:
                server.close()

    async def listen(self):
        """The address in use."""
        url = self.options.listen
        if url.startswith("ipc://"):
            if os.path.exists(url[6:]):
                os.unlink(url[6:])
            await asyncio.start_unix_server(self.serve, url[6:])
            return url
        host, port = url[len("tcp://"):].rsplit(":", 1)
        server = await asyncio.start_server(self.serve, host, int(port))
        return "tcp://%s:%d" % (host, server.sockets[0].getsockname()[1])


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--listen", required=True, metavar="URL", help="tcp://HOST:PORT (port 0: any) or ipc://PATH")
    add("--connect", required=True, metavar="URL", help="the real server")
    add("--seed", type=int, default=1)
    add("--delay-ms", type=float, nargs=2, default=(0, 0), metavar=("LOW", "HIGH"),
        help="hold every frame back, both ways")
    add("--cut", type=int, default=0, metavar="N", help="end the connection in mid-request")
    add("--cut-at", type=int, metavar="K", help="... after K bytes of it (default: by the seed)")
    add("--duplicate", type=int, default=0, metavar="N", help="send the request twice")
    add("--drip", type=int, default=0, metavar="N", help="send the request byte by byte")
    add("--drip-rate", type=float, default=1, metavar="BYTES", help="... so many a second")
    add("--drop-replies", type=int, default=0, metavar="N", help="lose the reply")
    add("--half-open", type=int, default=0, metavar="N",
        help="accept the connection, and never answer on it")
    return parser.parse_args(argv)


async def run(options):
    proxy = Proxy(options)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    print(await proxy.listen(), flush=True)
    await ended.wait()
    print(json.dumps(proxy.counts), flush=True)
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(run(parse(sys.argv[1:])))
    except asyncio.CancelledError:
        pass
