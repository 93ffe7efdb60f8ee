"""Integrity: damage of an image file that its decoder passes over in silence."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

# A progressive JPEG may ask for any number of passes over all of its pixels; encoders write about ten.
_MOST_SCANS = 200
# What libjpeg-turbo says of bytes between the image data and the next marker: some cameras pad so.
_PADDING = "extraneous bytes before marker"
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
        if _PADDING not in str(error):
            raise
    return simplejpeg.decode_jpeg(content, space, strict=False)


def check(kind: str, content: bytes, mode: str) -> None:
    """Raise ValueError, or zlib.error, for what is wrong with a file that its decoder has accepted.

    Parameters
    ----------
    kind : Pillow's name of the format
    mode : Pillow's name of the type of pixels
    """
    if kind in ("JPEG", "MPO") and mode == "CMYK":
        _check_cmyk_jpeg(content)
    elif kind == "PNG":
        _check_png(content)
    # Compressed data never contain an end-of-codestream marker (ISO 15444-1, A.4.4).
    elif kind == "JPEG2000" and b"\xff\xd9" not in content[content.find(b"\xff\x93") :]:
        raise ValueError("its end is missing")


def check_strips(tags: Mapping[int, Any]) -> None:
    """Raise ValueError where a TIFF's page has fewer strips or tiles than its size needs: Pillow leaves them black.

    Parameters
    ----------
    tags : of the page, by number
    """
    width, height, planes = tags[256], tags[257], tags.get(277, 1) if tags.get(284, 1) == 2 else 1
    if 324 in tags:
        expected, offsets = -(-width // tags[322]) * -(-height // tags[323]), tags[324]
    else:
        expected, offsets = -(-height // min(tags.get(278, height), height)), tags.get(273, ())
    if len(offsets) < expected * planes:
        raise ValueError(f"{len(offsets)} of its {expected * planes} strips or tiles are there")


def _check_scans(content: bytes) -> None:
    scans = content.count(b"\xff\xda")
    if scans > _MOST_SCANS:
        raise ValueError(f"{scans} scans")


def _check_cmyk_jpeg(content: bytes) -> None:
    """Decode by simplejpeg too, an eighth as large: of CMYK it says nothing of how its values are meant."""
    _check_scans(content)
    try:
        simplejpeg.decode_jpeg(content, "CMYK", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        if _PADDING not in str(error):
            raise


def _check_png(content: bytes) -> None:
    """Whether the image data are as many bytes as the header promises: Pillow fills what is missing with black."""
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    bits = content[24] * _PNG_CHANNELS[content[25]]
    expected = 0
    for left, across, top, down in _ADAM7 if content[28] else ((0, 1, 0, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + -(-columns * bits // 8))
    if _inflated_bytes(content, expected) != expected:
        raise ValueError(f"its data are not those of {width} x {height} pixels")


def _inflated_bytes(content: bytes, enough: int) -> int:
    """How many bytes a PNG's image data inflate to, counted to a little more than ``enough``."""
    inflate, found = zlib.decompressobj(), 0
    for compressed in png_chunks(content, b"IDAT"):
        while compressed and not inflate.eof and found <= enough:
            found += len(inflate.decompress(compressed, _INFLATE_STEP))
            compressed = inflate.unconsumed_tail
    return found + len(inflate.flush()) if found <= enough else found


def png_chunks(content: bytes, wanted: bytes) -> Iterator[bytes]:
    """What the chunks of one name hold, in the order of a PNG file's bytes; its checksums are not looked at."""
    at = 8
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        if name == wanted:
            yield content[at + 8 : at + 8 + length]
        at += 12 + length
