"""A PNG file of its parts: signature, header, palette, compressed rows (PNG 3, sections 5 and 11)."""

import struct
import zlib
from collections.abc import Iterator
from itertools import takewhile

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bytes before the place where chunks of metadata belong.
SIGNATURE_AND_HEADER = len(_SIGNATURE) + 25
_GREY, _INDEXED = 0, 3
_OPAQUE = 255


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk, with its length and its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk of a PNG file, which is taken to be whole."""
    start = len(_SIGNATURE)
    while start < len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        yield name, content[start + 8 : start + 8 + length]
        start += length + 12


def compressed_rows(content: bytes) -> bytes:
    """The zlib stream of a PNG file's filtered rows."""
    return b"".join(body for name, body in chunks(content) if name == b"IDAT")


def with_compressed_rows(content: bytes, compressed: bytes) -> bytes:
    """A PNG file of the chunks of another before its rows, with this zlib stream as the rows."""
    before = takewhile(lambda item: item[0] != b"IDAT", chunks(content))
    return _file([*(chunk(name, body) for name, body in before), chunk(b"IDAT", compressed)])


def png_file(
    width: int, height: int, bit_depth: int, palette: npt.NDArray[np.uint8] | None, compressed: bytes
) -> bytes:
    """A PNG file.

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha; None for a grey image, whose levels the rows hold
    compressed : the filtered rows as a zlib stream
    """
    color_type = _GREY if palette is None else _INDEXED
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0))]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette[:, :3].tobytes()))
        if palette.shape[1] == 4 and (transparent := np.flatnonzero(palette[:, 3] != _OPAQUE)).size:
            # Entries after the last one that has any transparency are opaque without being told.
            parts.append(chunk(b"tRNS", palette[: transparent[-1] + 1, 3].tobytes()))
    return _file([*parts, chunk(b"IDAT", compressed)])


def _file(parts: list[bytes]) -> bytes:
    return b"".join([_SIGNATURE, *parts, chunk(b"IEND", b"")])
