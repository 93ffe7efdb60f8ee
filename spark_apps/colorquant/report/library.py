"""The report of a large library: some of its images, distributions, and the table of all jobs on pages of its own."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from colorquant.report.choice import Choice
from colorquant.report.rows import Row
from colorquant.report.summary import Summary

#: Images that the page of the report shows with their pictures.
MAX_IMAGES = 200
#: Rows of a page of the table of all jobs.
PAGE_ROWS = 1000
#: Failures that the page of the report lists; the table of all jobs has all of them.
MAX_FAILURES = 200
ROWS_FOLDER = "rows"
_SHOWN = 8
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_Key = Callable[[Choice, Row | None], float]


@dataclass(frozen=True)
class Group:
    """Images that are extreme in one respect, the most extreme one first."""

    title: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class Spread:
    """The distribution of a measure over the images at one k: its quantiles, and the number of images."""

    k: int
    images: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Page:
    """A page of the table of all jobs: its file below ``ROWS_FOLDER``, and the first and last image on it."""

    file: str
    first: str
    last: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Library:
    """What the page shows of a large library instead of all its images.

    Each of ``spreads`` is a title, a number of decimal places, and a spread for each k.
    """

    groups: list[Group]
    quantiles: list[str]
    spreads: list[tuple[str, int, list[Spread]]]
    pages: list[Page]

    @property
    def shown(self) -> set[str]:
        """The images that the page shows with their pictures."""
        return {image for group in self.groups for image in group.images}


def library_of(summary: Summary) -> Library | None:
    """The parts of a large library's report; None where one page can show all images."""
    if summary.totals.images <= MAX_IMAGES:
        return None
    return Library(
        groups=_groups(summary),
        quantiles=["lowest", *(f"{100 * share:g} %" for share in _QUANTILES[1:-1]), "highest"],
        spreads=[
            ("Compression ratio", 2, _spreads(summary, lambda row: row.compression_ratio)),
            ("PSNR, dB", 2, _spreads(summary, lambda row: row.psnr)),
            ("SSIM", 4, _spreads(summary, lambda row: row.ssim)),
        ],
        pages=list(_pages(summary.rows)),
    )


def _groups(summary: Summary) -> list[Group]:
    measured = {(row.image, row.k): row for row in summary.rows if not row.failed}
    candidates = [(choice, measured.get((choice.image, choice.k)) if choice.k else None) for choice in summary.choices]
    named: dict[str, _Key] = {
        "Most bytes saved": lambda choice, _: choice.bytes - choice.original_bytes,
        "Lowest share of bytes saved": lambda choice, _: -choice.bytes / max(choice.original_bytes, 1),
        "Lowest SSIM": lambda _, row: math.inf if row is None or row.ssim is None else row.ssim,
    }
    groups = []
    for title, key in named.items():
        best = sorted(candidates, key=lambda candidate, key=key: key(*candidate))[:_SHOWN]  # type: ignore[misc]
        groups.append(Group(title, tuple(choice.image for choice, _ in best)))
    return groups


def _spreads(summary: Summary, measure: Callable[[Row], float | None]) -> list[Spread]:
    by_k: dict[int, list[float]] = {}
    for row in summary.rows:
        value = None if row.failed else measure(row)
        if value is not None and row.k is not None:
            by_k.setdefault(row.k, []).append(value)
    return [Spread(k, len(values), _quantiles(sorted(values))) for k, values in sorted(by_k.items())]


def _quantiles(ascending: list[float]) -> tuple[float, ...]:
    """The quantiles without interpolation: each is the value of an image."""
    return tuple(ascending[round(share * (len(ascending) - 1))] for share in _QUANTILES)


def _pages(rows: Sequence[Row]) -> Iterator[Page]:
    for number, start in enumerate(range(0, len(rows), PAGE_ROWS), start=1):
        part = rows[start : start + PAGE_ROWS]
        yield Page(f"{number:04d}.html", part[0].image, part[-1].image, part)
