"""What a run gained: totals over its rows, for the whole library and for each k. Standard library only."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

from colorquant.report.choice import Choice
from colorquant.report.rows import DONE, REUSED, Row


@dataclass(frozen=True, kw_only=True)
class KTotals:
    """All images at one k. Bytes count the ``images`` that have an output at this k, so before and after compare.

    ``median_psnr_db`` is None where there is no output, or where half of them or more are lossless (infinite PSNR).
    """

    k: int
    images: int
    failed: int
    lossless: int
    original_bytes: int
    compressed_bytes: int
    compression_ratio: float | None
    median_psnr_db: float | None
    median_ssim: float | None
    median_bits_per_pixel: float | None


@dataclass(frozen=True, kw_only=True)
class ChosenTotals:
    """What is published: for each image with an output the chosen one, or the original where none is worth it.

    ``images`` counts both, ``originals_kept`` the latter. The medians are those of the chosen outputs alone.
    """

    images: int
    originals_kept: int
    original_bytes: int
    bytes: int
    ratio: float | None
    median_psnr_db: float | None
    median_ssim: float | None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """The whole run; ``jobs = done + reused + failed``.

    ``images`` counts those planned, ``images_compressed`` those with an output at one k at least. ``original_bytes``
    counts each of the latter once, and ``smallest_bytes`` the smallest output of each. ``seconds`` is the sum of the
    jobs' own times that this run spent (reused ones cost nothing). ``by_k`` leaves out jobs that searched for their k.
    ``chosen`` is None in summaries from before there was a choice.
    """

    jobs: int
    done: int
    reused: int
    failed: int
    images: int
    images_compressed: int
    original_bytes: int
    smallest_bytes: int
    smallest_ratio: float | None
    seconds: float
    by_k: tuple[KTotals, ...]
    chosen: ChosenTotals | None = None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The totals of parsed JSON."""
        chosen = content.get("chosen")
        return cls(
            **content
            | {
                "by_k": tuple(KTotals(**part) for part in content["by_k"]),
                "chosen": chosen and ChosenTotals(**chosen),
            }
        )


def totals_of(rows: Sequence[Row], choices: Sequence[Choice] = ()) -> Totals:
    """Sum up rows, and what was chosen of them."""
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
            _at_k(k, [row for row in rows if row.k == k]) for k in sorted({row.k for row in rows if not row.target})
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
        median_psnr_db=_median(math.inf if row.psnr_db is None else row.psnr_db for row in published),
        median_ssim=_median(row.ssim for row in published),
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
        median_psnr_db=_median(math.inf if row.psnr_db is None else row.psnr_db for row in measured),
        median_ssim=_median(row.ssim for row in measured),
        median_bits_per_pixel=_median(row.bits_per_pixel for row in measured),
    )


def _ratio(original: int, compressed: int) -> float | None:
    return original / compressed if compressed else None


def _median(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    middle = median(numbers) if numbers else math.inf
    return middle if math.isfinite(middle) else None
