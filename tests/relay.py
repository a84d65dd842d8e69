"""A bad network between two programs: passes TCP on, from a port of its own to another.

    relay.py HOST:PORT [--port N] [--delay SECONDS] [--loss P]

prints its port (one that the kernel chooses, unless --port says which), then obeys
lines on stdin; their end changes nothing.

    stall       nothing passes, connections stay: a partition
    cut         connections are closed and no others taken: the far process is gone
    go          all is well again
    delay S     each way, from now on; what is under way keeps its turn
    loss P      of the pieces the part P (0..1) comes 0.2 s late and holds up the others,
                as a lost packet does that TCP sends again
"""
import argparse
import asyncio
import random
import sys
import threading

PIECE = 16384
AHEAD = 256         # pieces under way in each direction: 4 MiB, then the sender waits
RETRANSMIT = 0.2    # seconds


class Relay:
    def __init__(self, host, port, delay, loss):
        self.to = host, port
        self.delay, self.loss = delay, loss
        self.random = random.Random(1)
        self.passing = asyncio.Event()
        self.passing.set()
        self.writers = set()
        self.server = None

    async def listen(self, port):
        self.server = await asyncio.start_server(self.connection, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def connection(self, reader, writer):
        self.writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.to)
        except OSError:
            self.abort(writer)
            return
        self.writers.add(far_writer)
        await asyncio.gather(self.one_way(reader, far_writer), self.one_way(far_reader, writer))

    def abort(self, writer):
        self.writers.discard(writer)
        writer.transport.abort()

    async def one_way(self, reader, writer):
        queue = asyncio.Queue(AHEAD)
        sender = asyncio.create_task(self.send(queue, writer))
        clock = asyncio.get_running_loop().time
        piece = b"..."
        while piece:
            try:
                piece = await reader.read(PIECE)
            except OSError:
                piece = b""
            await queue.put((clock() + self.delay, piece))
        await sender

    async def send(self, queue, writer):
        clock = asyncio.get_running_loop().time
        open_ = True
        while True:
            due, piece = await queue.get()
            await asyncio.sleep(due - clock())
            if piece and self.random.random() < self.loss:
                await asyncio.sleep(RETRANSMIT)
            await self.passing.wait()
            if not piece:
                self.writers.discard(writer)
                writer.close()      # after what it has yet to send
                return
            try:
                if open_:
                    writer.write(piece)
                    await writer.drain()
            except OSError:
                open_ = False       # read on: the other side is not to wait for ever

    async def obey(self, word, value=0):
        if word == "stall":
            self.passing.clear()
        elif word == "cut":
            self.server.close()
            for writer in list(self.writers):
                self.abort(writer)
        elif word == "go":
            self.passing.set()
            if not self.server.is_serving():
                await self.listen(self.port)
        elif word == "delay":
            self.delay = float(value)
        elif word == "loss":
            self.loss = float(value)
        else:
            print(f"relay.py: {word}: one of stall, cut, go, delay S, loss P", file=sys.stderr)


def read_orders(relay, loop):
    for line in sys.stdin:
        if line.split():
            asyncio.run_coroutine_threadsafe(relay.obey(*line.split()), loop).result()


async def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    parser.add_argument("to")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--loss", type=float, default=0)
    args = parser.parse_args()
    host, port = args.to.rsplit(":", 1)
    relay = Relay(host, int(port), args.delay, args.loss)
    await relay.listen(args.port)
    print(relay.port, flush=True)
    threading.Thread(target=read_orders, args=(relay, asyncio.get_running_loop()), daemon=True).start()
    await asyncio.Event().wait()


asyncio.run(main())
