"""The way of one image that is too large for a process: every pass over its pixels is done by the workers, by regions.

The steps are those of ``pipeline``. Workers read the input themselves and write encoded tiles beside the output, so
they must see both folders; what passes the driver is the histogram's cells, sums, and the encoded bytes.
"""

import math
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from colorquant import metrics
from colorquant.color_model import RGB
from colorquant.files import sha256_of, temporary_folder
from colorquant.histogram import count_colors
from colorquant.images import changed
from colorquant.jobs import TILED_SUFFIX
from colorquant.records import CompressionResult
from colorquant.settings import Settings
from colorquant.solver import ColorSource, Solution, palette_eye, solve
from colorquant.stopwatch import Stopwatch
from colorquant.tiles import Region, TiledImage, encode_tiles, tiled_image_above, write_tiled

T = TypeVar("T")


class RegionSource(ColorSource, Protocol):
    """The colors of a tiled image, and a way to have its regions worked on."""

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""

    def each(self, work: Callable[[Region], T]) -> list[T]:
        """What ``work`` makes of each region, in their order."""

    def describe(self) -> dict[str, Any]:
        """What the result record says of Spark."""


@dataclass(frozen=True)
class _Measured:
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
) -> CompressionResult:
    """Compress one tiled image at one palette size to a tiled palette TIFF, and commit the output and its record.

    Parameters
    ----------
    output : path of the output; its suffix becomes ``.tif``, whatever it is.
    other parameters, and what is raised : as of ``pipeline.compress_image``.
    """
    target = Path(output).with_suffix(TILED_SUFFIX)
    clock = Stopwatch()
    with clock("decode"):
        sha256, original_bytes = sha256_of(image.path), os.path.getsize(image.path)
        if expected_sha256 not in (None, sha256):
            raise changed(image.path)
    with clock("histogram"):
        source = distribute(image)
        unique_colors = source.unique_colors
    with clock("kmeans"):
        solution = solve(source, k, settings.seed, settings.color_space, eye=palette_eye(settings))
    with temporary_folder(target.parent) as folder:
        with clock("remap"):
            sizes = source.each(_remapping(solution, settings, folder))
        with clock("encode"):
            encoded = folder / "image.tif"
            write_tiled(encoded, image, solution.palette, _in_order(image, sizes, folder))
        with clock("metrics"):
            measured = _measure(image, original_bytes, encoded, source)
        with open(encoded, "rb+") as stream:
            os.fsync(stream.fileno())
        # It is read several times, for minutes: the record's hash is that of the pixels only if it stayed the same.
        if image.has_changed():
            raise changed(image.path)
        os.replace(encoded, target)
    record = CompressionResult(
        image=image.path,
        image_sha256=sha256,
        unique_colors=unique_colors,
        k=k,
        seed=settings.seed,
        settings=settings.as_record(),
        iterations=solution.iterations,
        converged=solution.converged,
        inertia=int(solution.inertia),
        **measured,
        output=str(target),
        seconds=clock.stop(),
        spark=source.describe(),
    )
    record.write(result)
    return record


def _remapping(solution: Solution, settings: Settings, folder: Path) -> Callable[[Region], list[int]]:
    """What workers do: write the encoded tiles of a region to a file, and say how long each is."""
    palette = solution.palette

    def remap(region: Region) -> list[int]:
        tile = region.image.tile
        remapping = solution.remapping(settings, tile[1], (region.top, region.left))
        indexes = RGB.remap(region.pixels(), palette, remapping)
        tiles = encode_tiles(indexes, tile)
        # Another try of the same task may be alive.
        temporary = folder / f"{uuid.uuid4().hex}.part"
        temporary.write_bytes(b"".join(tiles))
        os.replace(temporary, folder / _part_name(region))
        return [len(encoded) for encoded in tiles]

    return remap


def _part_name(region: Region) -> str:
    return f"{region.top}-{region.left}.tiles"


def _in_order(image: TiledImage, sizes: list[list[int]], folder: Path) -> Iterator[bytes]:
    """The tiles of the whole image, row by row, out of the files of the regions."""
    rows, columns = image.tile
    regions = list(zip(image.regions(), sizes, strict=True))
    for top in range(0, image.height, image.region[0]):
        beside = [(region, lengths) for region, lengths in regions if region.top == top]
        parts = [(folder / _part_name(region)).open("rb") for region, _ in beside]
        # Each part has its tiles row by row, so every file is read from its beginning to its end.
        for row in range(-(-(beside[0][0].bottom - top) // rows)):
            for (region, lengths), part in zip(beside, parts, strict=True):
                across = -(-(region.right - region.left) // columns)
                for length in lengths[row * across : (row + 1) * across]:
                    yield part.read(length)
        for part in parts:
            part.close()
            os.unlink(part.name)


def _measure(image: TiledImage, original_bytes: int, encoded: Path, source: RegionSource) -> dict[str, Any]:
    """Figures of the encoded file, decoded again by the workers."""
    compressed = tiled_image_above(str(encoded), 0)
    assert compressed is not None

    def measure(region: Region) -> _Measured:
        top, left = max(0, region.top - metrics.HALO), max(0, region.left - metrics.HALO)
        bottom, right = min(image.height, region.bottom + metrics.HALO), min(image.width, region.right + metrics.HALO)
        reference, decoded = (of.read(top, left, bottom, right) for of in (image, compressed))
        inner = slice(region.top - top, region.bottom - top), slice(region.left - left, region.right - left)
        windows = max(0, bottom - top - 2 * metrics.HALO) * max(0, right - left - 2 * metrics.HALO)
        return _Measured(
            squared_error=round(
                metrics.mean_squared_error(reference[inner], decoded[inner]) * reference[inner][..., 0].size
            ),
            similarity=metrics.structural_similarity(reference, decoded) * windows if windows else 0.0,
            windows=windows,
            colors=frozenset(count_colors(decoded[inner]).colors.tolist()),
        )

    parts = source.each(measure)
    mse = sum(part.squared_error for part in parts) / (image.height * image.width)
    return {
        **metrics.figures(image.width, image.height, mse, original_bytes, encoded.stat().st_size),
        "colors_used": len(frozenset().union(*(part.colors for part in parts))),
        "ssim": math.fsum(part.similarity for part in parts) / sum(part.windows for part in parts),
        "output_sha256": sha256_of(encoded),
    }
