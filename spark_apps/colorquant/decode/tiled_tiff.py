"""Tiled TIFFs: read and written region by region, so that no process holds the whole image.

tifffile parses and writes the files, with the codecs of imagecodecs. Only TIFFs with 8-bit samples, a single image, and
tiles or strips that fit into memory are read here; both libraries know far more kinds.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from colorquant.arithmetic import ceil_div
from colorquant.decode.color_management import ColorSpace
from colorquant.decode.integrity import stored_bytes
from colorquant.decode.memory import bounded_memory
from colorquant.decode.tiff_directories import count_pages
from colorquant.errors import UnknownColorSpace, UnsupportedImage
from colorquant.limits import DEFAULT_LIMITS, Limits
from colorquant.pixels import Pixels
from colorquant.storage import version_of

#: Side of the tiles of an output whose input has none, in pixels.
TILE = 256
#: Side of a region of tiles in pixels: 12 MiB as RGB, and 1 % more with the border that SSIM needs.
_REGION = 2048
#: Larger tiles or strips (0.2 GB as RGB) are refused, since each is decoded as a whole.
_MAX_SEGMENT_PIXELS = 1 << 26
# Level of libdeflate: 12 takes four times as long for 1 % fewer bytes.
_LEVEL = 9

_GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 1, 2, 3, 5, 6
_WHITE_IS_ZERO = 0
_SAMPLES = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}


@dataclass(frozen=True)
class Region:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, both exclusive at the end, of a tiled image."""

    image: "TiledImage"
    top: int
    left: int
    bottom: int
    right: int

    def pixels(self) -> Pixels:
        """uint8 (h, w, 3), sRGB."""
        return self.image.read(self.top, self.left, self.bottom, self.right)


@dataclass(frozen=True)
class TiledImage:
    """A TIFF that is read region by region. It holds no pixels, so it can be sent to any process that sees its path.

    Attributes
    ----------
    path : str
    height, width : int
        Of the image, in pixels.
    tile : tuple of int
        Rows and columns of the output's tiles: as the input's, or ``TILE`` where that has strips.
    region : tuple of int
        Rows and columns of a region, multiples of the tile's.
    version : str
        Of the file when it was opened (``storage.version_of``).
    """

    path: str
    height: int
    width: int
    tile: tuple[int, int]
    region: tuple[int, int]
    version: str

    def has_changed(self) -> bool:
        """Whether its path now leads to another file, or to none."""
        return not os.path.exists(self.path) or version_of(self.path) != self.version

    def regions(self) -> list[Region]:
        """The regions that the image is cut into, row by row."""
        (rows, columns), (height, width) = self.region, (self.height, self.width)
        return [
            Region(self, top, left, min(top + rows, height), min(left + columns, width))
            for top in range(0, height, rows)
            for left in range(0, width, columns)
        ]

    def read(self, top: int, left: int, bottom: int, right: int) -> Pixels:
        """The pixels of a region, uint8 (bottom - top, right - left, 3), sRGB.

        Raises
        ------
        UnsupportedImage
            A tile or strip is damaged.
        """
        page = _page(self.path, self.version)
        rows, columns = _segment_shape(page)
        across = ceil_div(self.width, columns)
        pixels = np.empty((bottom - top, right - left, 3), np.uint8)
        for row in range(top // rows, ceil_div(bottom, rows)):
            for column in range(left // columns, ceil_div(right, columns)):
                segment = self._segment(page, row * across + column)
                # The wanted part of the segment, in coordinates of the image.
                y, x = row * rows, column * columns
                first, last = max(top, y), min(bottom, y + len(segment))
                begin, end = max(left, x), min(right, x + segment.shape[1])
                pixels[first - top : last - top, begin - left : end - left] = segment[
                    first - y : last - y, begin - x : end - x
                ]
        return pixels

    def _segment(self, page: Any, index: int) -> Pixels:
        """A tile or strip, uint8 (h, w, 3), sRGB."""
        stream = page.parent.filehandle
        try:
            stream.seek(page.dataoffsets[index])
            encoded = stream.read(page.databytecounts[index])
            rows, columns = _segment_shape(page)
            with bounded_memory(rows * columns):
                samples, _, shape = page.decode(encoded, index, jpegtables=page.jpegtables)
                if samples is None:
                    raise ValueError("it is empty")
                samples = np.asarray(samples)[0, : shape[1], : shape[2]]
                return _srgb(page, samples)
        except OSError:
            raise
        except Exception as error:  # Codecs raise various errors on damaged data.
            raise UnsupportedImage(
                f"{self.path!r} is damaged in part {index} ({error}); copy it again or save it again."
            ) from error


def tiled_image_above(path: str, limit: int, limits: Limits = DEFAULT_LIMITS) -> TiledImage | None:
    """Open a TIFF to be read by regions, if it has more pixels than a limit.

    Parameters
    ----------
    path : str
    limit : int
        In pixels.
    limits : Limits
        Of directories, and of decoded bytes for each stored one.

    Returns
    -------
    TiledImage or None
        None for a smaller TIFF, and for a damaged one, which ``read_image`` will refuse with the reason.

    Raises
    ------
    UnsupportedImage
        The TIFF has more pixels, but cannot be read by regions.
    """
    try:
        version = version_of(path)
        with open(path, "rb") as stream:
            pages = count_pages(stream, limits.frames)
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            if page.imagewidth * page.imagelength <= limit:
                return None
            if reason := _objection(page, pages, os.path.getsize(path), limits):
                raise UnsupportedImage(
                    f"{path!r} has {page.imagewidth} x {page.imagelength} pixels, more than the limit of {limit:,}, "
                    f"and cannot be read part by part either: {reason}."
                )
            return _described(path, page, version)
    except (UnsupportedImage, MemoryError):
        raise
    except Exception:  # tifffile raises various errors on damaged tags.
        return None


def write_tiled(path: str | os.PathLike[str], image: TiledImage, palette: Pixels, tiles: Iterator[bytes]) -> None:
    """Write a palette TIFF from encoded tiles; a BigTIFF where it may be needed.

    Parameters
    ----------
    path : str or path-like
    image : TiledImage
        The input, of the same size and tiles.
    palette : uint8 (k, 3)
    tiles : iterator of bytes
        From ``encode_tiles``, row by row, each row from left to right.
    """
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, : len(palette)] = palette.T.astype(np.uint16) * 257
    with tifffile.TiffWriter(path, bigtiff=image.height * image.width > 1 << 31) as writer:
        writer.write(
            tiles,
            shape=(image.height, image.width),
            dtype=np.uint8,
            photometric="palette",
            colormap=colormap,
            tile=image.tile,
            compression="adobe_deflate",
            metadata=None,
            software=False,
        )


def encode_tiles(indexes: Pixels, tile: tuple[int, int]) -> list[bytes]:
    """The compressed tiles, of ``tile`` rows and columns, of a part uint8 (h, w) of the index map; row by row."""
    height, width = indexes.shape
    rows, columns = tile
    # In the file a tile is always whole, also where the image ends within it.
    padded = np.pad(indexes, ((0, -height % rows), (0, -width % columns)), mode="edge")
    return [
        bytes(imagecodecs.deflate_encode(padded[y : y + rows, x : x + columns].tobytes(), level=_LEVEL, raw=False))
        for y in range(0, height, rows)
        for x in range(0, width, columns)
    ]


def _objection(page: Any, pages: int | None, file_bytes: int, limits: Limits) -> str | None:
    """Why a TIFF cannot be read by regions, and the remedy; None where it can be read."""
    samples = _SAMPLES.get(page.photometric)
    if samples is None or page.samplesperpixel != samples or page.bitspersample != 8 or page.sampleformat != 1:
        return "it takes 8-bit samples, grey, RGB, CMYK or of a palette, and no transparency; convert it to 8-bit RGB"
    if page.planarconfig != 1 and samples > 1:
        return "its channels are stored one after the other; save it with interleaved channels"
    if page.tags.valueof(274, default=1) != 1:
        return "it is to be shown rotated; save it upright"
    if pages is None:
        return f"it has more than {limits.frames:,} directories; save one page as its own image or raise the limit"
    if pages > 1:
        return "it has several pages; save one of them as its own image"
    rows, columns = _segment_shape(page)
    if rows * columns > _MAX_SEGMENT_PIXELS:
        return f"its parts have {columns} x {rows} pixels; save it with tiles of {TILE} x {TILE}"
    segments = ceil_div(page.imagelength, rows) * ceil_div(page.imagewidth, columns)
    if len(page.dataoffsets) < segments or len(page.databytecounts) < segments:
        return f"it has {len(page.dataoffsets)} of its {segments} parts; copy it again"
    if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))) > file_bytes:
        return "it is truncated; copy it again"
    stored, all_pixels = stored_bytes(page.dataoffsets, page.databytecounts, file_bytes), segments * rows * columns
    if not limits.ratio_allows(all_pixels, all_pixels * samples, stored):
        return (
            f"its pixels are in {stored:,} bytes, more than {limits.ratio:,} decoded bytes for each stored one; save "
            "it again or raise the limit"
        )
    return None


def _described(path: str, page: Any, version: str) -> TiledImage:
    height, width = page.imagelength, page.imagewidth
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (TILE, TILE)
    region = max(1, _REGION // rows) * rows, max(1, _REGION // columns) * columns
    if not page.is_tiled:
        # One row of tiles, over the whole width: a strip is always decoded as a whole.
        region = TILE, ceil_div(width, TILE) * TILE
    return TiledImage(os.path.abspath(path), height, width, (rows, columns), region, version)


def _segment_shape(page: Any) -> tuple[int, int]:
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _srgb(page: Any, samples: Pixels) -> Pixels:
    if page.photometric == _PALETTE:
        levels = (page.colormap >> 8).astype(np.uint8)
        return levels.T[samples[..., 0]]
    if page.photometric == _WHITE_IS_ZERO:
        samples = 255 - samples
    try:
        return ColorSpace(profile=page.iccprofile).to_srgb(np.require(samples, requirements=["C", "W"]))
    except UnknownColorSpace as error:
        raise ValueError(f"its colors cannot be converted to sRGB: {error}") from error


@lru_cache(maxsize=4)
def _page(path: str, version: str) -> Any:
    """The first page of a TIFF, which stays open; another version of the file is opened again."""
    return tifffile.TiffFile(Path(path)).pages.first
