"""The report of a large library: some of its images, distributions, and the table of all jobs on pages of its own."""

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from colorquant.arithmetic import ceil_div
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
_MAX_CANDIDATES = 1000
# Of the report to pages: some 0.1 MB.
_MAX_LINKS = 500
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
    def links(self) -> list[Page]:
        """The pages that the report links to: all, or of very many each first one of some that follow one another."""
        step = ceil_div(len(self.pages), _MAX_LINKS)
        groups = [self.pages[start : start + step] for start in range(0, len(self.pages), step)]
        return [Page(group[0].file, group[0].first, group[-1].last) for group in groups]

    @property
    def shown(self) -> set[str]:
        """The images that the page shows with their pictures."""
        return {image for group in self.groups for image in group.images}


def library_of(summary: Summary) -> Library | None:
    """The parts of a large library's report; None where one page can show all images."""
    if summary.totals.images <= MAX_IMAGES:
        return None
    groups = _Groups()
    spreads = _Spreads()
    pages = _Pages()
    for rows, choice in summary.by_image():
        if choice:
            row = next((row for row in rows if choice.k and row.k == choice.k and not row.failed), None)
            groups.add(choice, row)
        for row in rows:
            spreads.add(row)
            pages.add(row)
    return Library(
        groups=groups.groups(),
        quantiles=["lowest", *(f"{100 * share:g} %" for share in _QUANTILES[1:-1]), "highest"],
        spreads=spreads.spreads(),
        pages=pages.pages,
    )


def rows_by_page(summary: Summary) -> Iterator[list[Row]]:
    """The rows of each page of the table of all jobs."""
    rows = iter(summary.rows)
    while part := list(islice(rows, PAGE_ROWS)):
        yield part


class _Groups:
    """Finds the images that are extreme; of equal ones those that were added first."""

    def __init__(self) -> None:
        self._best: dict[str, list[tuple[float, str]]] = {title: [] for title in _EXTREMES}

    def add(self, choice: Choice, row: Row | None) -> None:
        for title, key in _EXTREMES.items():
            best = self._best[title]
            best.append((key(choice, row), choice.image))
            if len(best) >= _MAX_CANDIDATES:
                self._best[title] = _first(best)

    def groups(self) -> list[Group]:
        return [Group(title, tuple(image for _, image in _first(best))) for title, best in self._best.items()]


def _first(candidates: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return sorted(candidates, key=lambda candidate: candidate[0])[:_SHOWN]


class _Spreads:
    """Collects the values of each measure at each k, 8 bytes each."""

    def __init__(self) -> None:
        self._values: dict[str, dict[int, array[float]]] = {title: {} for title in _MEASURES}

    def add(self, row: Row) -> None:
        if row.failed or row.k is None:
            return
        for title, (_, measure) in _MEASURES.items():
            if (value := measure(row)) is not None:
                self._values[title].setdefault(row.k, array("d")).append(value)

    def spreads(self) -> list[tuple[str, int, list[Spread]]]:
        return [
            (title, digits, [Spread(k, len(found), _quantiles(sorted(found))) for k, found in sorted(values.items())])
            for (title, values), (digits, _) in zip(self._values.items(), _MEASURES.values(), strict=True)
        ]


def _quantiles(ascending: list[float]) -> tuple[float, ...]:
    """The quantiles without interpolation: each is the value of an image."""
    return tuple(ascending[round(share * (len(ascending) - 1))] for share in _QUANTILES)


class _Pages:
    """Cuts rows into pages."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self._rows = 0

    def add(self, row: Row) -> None:
        if self._rows % PAGE_ROWS == 0:
            self.pages.append(Page(f"{len(self.pages) + 1:04d}.html", row.image, row.image))
        self.pages[-1] = replace(self.pages[-1], last=row.image)
        self._rows += 1


_EXTREMES: dict[str, _Key] = {
    "Most bytes saved": lambda choice, _: choice.bytes - choice.original_bytes,
    "Lowest share of bytes saved": lambda choice, _: -choice.bytes / max(choice.original_bytes, 1),
    "Lowest SSIM": lambda _, row: math.inf if row is None or row.ssim is None else row.ssim,
}
_MEASURES: dict[str, tuple[int, Callable[[Row], float | None]]] = {
    "Compression ratio": (2, lambda row: row.compression_ratio),
    "PSNR, dB": (2, lambda row: row.psnr),
    "SSIM": (4, lambda row: row.ssim),
}
