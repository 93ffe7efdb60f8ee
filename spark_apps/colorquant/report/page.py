"""The report's page: one HTML file that needs no network, and is whole without its script."""

import base64
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from colorquant.report.choice import Choice
from colorquant.report.library import MOST_FAILURES, ROWS_FOLDER, Library
from colorquant.report.plots import distortion_plot, ratio_plot, search_plot
from colorquant.report.previews import Picture
from colorquant.report.rows import Row
from colorquant.report.summary import Summary
from colorquant.report.templates import environment
from colorquant.target import Target
from colorquant.text import printable

#: Bytes of all pictures of a page. Base64 makes a third more of it; with text and plots a page stays under 15 MB.
_PICTURE_BYTES = 7_600_000
_LARGEST_PICTURE = 160_000
_MOST_LISTED = 20
#: Compression ratios of the original work's Table 1: one 1024 x 768 JPEG, output saved as JPEG.
_PUBLISHED_RATIOS = {2: 5.14, 4: 3.69, 8: 2.89, 16: 2.54, 30: 2.47}
_MINUS, _DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


@dataclass(frozen=True)
class ImageSection:
    """What the page shows of one image. ``pictures`` and ``palettes`` go by k; ``contact_sheet`` is a relative path.

    ``number`` is the image's place in the plan, and ``thumbnail`` a small picture of the original.
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

    @property
    def measured(self) -> Row | None:
        """A row that has the figures of the original, if any has."""
        return next((row for row in self.rows if not row.failed), None)

    @property
    def chosen(self) -> Row | None:
        """The row of the chosen output; None where the original stays."""
        return next((row for row in self.rows if self.choice and row.k == self.choice.k), None)

    @property
    def gain(self) -> int:
        """Bytes that the choice saves; -1 where there is no output to choose."""
        return self.choice.original_bytes - self.choice.bytes if self.choice else -1

    @property
    def plots(self) -> list[Markup]:
        """The image's curves, the chosen point marked."""
        k = self.choice.k if self.choice else None
        searched = [row for row in self.rows if row.tried]
        if searched:
            return [search_plot(row, k) for row in searched]
        if sum(not row.failed for row in self.rows) < 2:
            return []
        rows = {self.name: self.rows}
        return [distortion_plot(rows, marked=k), ratio_plot(rows, marked=k)]


def picture_budget(count: int) -> int:
    """Bytes that each of ``count`` pictures may take."""
    return min(_LARGEST_PICTURE, _PICTURE_BYTES // max(count, 1))


def rows_html(summary: Summary, library: Library, number: int) -> str:
    """The text of a page of the table of all jobs, counted from 1."""
    pages = library.pages
    template = _environment().get_template("rows.html.j2")
    return template.render(summary=summary, pages=pages, number=number, page=pages[number - 1])


def page_html(summary: Summary, sections: list[ImageSection], library: Library | None = None) -> str:
    """The text of ``summary.html``. Names and reasons are escaped wherever they appear.

    Parameters
    ----------
    sections : the images that the page shows; of a large library not all.
    """
    measured = {section.name: section.rows for section in sections if section.measured}
    by_k = [part for part in summary.totals.by_k if part.images]
    several = len(measured) > 1
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
            library=library,
            numbers={section.name: section.number for section in sections},
            failures=summary.failures(),
            most_failures=MOST_FAILURES,
            rows_folder=ROWS_FOLDER,
            infinite=math.inf,
            measured=measured,
            chosen={choice.image: choice.k for choice in summary.choices},
            published=_PUBLISHED_RATIOS,
            script=Markup(script),
            script_hash=script_hash,
            library_plots=[
                plot(measured, by_k) for plot in (ratio_plot, distortion_plot) if several and len(summary.ks) > 1
            ],
            has_previews=any(not picture.whole for section in sections for picture in section.pictures.values()),
        )
    )


def page_script() -> tuple[str, str]:
    """The page's script, and its hash as a content security policy names it."""
    script = (Path(__file__).parent / "page.js").read_text()
    return script, f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _environment() -> Environment:
    made = environment(Path(__file__).parent)
    made.filters |= {
        "lines": _lines,
        "href": _href,
        "number": _number,
        "percent": _percent,
        "listed": _listed,
        "zip": zip,
    }
    made.globals |= {"saved": _saved}
    return made


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())


def _href(path: str) -> str:
    """A relative path as a URL; a name's bytes that are no UTF-8 survive it."""
    return quote(os.fsencode(path))


def _number(value: float | None, digits: int = 0) -> str:
    return _DASH if value is None else f"{value:,.{digits}f}"


def _percent(fraction: float) -> str:
    """Whole ones; a little is not nothing, and almost all is not all."""
    percent = 100 * fraction
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{min(max(percent, 0.1), 99.9):.1f} %"
    return f"{percent:.0f} %".replace("-", _MINUS)


def _saved(original: int, compressed: int) -> float:
    """The part of the bytes that is gained; negative where the output is larger."""
    return 1 - compressed / original if original else 0.0


def _listed(numbers: Sequence[int]) -> str:
    shown = [str(number or "auto") for number in numbers]
    if len(shown) > _MOST_LISTED:
        shown[3:-1] = ["\N{HORIZONTAL ELLIPSIS}"]
        return f"{', '.join(shown)} ({len(numbers)} sizes)"
    return ", ".join(shown)
