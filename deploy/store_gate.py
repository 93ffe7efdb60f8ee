"""Passes TCP connections on to one object store: the way out of a network that has no other. Standard library only.

    python store_gate.py HOST PORT [LISTEN]

It listens on the store's own port, or on LISTEN. It sees bytes only: with https:// the store proves its name to the
client, and the gate reads nothing. With --check it tells by its exit status whether the store can be reached.
"""

import argparse
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
            print(_unreachable(host, port, error), file=sys.stderr, flush=True)
            target.close()
            return
        try:
            for writer in (target, store_target):  # A peer that has vanished is not waited for.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            await asyncio.gather(_pass(source, store_target), _pass(store_source, target))
        except OSError:  # A client that was gone before the store was reached.
            pass
        finally:
            store_target.close()
            target.close()

    server = await asyncio.start_server(connect, "0.0.0.0", listen)
    async with server:
        await server.serve_forever()


async def _check(host: str, port: int) -> None:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS / 2):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        sys.exit(_unreachable(host, port, error))
    writer.close()


def _unreachable(host: str, port: int, error: OSError) -> str:
    return f"{host}:{port} cannot be reached: {str(error) or 'no answer'}"


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def main(arguments: list[str]) -> None:
    """Serve until the process ends, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("port", metavar="PORT", type=_port)
    parser.add_argument("listen", metavar="LISTEN", type=_port, nargs="?")
    parser.add_argument("--check", action="store_true", help="tell whether the store can be reached")
    given = parser.parse_args(arguments)
    if given.check:
        asyncio.run(_check(given.host, given.port))
    else:
        asyncio.run(_serve(given.host, given.port, given.listen or given.port))


if __name__ == "__main__":
    main(sys.argv[1:])
