"""The page of the report: one HTML file that loads nothing, and that is complete without its script."""

import base64
import dataclasses
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from colorquant.report.choice import WANTED, Choice
from colorquant.report.library import MAX_FAILURES, ROWS_FOLDER, Library
from colorquant.report.plots import distortion_plot, ratio_plot, search_plot
from colorquant.report.previews import Picture
from colorquant.report.repetition import Repetition
from colorquant.report.rows import Row, k_text
from colorquant.report.summary import Summary
from colorquant.report.templates import environment
from colorquant.target import Target
from colorquant.text import printable

# All pictures of a page. Base64 adds a third to it; with text and plots a page has less than 15 MB.
_MAX_PICTURES_BYTES = 7_600_000
_MAX_PICTURE_BYTES = 160_000
_MAX_LISTED = 20
# Compression ratios of Table 1 of the original work: one 1024 x 768 JPEG, output saved as JPEG.
_PUBLISHED_RATIOS = {2: 5.14, 4: 3.69, 8: 2.89, 16: 2.54, 30: 2.47}
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class ImageSection:
    """What the page shows of one image.

    ``number`` counts the images of the plan from 1. ``thumbnail`` is a small picture of the original. ``pictures`` and
    ``palettes`` have the outputs and their palettes by k. ``contact_sheet`` is a path relative to the page.
    ``transparent`` is whether a pixel of a picture is not opaque.
    """

    number: int
    name: str
    rows: list[Row]
    choice: Choice | None
    original: Picture | None
    thumbnail: Picture | None
    pictures: dict[int, Picture]
    palettes: dict[int, str]
    contact_sheet: str | None
    transparent: bool = False

    @property
    def measured(self) -> Row | None:
        """The first row with figures, those of the original among them; None where all rows failed."""
        return next((row for row in self.rows if not row.failed), None)

    @property
    def chosen(self) -> Row | None:
        """The row of the chosen output; None where the original is kept."""
        return next((row for row in self.rows if self.choice and not row.failed and row.k == self.choice.k), None)

    @property
    def gain(self) -> int | None:
        """Bytes that the choice saves; None where there is no output."""
        return self.choice.original_bytes - self.choice.bytes if self.choice else None

    @property
    def plots(self) -> list[Markup]:
        """The image's curves, with the chosen point marked."""
        k = self.choice.k if self.choice else None
        searched = [row for row in self.rows if row.tried]
        if searched:
            return [search_plot(row, k) for row in searched]
        if sum(not row.failed for row in self.rows) < 2:
            return []
        rows = {self.name: self.rows}
        return [distortion_plot(rows, marked=k), ratio_plot(rows, marked=k)]


def picture_budget(count: int) -> int:
    """Largest size in bytes of each of ``count`` pictures.

    It goes down in steps of some 10 %: pictures of a library that gains an image need not be made again.
    """
    budget = min(_MAX_PICTURE_BYTES, _MAX_PICTURES_BYTES // max(count, 1))
    step = 1 << max(0, budget.bit_length() - 4)
    return budget // step * step


def rows_html(summary: Summary, library: Library, number: int, rows: Sequence[Row]) -> str:
    """The text of a page of the table of all jobs, with its rows; ``number`` counts from 1."""
    pages = library.pages
    template = _environment().get_template("rows.html.j2")
    return template.render(summary=summary, pages=pages, number=number, page=pages[number - 1], rows=rows)


def repetition_html(repetition: Repetition) -> str:
    """The text of ``summary.html`` of a run in which nothing is new."""
    return _environment().get_template("repetition.html.j2").render(dataclasses.asdict(repetition))


def page_html(summary: Summary, sections: list[ImageSection], library: Library | None = None) -> str:
    """The text of ``summary.html``. Names and reasons are escaped wherever they appear.

    Parameters
    ----------
    summary : Summary
        The results of the run.
    sections : list of ImageSection
        The images that the page shows: all, or some of a large library.
    library : Library, optional
        What the page shows of a large library instead of the other images.
    """
    measured = {section.name: section.rows for section in sections if section.measured}
    by_k = [part for part in summary.totals.by_k if part.images]
    several = len(measured) > 1
    failures, failure_count = summary.first_failures(MAX_FAILURES)
    script, script_hash = page_script()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            summary=summary,
            totals=summary.totals,
            target=Target.parse(summary.target).title if summary.target else None,
            by_k=by_k,
            sections=sections,
            by_gain=sorted(sections, key=lambda section: (section.gain is None, -(section.gain or 0))),
            library=library,
            numbers={section.name: section.number for section in sections},
            failures=failures,
            failure_count=failure_count,
            unreadable=list(summary.unreadable.items()),
            max_failures=MAX_FAILURES,
            rows_folder=ROWS_FOLDER,
            infinite=math.inf,
            wanted=f"{WANTED.value:g}",
            measured=measured,
            # The table that needs it has all images.
            chosen={} if library else {choice.image: choice.k for choice in summary.choices},
            published=_PUBLISHED_RATIOS,
            script=Markup(script),
            script_hash=script_hash,
            library_plots=[
                plot(measured, by_k) for plot in (ratio_plot, distortion_plot) if several and len(summary.ks) > 1
            ],
            has_transparency=any(section.transparent for section in sections),
            has_previews=any(not picture.whole for section in sections for picture in section.pictures.values()),
        )
    )


def page_script() -> tuple[str, str]:
    """The page's script, and its hash for a content security policy."""
    script = (Path(__file__).parent / "page.js").read_text()
    return script, f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    made = environment(Path(__file__).parent)
    made.filters |= {
        "lines": _lines,
        "href": _href,
        "percent": _percent,
        "listed": _listed,
        "setting": _setting,
        "zip": zip,
    }
    made.globals |= {"saved": _saved}
    return made


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())


def _href(path: str) -> str:
    """A relative path as a URL, with the bytes of names that are not UTF-8."""
    return quote(os.fsencode(path))


def _percent(fraction: float) -> str:
    """A share in whole percent, but more than 0 % for any gain, and less than 100 % for any rest."""
    percent = 100 * fraction
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{min(max(percent, 0.1), 99.9):.1f} %"
    return f"{percent:.0f} %".replace("-", _MINUS)


def _saved(original: int, compressed: int) -> float:
    """The share of the bytes that is saved; negative where the output is larger."""
    return 1 - compressed / original if original else 0.0


def _setting(value: object) -> str:
    if value in (None, []):
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _listed(ks: Sequence[int | None]) -> str:
    shown = [k_text(k) for k in ks]
    if len(shown) > _MAX_LISTED:
        shown[3:-1] = ["\N{HORIZONTAL ELLIPSIS}"]
        return f"{', '.join(shown)} ({len(ks)} sizes)"
    return ", ".join(shown)
