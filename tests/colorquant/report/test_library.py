"""The report of a library that is too large for one page."""

import dataclasses
import html
import re
from pathlib import Path

import pytest

from colorquant.report import library as module
from colorquant.report import summarize_run, tables
from colorquant.report.library import library_of
from colorquant.report.rows import Row
from colorquant.report.summary import Summary
from tests.colorquant.report.conftest import Library, photograph


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a few images exceed."""
    monkeypatch.setattr(module, "MAX_IMAGES", 4)
    monkeypatch.setattr(module, "PAGE_ROWS", 5)
    monkeypatch.setattr(module, "_SHOWN", 1)


def _cells(page: Path) -> list[tuple[str, str]]:
    found = re.findall(r'<tr><th scope="row" class="text filename">(.*?)</th><td>(\d+)</td>', page.read_text())
    return [(html.unescape(name), k) for name, k in found]


def test_pages_hold_every_row_once_and_lead_to_each_other(library: Library, small_pages: None) -> None:
    names = [f"{number} <b>.png" for number in range(6)]
    for number, name in enumerate(names):
        library.add(name, photograph(40 + 10 * number, 30, seed=number))
    library.add_bytes("6 broken.png", b"no image")
    plan = library.plan()
    for job in plan.pending():
        library.fail(job, "no image <i>") if "broken" in job.name else library.compress(job)
    summary = summarize_run(plan, library.folder())
    pages = sorted((library.folder() / "rows").iterdir())
    assert [page.name for page in pages] == ["0001.html", "0002.html", "0003.html"]
    assert [cell for page in pages for cell in _cells(page)] == [(row.image, row.size) for row in summary.rows]
    front = library.folder() / "summary.html"
    for page in (front, *pages):
        text = page.read_text()
        assert "<b>.png" not in text and "<i>" not in re.sub(r'<i style="width', "", text)
        for link in re.findall(r'href="([^"#:]+)"', text):
            assert (
                page.parent / html.unescape(link).replace("%20", " ").replace("%3C", "<").replace("%3E", ">")
            ).exists()
    assert 'rel="prev"' not in pages[0].read_text() and 'rel="next"' not in pages[-1].read_text()


def test_the_front_page_shows_the_best_and_the_worst_only(library: Library, small_pages: None) -> None:
    for number in range(6):
        library.add(f"{number}.png", photograph(40 + 10 * number, 30, seed=number))
    summary = summarize_run(library.run(target="psnr=10"), library.folder())
    large = library_of(summary)
    assert large is not None
    gains = {choice.image: choice.original_bytes - choice.bytes for choice in summary.choices}
    assert large.groups[0].images == (max(gains, key=lambda image: gains[image]),)
    chosen = {choice.image: choice.k for choice in summary.choices}
    ssim = {row.image: row.ssim or 0.0 for row in summary.rows if row.k == chosen[row.image]}
    assert large.groups[-1].images == (min(ssim, key=lambda image: ssim[image]),)
    text = (library.folder() / "summary.html").read_text()
    assert len(re.findall('<details class="image"', text)) == len(large.shown) <= 3
    assert {path.parent.parent.name for path in library.sheets()} == large.shown
    for image in large.shown:
        number = re.findall(rf'<details class="image" id="(image-\d+)" data-name="{re.escape(image)}"', text)
        assert f'href="#{number[0]}"' in text


def test_the_distribution_is_that_of_the_rows(library: Library, small_pages: None) -> None:
    for number in range(5):
        library.add(f"{number}.png", photograph(40, 30, seed=number))
    summary = summarize_run(library.run((2, 8)), library.folder())
    large = library_of(summary)
    assert large is not None
    _, _, ratios = large.spreads[0]
    for spread in ratios:
        values = sorted(row.compression_ratio or 0.0 for row in summary.rows if row.k == spread.k)
        assert spread.images == 5
        assert (spread.quantiles[0], spread.quantiles[3], spread.quantiles[-1]) == (values[0], values[2], values[-1])


def test_a_log_gets_a_readable_part_of_a_hundred_thousand_rows(library: Library) -> None:
    library.add("a.png")
    summary = summarize_run(library.run((4,)), library.folder())
    row = summary.rows[0]
    rows = tuple(dataclasses.replace(row, image=f"{number}.png") for number in range(5000))
    failed = tuple(Row(image=f"x{number}.png", k=4, state="failed", reason="no image") for number in range(5000))
    choices = tuple(dataclasses.replace(summary.choices[0], image=other.image) for other in rows)
    large: Summary = dataclasses.replace(summary, rows=rows + failed, choices=choices)
    text = large.table()
    assert len(text.splitlines()) < tables._MAX_ROWS + 4 * tables.MAX_LISTED
    assert "9,000 more" in text and text.count("4,800 more") == 2
