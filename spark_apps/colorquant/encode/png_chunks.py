"""A PNG file of its parts: signature, header, palette, compressed rows (PNG 3, sections 5 and 11)."""

import struct
import zlib

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
    chunks = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0))]
    if palette is not None:
        chunks.append(chunk(b"PLTE", palette[:, :3].tobytes()))
        if palette.shape[1] == 4 and (transparent := np.flatnonzero(palette[:, 3] != _OPAQUE)).size:
            # Entries after the last one that has any transparency are opaque without being told.
            chunks.append(chunk(b"tRNS", palette[: transparent[-1] + 1, 3].tobytes()))
    return b"".join([_SIGNATURE, *chunks, chunk(b"IDAT", compressed), chunk(b"IEND", b"")])
