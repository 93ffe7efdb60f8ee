"""The main path of one image that is too large for a process: workers do every pass over its pixels, by regions.

The steps are those of ``pipeline``. Workers read the input themselves and write encoded tiles next to the output, so
they must see both folders, or buckets. Only the histogram's cells, sums, and the encoded bytes pass through the driver.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from colorquant.arithmetic import ceil_div
from colorquant.colors import count_colors
from colorquant.compress.palette_fit import PaletteFit
from colorquant.compress.record import Measured, Original, record_of
from colorquant.compress.stopwatch import Stopwatch
from colorquant.decode import Region, TiledImage, changed, encode_tiles, tiled_image_above, write_tiled
from colorquant.errors import UnsupportedImage
from colorquant.jobs import TILED_SUFFIX, CompressionResult, SharedPalette, WeightsFile
from colorquant.pixels import as_palette
from colorquant.quality import HALO, mean_squared_error, structural_similarity
from colorquant.quantizer import RGB, ColorSource, Solution, impose, solve, with_kept_colors
from colorquant.settings import Settings
from colorquant.storage import Workspace, file_version, location, sha256_of, workspace

T = TypeVar("T")

_ENCODED = "image.tif"
# Parts that are fetched from a bucket at a time: each request takes long.
_FETCHERS = 8

_NO_WEIGHTS = "All pixels count the same: the image is read part by part, and a picture of weights only as a whole."


class RegionSource(ColorSource, Protocol):
    """The colors of a tiled image, and its regions, on which work can be done wherever they are read."""

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""

    def each(self, work: Callable[[Region], T]) -> list[T]:
        """The results of ``work`` on each region, in the order of ``TiledImage.regions``."""

    def describe(self) -> dict[str, Any]:
        """The result record's field ``spark``."""


@dataclass(frozen=True)
class _RegionSums:
    """Of one region: the exact squared error, the sum of structural similarities, their number, the colors."""

    squared_error: int
    similarity: float
    windows: int
    colors: frozenset[int]


def compress_tiled_image(
    image: TiledImage,
    k: int,
    output: str,
    result: str,
    settings: Settings,
    distribute: Callable[[TiledImage], RegionSource],
    expected_sha256: str | None = None,
    shared: SharedPalette | None = None,
    weights: WeightsFile | None = None,
) -> CompressionResult:
    """Compress one tiled image at one palette size to a tiled palette TIFF; write the output and its record.

    Parameters
    ----------
    image : TiledImage
        Which the workers can open at its path.
    k : int
        The palette size, 1 to 256.
    output, result : str
        Paths of the output, whose suffix becomes ``.tif``, and of the JSON record. Each appears whole or not at all,
        the record last. An output in a bucket is first assembled in this process's folder for temporary files.
    settings : Settings
        Without ``format`` and ``metadata``: the output is a TIFF without metadata. Nor is it compared with other
        formats, since it has no SSIMULACRA2.
    distribute : callable
        Makes the source of the image's regions.
    expected_sha256 : str, optional
        Hash of the file that was planned.
    shared : SharedPalette, optional
        The palette that the image has in common with others. Of a palette with alpha, the output has the opaque
        colors.
    weights : WeightsFile, optional
        A picture of weights has no effect on an image that is read by regions, and the record says so.

    Raises
    ------
    UnsupportedImage
        The image is damaged, or has changed; a retry is useless.
    OSError
        Reading or writing failed for a reason that may go away.
    """
    path = location(output).with_suffix(TILED_SUFFIX)
    clock = Stopwatch()
    with clock("decode"):
        sha256 = sha256_of(image.path)
        if expected_sha256 not in (None, sha256):
            raise changed(image.path)
    with clock("histogram"):
        source = distribute(image)
        unique_colors = source.unique_colors
    fit = None
    with clock("kmeans"):
        if given := settings.colors or (shared and shared.entries):
            solution, _ = impose(source, as_palette(given))
            if not len(solution.palette):
                raise UnsupportedImage(f"{image.path!r}: no color of the palette is opaque; add one.")
            fit = PaletteFit.of(source, shared, settings) if shared else None
        else:
            solution = solve(source, k, settings)
    with workspace(path) as parts:
        with clock("remap"):
            sizes = source.each(_remapping(solution, settings, parts))
        with clock("encode"):
            tiles = _in_order(image, sizes, parts)
            encoded = parts.make(_ENCODED, lambda stream: write_tiled(stream, image, solution.palette, tiles))
        with clock("metrics"):
            measured = _measure(image, encoded, source)
        # The input is read several times, over minutes. The record's hash is true only if the file stayed the same.
        if image.has_changed():
            raise changed(image.path)
        parts.commit(_ENCODED, path)
    record = record_of(
        original=Original(path=image.path, sha256=sha256, bytes=image.bytes, unique_colors=unique_colors),
        k=k,
        settings=settings,
        solution=solution,
        measured=measured,
        output=str(path),
        seconds=clock.stop(),
        spark=source.describe(),
        comparison=dict.fromkeys(settings.compare),
        fit=fit,
        weights=weights,
        notice=_NO_WEIGHTS if weights else None,
    )
    record.write(result)
    return record


def _remapping(solution: Solution, settings: Settings, parts: Workspace) -> Callable[[Region], list[int]]:
    """The work on one region: write its encoded tiles to a file of their own, and return the length of each."""
    palette = solution.palette

    def remap(region: Region) -> list[int]:
        tile = region.image.tile
        remapping = solution.remapping(settings, tile[1], (region.top, region.left))
        pixels = region.pixels()
        indexes = RGB.remap(pixels, palette, remapping)
        if remapping is not None:
            indexes = with_kept_colors(indexes, pixels, palette, settings)
        tiles = encode_tiles(indexes, tile)
        parts.write(_part_name(region), b"".join(tiles))
        return [len(encoded) for encoded in tiles]

    return remap


def _part_name(region: Region) -> str:
    return f"{region.top}-{region.left}.tiles"


def _in_order(image: TiledImage, sizes: list[list[int]], parts: Workspace) -> Iterator[bytes]:
    """The tiles of the whole image, row by row, read from the files of the regions."""
    rows, columns = image.tile
    regions = list(zip(image.regions(), sizes, strict=True))
    with ThreadPoolExecutor(_FETCHERS) as fetchers:
        for top in range(0, image.height, image.region[0]):
            row_of_regions = [(region, lengths) for region, lengths in regions if region.top == top]
            names = [_part_name(region) for region, _ in row_of_regions]
            streams = list(fetchers.map(parts.open, names))
            # Each file has its tiles row by row, so it is read once, from its beginning to its end.
            for row in range(ceil_div(row_of_regions[0][0].bottom - top, rows)):
                for (region, lengths), stream in zip(row_of_regions, streams, strict=True):
                    across = ceil_div(region.right - region.left, columns)
                    for length in lengths[row * across : (row + 1) * across]:
                        yield stream.read(length)
            for stream in streams:
                stream.close()
            list(fetchers.map(parts.remove, names))


def _measure(image: TiledImage, encoded: str, source: RegionSource) -> Measured:
    """Let the workers decode the encoded file and measure it, region by region."""
    compressed = tiled_image_above(encoded, 0)
    assert compressed is not None

    def measure(region: Region) -> _RegionSums:
        top, left = max(0, region.top - HALO), max(0, region.left - HALO)
        bottom, right = min(image.height, region.bottom + HALO), min(image.width, region.right + HALO)
        reference, decoded = (of.read(top, left, bottom, right) for of in (image, compressed))
        inner = slice(region.top - top, region.bottom - top), slice(region.left - left, region.right - left)
        windows = max(0, bottom - top - 2 * HALO) * max(0, right - left - 2 * HALO)
        return _RegionSums(
            squared_error=round(mean_squared_error(reference[inner], decoded[inner]) * reference[inner][..., 0].size),
            similarity=structural_similarity(reference, decoded) * windows if windows else 0.0,
            windows=windows,
            colors=frozenset(count_colors(decoded[inner]).colors.tolist()),
        )

    parts = source.each(measure)
    return Measured(
        width=image.width,
        height=image.height,
        colors_used=len(frozenset().union(*(part.colors for part in parts))),
        mse=sum(part.squared_error for part in parts) / (image.height * image.width),
        ssim=math.fsum(part.similarity for part in parts) / sum(part.windows for part in parts),
        ssimulacra2=None,  # Its coarser scales need the whole image at once.
        compressed_bytes=file_version(encoded).size,
        sha256=sha256_of(encoded),
    )
