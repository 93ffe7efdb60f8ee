"""PNG files: their chunks, and what these say about the pixels.

An ancillary chunk whose checksum is wrong is as if it were not there, as in browsers. Decoders get the chunks that
make the pixels, and no others, since they stop at any that is damaged.

Source: PNG Specification, third edition (W3C, 2025).
"""

import zlib
from collections.abc import Iterator, Set

import numpy as np

from colorquant.arithmetic import ceil_div
from colorquant.errors import Undecodable
from colorquant.pixels import Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bytes of an ICC profile, decompressed: what a JPEG can hold.
MAX_PROFILE = 1 << 24

_HEADER = len(SIGNATURE) + 25
_GREY, _RGB, _PALETTE = 0, 2, 3
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, 4: 2, 6: 4}
_INFLATE_STEP = 1 << 20
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_TEXTS = frozenset({b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf"})
# Adam7: offset and step of the columns and rows of each of the seven passes.
_ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


def chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The type of each chunk, where its content starts and ends, up to IEND or the end of the file.

    Ancillary chunks that are damaged are left out. Of the others the checksum is for their decoder to check.
    """
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        start, at = at + 8, at + 12 + length
        is_ancillary = bool(name[0] & 0x20)
        if not is_ancillary or zlib.crc32(content[start - 4 : at - 4]) == int.from_bytes(content[at - 4 : at]):
            yield name, start, min(at - 4, len(content))
        if name == b"IEND":
            return


def before_pixels(content: bytes, names: Set[bytes]) -> dict[bytes, bytes]:
    """The first chunk of each type that comes before the image data."""
    found: dict[bytes, bytes] = {}
    for name, start, end in chunks(content):
        if name == b"IDAT":
            break
        if name in names:
            found.setdefault(name, content[start:end])
    return found


def bits_of(content: bytes) -> int:
    """Bits of a sample."""
    return content[24]


def is_interlaced(content: bytes) -> bool:
    """Whether the rows come in seven passes."""
    return content[28] != 0


def exif(content: bytes) -> bytes:
    """EXIF data, which may also follow the image data; empty where there are none."""
    return next((content[start:end] for name, start, end in chunks(content) if name == b"eXIf"), b"")


def pixels_alone(content: bytes) -> bytes:
    """The same image with no chunks but those that make its pixels: header, palette with its alphas, image data.

    Raises
    ------
    Undecodable
        The image is animated, or has a chunk without which it cannot be shown, of an unknown type.
    """
    parts, is_palette = [SIGNATURE], content[25:26] == bytes([_PALETTE])
    for name, start, end in chunks(content):
        if name == b"fdAT" or (name == b"acTL" and int.from_bytes(content[start : start + 4]) > 1):
            raise Undecodable("is animated or has several pages; save one of them as its own image.")
        if not name[0] & 0x20 and name not in _CRITICAL:
            raise Undecodable(
                f"is a PNG with a chunk {name.decode('latin-1')!r}, which is not supported; save it again."
            )
        if name in _CRITICAL - {b"PLTE"} or (is_palette and name in (b"PLTE", b"tRNS")):
            parts.append(content[start - 8 : end + 4])
    whole = sum(map(len, parts)) == len(content)
    return content if whole else b"".join(parts)


def texts_alone(content: bytes) -> bytes:
    """A PNG without pixels that has this one's texts, resolution and EXIF data, whether before or behind its pixels."""
    parts = [content[start - 8 : end + 4] for name, start, end in chunks(content) if name in _TEXTS]
    return content[:_HEADER] + b"".join(parts) + _empty(b"IDAT") + _empty(b"IEND")


def _empty(name: bytes) -> bytes:
    """A chunk without content."""
    return bytes(4) + name + zlib.crc32(name).to_bytes(4)


def transparent_key(content: bytes) -> np.ndarray | None:
    """The level or color that is transparent, of a grey or RGB image: uint16 (1 or 3,); None where there is none."""
    channels = {_GREY: 1, _RGB: 3}.get(content[25])
    key = before_pixels(content, {b"tRNS"}).get(b"tRNS", b"")
    if channels is None or len(key) != 2 * channels:
        return None
    # Only as many bits as a sample has count.
    return np.frombuffer(key, ">u2").astype(np.uint16) & np.uint16((1 << bits_of(content)) - 1)


def check_pixels(content: bytes) -> None:
    """Raise ValueError if the image data are shorter or longer than the header says: Pillow fills gaps with black."""
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    bits = bits_of(content) * _CHANNELS[content[25]]
    expected = 0
    for left, across, top, down in _ADAM7 if is_interlaced(content) else ((0, 1, 0, 1),):
        columns, rows = ceil_div(width - left, across), ceil_div(height - top, down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + ceil_div(columns * bits, 8))
    if _inflated_bytes(content, expected) != expected:
        raise ValueError(f"its data are not those of {width} x {height} pixels")


def _inflated_bytes(content: bytes, enough: int) -> int:
    """How many bytes a PNG's image data inflate to, counted to a little more than ``enough``."""
    inflate, found = zlib.decompressobj(), 0
    for name, start, end in chunks(content):
        compressed = content[start:end] if name == b"IDAT" else b""
        while compressed and not inflate.eof and found <= enough:
            found += len(inflate.decompress(compressed, _INFLATE_STEP))
            compressed = inflate.unconsumed_tail
    return found + len(inflate.flush()) if found <= enough else found


def inflated_profile(declared: bytes) -> bytes:
    """The ICC profile of an iCCP chunk.

    Raises
    ------
    ValueError, zlib.error
        It is damaged, or longer than ``MAX_PROFILE``.
    """
    _, _, compressed = declared.partition(b"\0")
    inflate = zlib.decompressobj()
    profile = inflate.decompress(compressed[1:], MAX_PROFILE)
    if not inflate.eof:
        raise ValueError(f"it ends early, or has more than {MAX_PROFILE:,} bytes")
    return profile


def keyed(samples: np.ndarray, key: np.ndarray | None) -> Pixels | None:
    """Alpha uint8 (H, W) of samples (H, W, channels): transparent where they are those of the key; None without one."""
    return None if key is None else np.where((samples == key).all(axis=2), 0, 255).astype(np.uint8)
