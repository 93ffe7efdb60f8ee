"""The way of one image: decode, histogram, search and refinement, remap, encode, measure, commit."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from colorquant import metrics
from colorquant.color_model import Remapping
from colorquant.files import write_atomically
from colorquant.images import DecodedImage, UnsupportedImage, changed, decode_output, read_image
from colorquant.indexed_png import encode_indexed_png
from colorquant.jobs import DEFAULT_MAX_PIXELS
from colorquant.lossless_webp import MAX_SIDE, encode_lossless_webp
from colorquant.metadata import Metadata
from colorquant.records import CompressionResult
from colorquant.settings import Settings
from colorquant.solver import ColorSource, Solution, palette_eye, solve
from colorquant.stopwatch import Stopwatch
from colorquant.target import MOST_K, Search, Target, smallest_k


class Source(ColorSource, Protocol):
    """An image that the pipeline can count, solve for and remap, wherever its pixels are."""

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""

    def remap(self, palette: np.ndarray, remapping: Remapping = None) -> np.ndarray:
        """Index map uint8 (H, W)."""

    def describe(self) -> dict[str, Any]:
        """What the result record says of Spark."""


@dataclass(frozen=True)
class OpenedImage:
    """An image that is decoded and counted: what all its k have in common."""

    image: str
    decoded: DecodedImage
    source: Source
    unique_colors: int


def compress_image(
    image: str,
    k: int | Target,
    output: str,
    result: str | None,
    settings: Settings,
    distribute: Callable[[np.ndarray], Source],
    expected_sha256: str | None = None,
    must_reach: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> CompressionResult:
    """Compress one image at one palette size, or at the smallest that reaches a target, and commit output and record.

    Parameters
    ----------
    image : path of the image file, which is only read.
    output, result : paths of the indexed PNG and of the JSON record. Each appears whole or not at all, the record last;
        without a path no record is written.
    distribute : makes the source of pixels uint8 (H, W, 3 or 4); called after the image is found to be good.
    expected_sha256 : hash of the file that was planned.
    max_pixels : an image with more is refused before it is decoded.
    must_reach : refuse the image where no palette reaches the target; else its output has the largest palette then.

    Raises
    ------
    UnsupportedImage
        The image cannot be compressed, and trying again is useless.
    OSError
        Reading or writing failed in a way that may go away.
    """
    clock = Stopwatch()
    opened = open_image(image, distribute, clock, expected_sha256, max_pixels)
    compressed = compress_opened(opened, k, output, settings, clock, must_reach)
    compressed.commit(result)
    return compressed.record


def open_image(
    image: str,
    distribute: Callable[[np.ndarray], Source],
    clock: Stopwatch,
    expected_sha256: str | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> OpenedImage:
    """Decode an image and count its colors, once for all its k. Parameters and errors as of ``compress_image``."""
    with clock("decode"):
        decoded = read_image(image, max_pixels)
        if expected_sha256 not in (None, decoded.sha256):
            raise changed(image)
    with clock("histogram"):
        source = distribute(decoded.pixels)
        return OpenedImage(image, decoded, source, source.unique_colors)


@dataclass(frozen=True)
class Compressed:
    """An image's output and its record, which are not written yet."""

    encoded: bytes
    record: CompressionResult

    def commit(self, result: str | None) -> None:
        """Write the output, and after it the record to ``result``; without a path no record. Raises OSError."""
        write_atomically(self.record.output, self.encoded)
        if result is not None:
            self.record.write(result)


def compress_opened(
    opened: OpenedImage,
    k: int | Target,
    output: str,
    settings: Settings,
    clock: Stopwatch,
    must_reach: bool = False,
) -> Compressed:
    """Do the rest of ``compress_image``, but for writing, for an image that is open already."""
    source, pixels = opened.source, opened.decoded.pixels
    if settings.format == "webp" and max(pixels.shape[:2]) > MAX_SIDE:
        raise UnsupportedImage(
            f"{opened.image!r} has {pixels.shape[1]} x {pixels.shape[0]} pixels, and WebP at most {MAX_SIDE:,} a side; "
            "choose the format png."
        )
    with clock("kmeans"):
        found = None
        if isinstance(k, Target):
            target, (search, solution, indexes) = k, _search(k, pixels, source, settings)
            if must_reach and not search.reached:
                raise UnsupportedImage(_out_of_reach(opened.image, target, search))
            k, found = search.k, _found(target, search)
        else:
            solution = solve(source, k, settings.seed, settings.color_space, eye=palette_eye(settings))
    if found is None:
        with clock("remap"):
            indexes = _remap(source, solution, settings, pixels)
    with clock("encode"):
        encoded = _encode(solution.palette, indexes, settings, opened.decoded.metadata)
    with clock("metrics"):
        measured = _measure(opened.decoded, encoded)
    record = CompressionResult(
        image=opened.image,
        image_sha256=opened.decoded.sha256,
        unique_colors=opened.unique_colors,
        k=k,
        seed=settings.seed,
        settings=settings.as_record(),
        **_solved(solution),
        **measured,
        output=output,
        seconds=clock.stop(),
        spark=source.describe(),
        search=found,
    )
    return Compressed(encoded, record)


def _encode(palette: np.ndarray, indexes: np.ndarray, settings: Settings, metadata: Metadata) -> bytes:
    kept = metadata if settings.metadata == "copyright" else metadata.resolution_alone()
    if settings.format == "webp":
        return encode_lossless_webp(palette, indexes, kept.as_exif())
    return kept.into_png(encode_indexed_png(palette, indexes))


def _search(
    target: Target, pixels: np.ndarray, source: Source, settings: Settings
) -> tuple[Search, Solution, np.ndarray]:
    """What is found, with the solution and the index map of its k. The file is not encoded before its k is known."""
    found: dict[int, tuple[Solution, np.ndarray]] = {}

    def quality_of(k: int) -> float:
        solution = solve(source, k, settings.seed, settings.color_space, eye=palette_eye(settings))
        indexes = _remap(source, solution, settings, pixels)
        value = metrics.quality(target.measure, pixels, solution.palette[indexes])
        # The largest k is tried first; after it, the result can only be one that reaches the target.
        if not found or target.reached_by(value) and k < min(found):
            found.clear()
            found[k] = solution, indexes
        return value

    search = smallest_k(target, quality_of, most=min(MOST_K, source.unique_colors))
    return search, *found[search.k]


def _remap(source: Source, solution: Solution, settings: Settings, pixels: np.ndarray) -> np.ndarray:
    return source.remap(solution.palette, solution.remapping(settings, pixels.shape[1]))


def _found(target: Target, search: Search) -> dict[str, Any]:
    tried = [[k, value if math.isfinite(value) else None] for k, value in search.tried.items()]
    return {"target": str(target), "reached": search.reached, "tried": tried}


def _out_of_reach(image: str, target: Target, search: Search) -> str:
    best = f"{target.name} {target.text(search.tried[search.k])}"
    return f"{image!r}: no palette reaches {target.title} (k = {search.k} has {best}); lower the target."


def _solved(solution: Solution) -> dict[str, Any]:
    return {
        "iterations": solution.iterations,
        "converged": solution.converged,
        "inertia": int(solution.inertia),
    }


def _measure(original: DecodedImage, encoded: bytes) -> dict[str, Any]:
    """Figures of the encoded file, decoded again: what a viewer will see, not what the solver believes."""
    pixels = decode_output(encoded, alpha=original.pixels.shape[2] == 4)
    height, width = pixels.shape[:2]
    mse = metrics.mean_squared_error(original.pixels, pixels)
    return {
        **metrics.figures(width, height, mse, original.original_bytes, len(encoded)),
        "colors_used": metrics.count_colors(pixels),
        "ssim": metrics.structural_similarity(original.pixels, pixels),
        "ssimulacra2": metrics.perceptual_similarity(original.pixels, pixels),
        "output_sha256": hashlib.sha256(encoded).hexdigest(),
    }
