"""Integrity: damage of an image file that its decoder does not report."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import simplejpeg

from colorquant.arithmetic import ceil_div
from colorquant.pixels import Pixels

# A progressive JPEG may have any number of scans, each a pass over all pixels; encoders write about ten.
_MAX_SCANS = 200
# libjpeg-turbo's warning about bytes between the image data and the next marker, which some cameras write.
_PADDING = "extraneous bytes before marker"
_INFLATE_STEP = 1 << 20
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: offset and step of the columns and rows of each of the seven passes.
_ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


def decode_jpeg(content: bytes, mode: str, size: tuple[int, int]) -> Pixels:
    """Decode a grey or RGB JPEG.

    Parameters
    ----------
    content : bytes
        Of the file.
    mode : str
        Pillow's name of the type of pixels, "L" or "RGB".
    size : tuple of int
        Width and height, as the header that Pillow read has them.

    Returns
    -------
    uint8 (H, W, 1 or 3)

    Raises
    ------
    ValueError
        A part of the data is missing, or the sizes differ.
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
    """Raise ValueError or zlib.error for damage in a file that its decoder has accepted.

    Parameters
    ----------
    kind : str
        Pillow's name of the format.
    content : bytes
        Of the file.
    mode : str
        Pillow's name of the type of pixels.
    """
    if kind in ("JPEG", "MPO") and mode == "CMYK":
        _check_cmyk_jpeg(content)
    elif kind == "PNG":
        _check_png(content)
    # Compressed data never contain an end-of-codestream marker (ISO 15444-1, A.4.4).
    elif kind == "JPEG2000" and b"\xff\xd9" not in content[content.find(b"\xff\x93") :]:
        raise ValueError("its end is missing")


def check_strips(tags: Mapping[int, Any]) -> None:
    """Raise ValueError if a TIFF's page has too few strips or tiles for its size: Pillow leaves missing ones black.

    Parameters
    ----------
    tags : mapping of int to value
        Of the page, by their numbers.
    """
    width, height, planes = tags[256], tags[257], tags.get(277, 1) if tags.get(284, 1) == 2 else 1
    if 324 in tags:
        expected = ceil_div(width, tags[322]) * ceil_div(height, tags[323])
    else:
        expected = ceil_div(height, min(tags.get(278, height), height))
    offsets, _ = strips_of(tags)
    if len(offsets) < expected * planes:
        raise ValueError(f"{len(offsets)} of its {expected * planes} strips or tiles are there")


def strips_of(tags: Mapping[int, Any]) -> tuple[Sequence[int], Sequence[int]]:
    """Offsets and byte counts of the strips or tiles of a TIFF's page, from its tags; empty where it has none."""
    offsets, counts = (324, 325) if 324 in tags else (273, 279)
    return tags.get(offsets, ()), tags.get(counts, ())


def stored_bytes(offsets: Sequence[int], counts: Sequence[int], file_bytes: int) -> int:
    """How many bytes of a file hold the pixels of a TIFF's page; strips or tiles at one offset count once.

    Parameters
    ----------
    offsets, counts : sequences of int
        Of the strips or tiles, in bytes.
    file_bytes : int
        Size of the file, which the result never exceeds.
    """
    return min(sum(dict(zip(offsets, counts, strict=False)).values()), file_bytes)


def _check_scans(content: bytes) -> None:
    scans = content.count(b"\xff\xda")
    if scans > _MAX_SCANS:
        raise ValueError(f"{scans} scans")


def _check_cmyk_jpeg(content: bytes) -> None:
    """Decode also by simplejpeg, at an eighth of the size, to find damage; Pillow knows if the values are inverted."""
    _check_scans(content)
    try:
        simplejpeg.decode_jpeg(content, "CMYK", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        if _PADDING not in str(error):
            raise


def _check_png(content: bytes) -> None:
    """Raise ValueError if the image data are shorter or longer than the header says: Pillow fills gaps with black."""
    width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))
    bits = content[24] * _PNG_CHANNELS[content[25]]
    expected = 0
    for left, across, top, down in _ADAM7 if content[28] else ((0, 1, 0, 1),):
        columns, rows = ceil_div(width - left, across), ceil_div(height - top, down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + ceil_div(columns * bits, 8))
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
    """The contents of the chunks of one type, in the order of a PNG file's bytes; checksums are not checked."""
    at = 8
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        if name == wanted:
            yield content[at + 8 : at + 8 + length]
        at += 12 + length
