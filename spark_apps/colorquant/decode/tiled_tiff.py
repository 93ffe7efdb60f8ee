"""Tiles: a TIFF that is read and written region by region, so that no process ever holds all of it.

tifffile parses and writes the files, imagecodecs holds the codecs. Both know far more kinds of TIFF than are taken
here: what has 8-bit samples, one image, and parts that fit into memory.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from colorquant.decode.color_management import ColorSpace
from colorquant.errors import UnknownColorSpace, UnsupportedImage
from colorquant.storage import version_of

Pixels = npt.NDArray[np.uint8]

#: Tiles of an output whose input has none, in pixels on each side.
TILE = 256
#: Pixels on each side of a region of tiles: 12 MiB as RGB, and 1 % more with the border that a window needs.
_REGION = 2048
#: Larger tiles or strips than this (0.2 GB as RGB) are refused: one is decoded at a time, but whole.
_MOST_SEGMENT_PIXELS = 1 << 26
# Level of libdeflate: 12 takes four times as long for 1 % fewer bytes.
_LEVEL = 9

_GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 1, 2, 3, 5, 6
_WHITE_IS_ZERO = 0
_SAMPLES = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}


@dataclass(frozen=True)
class Region:
    """Pixels from row ``top`` to before ``bottom``, from column ``left`` to before ``right``, of a tiled image."""

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
    """A TIFF that is read region by region; small enough to be sent to whoever can open its path.

    Attributes
    ----------
    path : str
    height, width : int
    tile : rows and columns of the tiles of its output; the input's own where it has tiles, and not strips.
    region : rows and columns of ``regions``, multiples of the tile's.
    version : of the file (``storage.version_of``) when it was first looked at.
    """

    path: str
    height: int
    width: int
    tile: tuple[int, int]
    region: tuple[int, int]
    version: str

    def has_changed(self) -> bool:
        """Whether its path leads to another file than at first, or to none."""
        return not os.path.exists(self.path) or version_of(self.path) != self.version

    def regions(self) -> list[Region]:
        """The image, cut into parts that are computed one by one."""
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
            A part of it is damaged.
        """
        page = _page(self.path, self.version)
        rows, columns = _segment_shape(page)
        across = -(-self.width // columns)
        pixels = np.empty((bottom - top, right - left, 3), np.uint8)
        for row in range(top // rows, -(-bottom // rows)):
            for column in range(left // columns, -(-right // columns)):
                segment = self._segment(page, row * across + column)
                # What of the segment is wanted, in the coordinates of the image.
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
        stream.seek(page.dataoffsets[index])
        try:
            encoded = stream.read(page.databytecounts[index])
            samples, _, shape = page.decode(encoded, index, jpegtables=page.jpegtables)
            if samples is None:
                raise ValueError("it is empty")
            samples = np.asarray(samples)[0, : shape[1], : shape[2]]
            return _srgb(page, samples)
        except OSError:
            raise
        except Exception as error:  # Codecs raise what they like on damaged data.
            raise UnsupportedImage(
                f"{self.path!r} is damaged in part {index} ({error}); copy it again or save it again."
            ) from error


def tiled_image_above(path: str, limit: int) -> TiledImage | None:
    """A TIFF of more pixels than the limit, to be read by regions; None for a smaller or damaged one.

    Raises
    ------
    UnsupportedImage
        It is such a TIFF, but of a kind that cannot be read by regions.
    """
    try:
        version = version_of(path)
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            if page.imagewidth * page.imagelength <= limit:
                return None
            if reason := _objection(file, page):
                raise UnsupportedImage(
                    f"{path!r} has {page.imagewidth} x {page.imagelength} pixels, more than the limit of {limit:,}, "
                    f"and cannot be read part by part either: {reason}."
                )
            return _described(path, page, version)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        if isinstance(error, UnsupportedImage):
            raise
        # Whoever reads whole images says what is wrong with it.
        return None


def write_tiled(path: str | os.PathLike[str], image: TiledImage, palette: Pixels, tiles: Iterator[bytes]) -> None:
    """Write a palette TIFF of tiles that are encoded already, in the order of the file; BigTIFF where it may be needed.

    Parameters
    ----------
    palette : uint8 (k, 3)
    tiles : from ``encode_tiles``, row by row, each row from left to right.
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
    """The tiles of a region of the index map, uint8 (h, w), each compressed; row by row."""
    height, width = indexes.shape
    rows, columns = tile
    # A tile is whole in the file also where the picture ends within it.
    padded = np.pad(indexes, ((0, -height % rows), (0, -width % columns)), mode="edge")
    return [
        bytes(imagecodecs.deflate_encode(padded[y : y + rows, x : x + columns].tobytes(), level=_LEVEL, raw=False))
        for y in range(0, height, rows)
        for x in range(0, width, columns)
    ]


def _objection(file: Any, page: Any) -> str | None:
    """Why a TIFF cannot be read by regions, and what to do; None where it can."""
    samples = _SAMPLES.get(page.photometric)
    if samples is None or page.samplesperpixel != samples or page.bitspersample != 8 or page.sampleformat != 1:
        return "it takes 8-bit samples, grey, RGB, CMYK or of a palette, and no transparency; convert it to 8-bit RGB"
    if page.planarconfig != 1 and samples > 1:
        return "its channels are stored one after the other; save it with interleaved channels"
    if page.tags.valueof(274, default=1) != 1:
        return "it is to be shown rotated; save it upright"
    if sum(not other.is_reduced and not other.is_mask for other in file.pages) > 1:
        return "it has several pages; save one of them as its own image"
    rows, columns = _segment_shape(page)
    if rows * columns > _MOST_SEGMENT_PIXELS:
        return f"its parts have {columns} x {rows} pixels; save it with tiles of {TILE} x {TILE}"
    if not page.dataoffsets or max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > os.path.getsize(
        file.filehandle.path
    ):
        return "it is truncated; copy it again"
    return None


def _described(path: str, page: Any, version: str) -> TiledImage:
    height, width = page.imagelength, page.imagewidth
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (TILE, TILE)
    region = max(1, _REGION // rows) * rows, max(1, _REGION // columns) * columns
    if not page.is_tiled:
        # As high as a tile: every strip is decoded for the whole width.
        region = TILE, -(-width // TILE) * TILE
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
    """The first page of a TIFF, which stays open; opened again where another version of the file is to be read."""
    return tifffile.TiffFile(Path(path)).pages.first
