"""Totals over the rows of a run, for all images and for each k. Standard library only."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from colorquant.limits import Count, PaletteSize
from colorquant.report.choice import Choice, is_low
from colorquant.report.rows import DONE, FAILED, REUSED, Row


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
    by_image: dict[str, list[Row]] = {}
    for row in rows:
        by_image.setdefault(row.image, []).append(row)
    chosen = {choice.image: choice for choice in choices}
    sums = Sums()
    for image, group in by_image.items():
        sums.add(group, chosen.get(image))
    return sums.totals()


class Sums:
    """Adds up the rows of one image after the other. For the medians it keeps 32 bytes for each output."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()
        self._images = self._compressed = self._original = self._smallest = 0
        self._seconds = array("d")
        self._at_k: dict[int, _AtK] = {}
        self._ks: set[int] = set()
        self._chosen = _Chosen()

    def add(self, rows: Sequence[Row], choice: Choice | None) -> None:
        """Add all rows of an image, and its choice."""
        measured = [row for row in rows if not row.failed]
        self._states.update(row.state for row in rows)
        self._images += 1
        if measured:
            self._compressed += 1
            self._original += measured[-1].original_bytes or 0
            self._smallest += min(row.compressed_bytes or 0 for row in measured)
        self._seconds.extend(row.seconds or 0 for row in measured if row.state == DONE)
        for row in rows:
            if row.k is not None:
                self._at_k.setdefault(row.k, _AtK()).add(row)
                if not row.target:
                    self._ks.add(row.k)
        if choice:
            self._chosen.add(choice, [row for row in measured if row.k == choice.k])

    def totals(self) -> Totals:
        """The totals of all that was added."""
        return Totals(
            jobs=self._states.total(),
            done=self._states[DONE],
            reused=self._states[REUSED],
            failed=self._states[FAILED],
            images=self._images,
            images_compressed=self._compressed,
            original_bytes=self._original,
            smallest_bytes=self._smallest,
            smallest_ratio=_ratio(self._original, self._smallest),
            seconds=math.fsum(self._seconds),
            by_k=tuple(self._at_k[k].totals(k) for k in sorted(self._ks)),
            chosen=self._chosen.totals(),
        )


class _AtK:
    def __init__(self) -> None:
        self._failed = self._lossless = self._original = self._compressed = self._images = 0
        self._psnr, self._ssim, self._bits = array("d"), array("d"), array("d")

    def add(self, row: Row) -> None:
        if row.failed:
            self._failed += 1
            return
        self._images += 1
        self._lossless += bool(row.lossless)
        self._original += row.original_bytes or 0
        self._compressed += row.compressed_bytes or 0
        self._psnr.append(row.psnr)
        _append(self._ssim, row.ssim)
        _append(self._bits, row.bits_per_pixel)

    def totals(self, k: int) -> KTotals:
        return KTotals(
            k=k,
            images=self._images,
            failed=self._failed,
            lossless=self._lossless,
            original_bytes=self._original,
            compressed_bytes=self._compressed,
            compression_ratio=_ratio(self._original, self._compressed),
            median_psnr_db=_median(self._psnr),
            median_ssim=_median(self._ssim),
            median_bits_per_pixel=_median(self._bits),
        )


class _Chosen:
    def __init__(self) -> None:
        self._images = self._kept = self._original = self._bytes = self._low = 0
        self._psnr, self._ssim = array("d"), array("d")

    def add(self, choice: Choice, rows: Sequence[Row]) -> None:
        self._images += 1
        self._kept += choice.k is None
        self._original += choice.original_bytes
        self._bytes += choice.bytes
        for row in rows:
            self._low += is_low(row)
            self._psnr.append(row.psnr)
            _append(self._ssim, row.ssim)

    def totals(self) -> ChosenTotals:
        return ChosenTotals(
            images=self._images,
            originals_kept=self._kept,
            original_bytes=self._original,
            bytes=self._bytes,
            ratio=_ratio(self._original, self._bytes),
            median_psnr_db=_median(self._psnr),
            median_ssim=_median(self._ssim),
            low_quality=self._low,
        )


def _append(values: "array[float]", value: float | None) -> None:
    if value is not None:
        values.append(value)


def _ratio(original: int, compressed: int) -> float | None:
    return original / compressed if compressed else None


def _median(values: "array[float]") -> float | None:
    middle = median(values) if values else math.inf
    return middle if math.isfinite(middle) else None
