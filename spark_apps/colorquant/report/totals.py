"""Totals over the rows of a run, for all images and for each k. Standard library only."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from colorquant.limits import Count, PaletteSize
from colorquant.report.choice import Choice, is_low
from colorquant.report.rows import DONE, REUSED, Row


@dataclass(frozen=True, kw_only=True)
class KTotals:
    """All images at one k.

    Sizes in bytes are sums over the ``images`` that have an output at this k, so original and compressed sizes can be
    compared. ``median_psnr_db`` is None where there is no output, or where at least half of them are lossless, which
    is an infinite PSNR.
    """

    k: PaletteSize
    images: Count
    failed: Count
    lossless: Count
    original_bytes: Count
    compressed_bytes: Count
    compression_ratio: float | None
    median_psnr_db: float | None
    median_ssim: float | None
    median_bits_per_pixel: float | None


@dataclass(frozen=True, kw_only=True)
class ChosenTotals:
    """The files to publish: for each image with an output the chosen one, or the original.

    ``images`` counts both, ``originals_kept`` the originals. The medians are over the chosen outputs only.
    ``low_quality`` counts the chosen outputs with less than ``choice.WANTED``, which only the user's own target allows;
    None in summaries of versions that did not count them.
    """

    images: Count
    originals_kept: Count
    original_bytes: Count
    bytes: Count
    ratio: float | None
    median_psnr_db: float | None
    median_ssim: float | None
    low_quality: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The whole run; ``jobs = done + reused + failed``.

    ``images`` counts the planned images, ``images_compressed`` those with at least one output. ``original_bytes`` is
    the sum over the latter, ``smallest_bytes`` the sum of their smallest outputs. ``seconds`` is the sum of the times
    of the jobs that this run computed. ``by_k`` has no jobs with a target. ``chosen`` is None in summaries of versions
    that did not choose.
    """

    jobs: Count
    done: Count
    reused: Count
    failed: Count
    images: Count
    images_compressed: Count
    original_bytes: Count
    smallest_bytes: Count
    smallest_ratio: float | None
    seconds: float
    by_k: tuple[KTotals, ...]
    chosen: ChosenTotals | None = None


def totals_of(rows: Sequence[Row], choices: Sequence[Choice] = ()) -> Totals:
    """The totals of a run's rows, and of the choices among them."""
    measured = [row for row in rows if not row.failed]
    original = {row.image: row.original_bytes or 0 for row in measured}
    smallest: dict[str, int] = {}
    for row in measured:
        smallest[row.image] = min(row.compressed_bytes or 0, smallest.get(row.image, row.compressed_bytes or 0))
    states = [row.state for row in rows]
    return Totals(
        jobs=len(rows),
        done=states.count(DONE),
        reused=states.count(REUSED),
        failed=len(rows) - len(measured),
        images=len({row.image for row in rows}),
        images_compressed=len(original),
        original_bytes=sum(original.values()),
        smallest_bytes=sum(smallest.values()),
        smallest_ratio=_ratio(sum(original.values()), sum(smallest.values())),
        seconds=math.fsum(row.seconds or 0 for row in measured if row.state == DONE),
        by_k=tuple(
            _at_k(k, [row for row in rows if row.k == k])
            for k in sorted({row.k for row in rows if row.k is not None and not row.target})
        ),
        chosen=_chosen(rows, choices),
    )


def _chosen(rows: Sequence[Row], choices: Sequence[Choice]) -> ChosenTotals:
    outputs = {(choice.image, choice.k) for choice in choices}
    published = [row for row in rows if (row.image, row.k) in outputs and not row.failed]
    before, after = sum(choice.original_bytes for choice in choices), sum(choice.bytes for choice in choices)
    return ChosenTotals(
        images=len(choices),
        originals_kept=sum(choice.k is None for choice in choices),
        original_bytes=before,
        bytes=after,
        ratio=_ratio(before, after),
        median_psnr_db=_median(row.psnr for row in published),
        median_ssim=_median(row.ssim for row in published),
        low_quality=sum(map(is_low, published)),
    )


def _at_k(k: int, rows: Sequence[Row]) -> KTotals:
    measured = [row for row in rows if not row.failed]
    original = sum(row.original_bytes or 0 for row in measured)
    compressed = sum(row.compressed_bytes or 0 for row in measured)
    return KTotals(
        k=k,
        images=len(measured),
        failed=len(rows) - len(measured),
        lossless=sum(bool(row.lossless) for row in measured),
        original_bytes=original,
        compressed_bytes=compressed,
        compression_ratio=_ratio(original, compressed),
        median_psnr_db=_median(row.psnr for row in measured),
        median_ssim=_median(row.ssim for row in measured),
        median_bits_per_pixel=_median(row.bits_per_pixel for row in measured),
    )


def _ratio(original: int, compressed: int) -> float | None:
    return original / compressed if compressed else None


def _median(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    middle = median(numbers) if numbers else math.inf
    return middle if math.isfinite(middle) else None
