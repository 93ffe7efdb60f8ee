"""Integrity: damage of an image file that its decoder passes over in silence."""

import re
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import simplejpeg

# A progressive JPEG may ask for any number of passes over all of its pixels; encoders write about ten.
_MOST_SCANS = 200
_INFLATE_STEP = 1 << 20
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: offset and step of the columns and rows of each of the seven passes.
_ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


def decode_jpeg(content: bytes, mode: str, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Decode a grey or RGB JPEG of this width and height, uint8 (H, W, 1 or 3).

    Raises ValueError where a part of its data is missing.
    """
    _check_scans(content)
    if simplejpeg.decode_jpeg_header(content, strict=False)[:2] != size[::-1]:
        raise ValueError("two sizes")
    space = "GRAY" if mode == "L" else "RGB"
    try:
        return simplejpeg.decode_jpeg(content, space)
    except ValueError as error:
        # Bytes between the image data and the next marker are padding, and harmless.
        if not re.search("extraneous bytes before marker", str(error)):
            raise
    return simplejpeg.decode_jpeg(content, space, strict=False)


def flaw(kind: str, content: bytes, mode: str) -> str | None:
    """What is wrong with a file that its decoder has accepted; None where nothing is.

    Parameters
    ----------
    kind : Pillow's name of the format
    mode : Pillow's name of the type of pixels
    """
    if kind in ("JPEG", "MPO") and mode == "CMYK":
        return _jpeg_flaw(content)
    if kind == "PNG":
        return _png_flaw(content)
    # Compressed data never contain an end-of-codestream marker (ISO 15444-1, A.4.4).
    if kind == "JPEG2000" and b"\xff\xd9" not in content[content.find(b"\xff\x93") :]:
        return "its end is missing"
    return None


def _check_scans(content: bytes) -> None:
    scans = content.count(b"\xff\xda")
    if scans > _MOST_SCANS:
        raise ValueError(f"{scans} scans")


def _jpeg_flaw(content: bytes) -> str | None:
    try:
        _check_scans(content)
        simplejpeg.decode_jpeg(content, "CMYK", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        return None if "extraneous bytes" in str(error) else str(error)
    return None


def _png_flaw(content: bytes) -> str | None:
    """Whether the image data are as many bytes as the header promises: Pillow fills what is missing with black."""
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    bits = content[24] * _PNG_CHANNELS[content[25]]
    expected = 0
    for left, across, top, down in _ADAM7 if content[28] else ((0, 1, 0, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + -(-columns * bits // 8))
    found = _inflated_bytes(content, expected)
    return None if found == expected else f"its size is {width} x {height}, but its data are those of another"


def _inflated_bytes(content: bytes, enough: int) -> int:
    """How many bytes a PNG's image data inflate to, counted to a little more than ``enough``."""
    inflate, found = zlib.decompressobj(), 0
    for compressed in _image_data(content):
        while compressed and not inflate.eof and found <= enough:
            found += len(inflate.decompress(compressed, _INFLATE_STEP))
            compressed = inflate.unconsumed_tail
    return found + len(inflate.flush()) if found <= enough else found


def _image_data(content: bytes) -> Iterator[bytes]:
    at = 8
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        if name == b"IDAT":
            yield content[at + 8 : at + 8 + length]
        at += 12 + length
