"""A network that is far away: a TCP proxy on loopback that holds every byte back for a while.

Enters: the port of a server on 127.0.0.1, and the delay of each direction.
Leaves: a port that leads to it.  It runs as a process of its own (`python -m benchmarks.proxy PORT
SECONDS`, which prints its port), so that it takes no time from whom it serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 1 << 16


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass on what comes, `delay` later, in order; nothing waits for what came before it."""
    held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    clock = asyncio.get_running_loop().time

    async def deliver() -> None:
        while True:
            due, chunk = await held.get()
            await asyncio.sleep(due - clock())
            if not chunk:
                return
            writer.write(chunk)

    delivery = asyncio.create_task(deliver())
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            held.put_nowait((clock() + delay, chunk))
    held.put_nowait((clock() + delay, b""))
    await delivery
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


async def _serve(port: int, delay: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, back, delay), _carry(there, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def far_away(port: int, delay: float) -> Iterator[int]:
    """A port of 127.0.0.1 behind which the server at `port` is `delay` seconds away, each way."""
    command = [sys.executable, "-m", "benchmarks.proxy", str(port), str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
