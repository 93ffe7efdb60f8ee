"""Tiled TIFFs: read and written region by region, so that no process holds the whole image.

Each part is decoded as in ``tiff_file``. Only opaque and upright images are read by regions, if their tiles or strips
fit into memory.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import imagecodecs
import numpy as np
import tifffile

from colorquant.arithmetic import ceil_div
from colorquant.decode.image_file import changed
from colorquant.decode.memory import bounded_memory
from colorquant.decode.tiff_file import TiffPage, page_at, picture_in, read_samples
from colorquant.errors import StoreUnavailable, Undecodable, UnknownColorSpace, UnsupportedImage
from colorquant.limits import DEFAULT_LIMITS, Limits
from colorquant.pixels import Pixels
from colorquant.storage import FileVersion, file_version, is_remote, open_ranges, version_of

#: Side of the tiles of an output whose input has none, in pixels.
TILE = 256
#: Side of a region of tiles in pixels: 12 MiB as RGB, and 1 % more with the border that SSIM needs.
_REGION = 2048
#: Larger tiles or strips (0.2 GB as RGB) are refused, since each is decoded as a whole.
_MAX_SEGMENT_PIXELS = 1 << 26
# Level of libdeflate: 12 takes four times as long for 1 % fewer bytes.
_LEVEL = 9


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

    Of an object in a bucket only the ranges of bytes are read that a region needs.

    Attributes
    ----------
    path : str
        Path or URI.
    height, width : int
        Of the image, in pixels.
    tile : tuple of int
        Rows and columns of the output's tiles: as the input's, or ``TILE`` where that has strips.
    region : tuple of int
        Rows and columns of a region, multiples of the tile's.
    directory : int
        Offset in the file.
    version : str
        Of the file when it was opened (``storage.version_of``).
    bytes : int
        Of the file.
    """

    path: str
    height: int
    width: int
    tile: tuple[int, int]
    region: tuple[int, int]
    directory: int
    version: str
    bytes: int

    def has_changed(self) -> bool:
        """Whether its path now leads to another file, or to none. Raises OSError where nobody can tell."""
        try:
            return version_of(self.path) != self.version
        except (FileNotFoundError, NotADirectoryError):
            return True

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
            A tile or strip is damaged, or an object was replaced.
        OSError
            Reading failed for a reason that may go away.
        """
        try:
            picture = _picture(self.path, self.version, self.directory)
            rows, columns = picture.segment_shape
            with bounded_memory(max(rows * columns, (bottom - top) * (right - left))):
                samples = read_samples(picture, top, left, bottom, right)
                return picture.color_space.to_srgb(samples)
        except OSError as error:
            # Of a file on a disk, this machine may not know the version by the same text.
            if is_remote(self.path) and self.has_changed():
                raise changed(self.path) from error
            raise
        except Undecodable as error:
            raise UnsupportedImage(f"{self.path!r} {error}") from error
        except UnknownColorSpace as error:
            raise UnsupportedImage(
                f"{self.path!r} has colors that cannot be converted to sRGB: {error}; convert it to sRGB."
            ) from error


def tiled_image_above(path: str, limit: int, limits: Limits = DEFAULT_LIMITS) -> TiledImage | None:
    """Open a TIFF to be read by regions, if it has more pixels than a limit.

    Parameters
    ----------
    path : str
        Path or URI.
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
    StoreUnavailable
        The store of an object refuses or does not answer.
    """
    try:
        version = file_version(path)
        with open_ranges(path, version.text) as stream, _parsed(stream, path) as file:
            picture = picture_in(file, stream, limits)
            # Of a file with too many directories, the first one has to do.
            described = picture or TiffPage(file.pages.first, 1)
            if described.width * described.height <= limit:
                return None
            if reason := _objection(described, picture is None, version.size, limits):
                raise UnsupportedImage(
                    f"{path!r} has {described.width} x {described.height} pixels, more than the limit of "
                    f"{limit:,}, and cannot be read part by part either: {reason}."
                )
            return _described(path, described, version)
    except (UnsupportedImage, MemoryError, StoreUnavailable):
        raise
    except Exception:  # tifffile raises various errors on damaged tags.
        return None


def write_tiled(file: BinaryIO, image: TiledImage, palette: Pixels, tiles: Iterator[bytes]) -> None:
    """Write a palette TIFF from encoded tiles; a BigTIFF where it may be needed.

    Parameters
    ----------
    file : binary file
        That is new, can seek and can be read.
    image : TiledImage
        The input, of the same size and tiles.
    palette : uint8 (k, 3)
    tiles : iterator of bytes
        From ``encode_tiles``, row by row, each row from left to right.
    """
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, : len(palette)] = palette.T.astype(np.uint16) * 257
    named = tifffile.FileHandle(file, mode="wb", size=0, name="image.tif")
    with tifffile.TiffWriter(named, bigtiff=image.height * image.width > 1 << 31) as writer:
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


def _objection(picture: TiffPage, is_endless: bool, file_bytes: int, limits: Limits) -> str | None:
    """Why a TIFF cannot be read by regions, and the remedy; None where it can be read."""
    try:
        picture.check_kind()
    except Undecodable as error:
        return f"it {str(error).removesuffix('.')}"
    if picture.is_left_to_pillow():
        return "its samples are YCbCr, not in JPEG; save it as 8-bit RGB"
    if picture.alpha_kind is not None:
        return "it has transparent pixels; save it without an alpha channel"
    if picture.orientation != 1:
        return "it is to be shown rotated; save it upright"
    if is_endless:
        return f"it has more than {limits.frames:,} directories; save one page as its own image or raise the limit"
    if picture.pages > 1:
        return "it has several pages; save one of them as its own image"
    rows, columns = picture.segment_shape
    if rows * columns > _MAX_SEGMENT_PIXELS:
        return f"its parts have {columns} x {rows} pixels; save it with tiles of {TILE} x {TILE}"
    try:
        picture.check_segments(file_bytes)
    except ValueError as error:
        return f"{error}; copy it again"
    stored, samples = picture.stored_bytes(file_bytes), picture.page.samplesperpixel
    all_pixels = picture.segments * rows * columns
    if not limits.ratio_allows(all_pixels, ceil_div(all_pixels * samples * picture.page.bitspersample, 8), stored):
        return (
            f"its pixels are in {stored:,} bytes, more than {limits.ratio:,} decoded bytes for each stored one; save "
            "it again or raise the limit"
        )
    return None


def _described(path: str, picture: TiffPage, version: FileVersion) -> TiledImage:
    height, width = picture.height, picture.width
    rows, columns = picture.segment_shape if picture.page.is_tiled else (TILE, TILE)
    region = max(1, _REGION // rows) * rows, max(1, _REGION // columns) * columns
    if not picture.page.is_tiled:
        # One row of tiles, over the whole width: a strip is always decoded as a whole.
        region = TILE, ceil_div(width, TILE) * TILE
    return TiledImage(
        path=path if is_remote(path) else os.path.abspath(path),
        height=height,
        width=width,
        tile=(rows, columns),
        region=region,
        directory=picture.page.offset,
        version=version.text,
        bytes=version.size,
    )


@lru_cache(maxsize=4)
def _picture(path: str, version: str, directory: int) -> TiffPage:
    """The picture of a TIFF, which stays open; another version of the file is opened again."""
    return TiffPage(page_at(_parsed(open_ranges(path, version), path), directory), 1)


def _parsed(stream: BinaryIO, path: str) -> tifffile.TiffFile:
    # Without this name, tifffile takes that of the stream, which may be the number of a descriptor.
    return tifffile.TiffFile(stream, name=os.path.basename(path))
