"""Passes TCP connections on to one object store: the way out of a network that has no other. Standard library only.

    python store_gate.py HOST PORT [LISTEN]

It listens on the store's own port, or on LISTEN. It sees bytes only: with https:// the store proves its name to the
client, and the gate reads nothing. With --check it tells by its exit status whether the store can be reached.
"""

import asyncio
import socket
import sys

_PIECE = 2**16
_CONNECT_SECONDS = 10.0


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(_PIECE):
            target.write(piece)
            await target.drain()
        target.write_eof()
    except OSError:  # Then the other side waits for nothing.
        target.close()


async def _serve(host: str, port: int, listen: int) -> None:
    async def connect(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                store_source, store_target = await asyncio.open_connection(host, port)
        except OSError as error:
            print(f"{host}:{port} cannot be reached: {error or 'no answer'}", file=sys.stderr, flush=True)
            target.close()
            return
        for writer in (target, store_target):  # A peer that has vanished is not waited for.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            await asyncio.gather(_pass(source, store_target), _pass(store_source, target))
        finally:
            store_target.close()
            target.close()

    server = await asyncio.start_server(connect, "0.0.0.0", listen)
    async with server:
        await server.serve_forever()


async def _check(host: str, port: int) -> None:
    async with asyncio.timeout(_CONNECT_SECONDS / 2):
        _, writer = await asyncio.open_connection(host, port)
    writer.close()


def main(arguments: list[str]) -> None:
    """Serve until the process ends, or check."""
    if arguments[:1] == ["--check"]:
        host, port = arguments[1:]
        asyncio.run(_check(host, int(port)))
        return
    host, port, *listen = arguments
    asyncio.run(_serve(host, int(port), int(listen[0] if listen else port)))


if __name__ == "__main__":
    main(sys.argv[1:])
