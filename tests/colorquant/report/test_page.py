"""The page that a person opens, and the files beside it."""

import base64
import hashlib
import os
import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from colorquant import report
from colorquant.compress.pipeline import compress_image
from colorquant.quantizer.in_process import PixelSource
from colorquant.report import read_summary, summarize_run
from colorquant.report.page import ImageSection, page_html, picture_budget
from colorquant.report.previews import Picture
from colorquant.report.summary import Summary
from colorquant.report.totals import totals_of
from colorquant.settings import ALGORITHM_VERSION
from colorquant.target import Target

NASTY = [
    "<script>alert(1)<script>.png",
    '"onload="alert(1).png',
    "'><img src=x onerror=alert(1)>.png",
    "{{ ds }}{% raw %}.png",
    "$x_1^{2}$ \\frac{1.png",
    "new\nline \x1b[31m.png",
    "=cmd|calc.png",
    "right\u202eleft.png",
    "100% #1?a&amp;b.png",
    "-rf.png",
    "n" * 251 + ".png",
    "é" * 125 + ".png",
    "folder with $/日本.png",
    b"caf\xe9\xff.png",
]


#: Images that say nothing that the text beside them does not.
_NO_PICTURES = ("palette", "thumbnail")


class Page(HTMLParser):
    """The elements of a page (tag, attributes) and its text."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.source = (folder / "summary.html").read_text("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attributes) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, text) -> None:
        self.text += text

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def pictures(self) -> list[dict[str, str]]:
        return [image for image in self.all("img") if image.get("class") not in _NO_PICTURES]


def content_of(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


@pytest.fixture(scope="module")
def nasty(library_in, tmp_path_factory, picture):
    """A run over images with hostile names, and the folder of its report."""
    library = library_in(tmp_path_factory.mktemp("nasty"))
    for name in NASTY:
        library.add(name, picture(24, 16))
    plan = library.plan((2, 8))
    for job in plan.jobs:
        if job.name.startswith("100%") or (job.name.startswith("$") and job.k == 8):
            library.fail(job, f"<b>{job.name}</b>\n{{{{ ds }}}} \x00\x1b is bad")
        else:
            library.compress(job)
    return summarize_run(plan, library.folder()), library.folder()


def test_hostile_names_and_reasons_are_shown_and_do_nothing(nasty) -> None:
    _, folder = nasty
    page = Page(folder)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"iframe", "object", "link", "base"}
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    for text in (
        "<script>alert(1)<script>.png",
        "{{ ds }}{% raw %}.png",
        "new\\nline \\x1b[31m.png",
        "right\\u202eleft.png",
    ):
        assert text in page.text
    assert "<b>100% #1?a&amp;b.png</b>" in page.text
    assert "caf\ufffd\ufffd.png" in page.text
    assert all(character.isprintable() or character == "\n" for character in page.source)


def test_the_page_loads_nothing_and_every_link_leads_somewhere(nasty) -> None:
    _, folder = nasty
    page = Page(folder)
    anchors = {"#" + attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    links = [link["href"] for link in page.all("a")]
    files = {link for link in links if not link.startswith("#")}
    assert {link for link in links if link.startswith("#")} <= anchors
    assert all(os.path.isfile(os.path.join(os.fsencode(folder), unquote_to_bytes(link))) for link in files)
    assert len([link for link in files if "/sheet-" in link]) == len(NASTY) - 2
    assert "url(" not in page.source and "@import" not in page.source
    assert "default-src 'none'" in page.source


def test_the_same_names_in_the_other_files(nasty) -> None:
    summary, folder = nasty
    assert read_summary(folder / "summary.json") == summary
    not_utf8 = os.fsdecode(NASTY[-1])
    assert {row.image for row in summary.rows} | {not_utf8} == {os.fsdecode(name) for name in NASTY}
    assert summary.ignored == (not_utf8,)
    assert (folder / "summary.csv").read_text("utf-8").count("'=cmd|calc.png") == 2
    assert not list(folder.rglob(".tmp-*"))
    assert {path.name for path in folder.iterdir()} == {
        "summary.json", "summary.csv", "summary.html", "failures",
    }  # fmt: skip


def test_ids_are_unique_and_pictures_have_alternatives(nasty) -> None:
    _, folder = nasty
    page = Page(folder)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(image["alt"] for image in page.pictures())
    assert all("aria-label" in plot for plot in page.all("svg"))


def test_small_outputs_are_embedded_whole_and_large_ones_say_preview(library) -> None:
    library.add("small.png")
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    library.add("large.png", Image.fromarray(noise))
    plan = library.run((16,))
    summarize_run(plan, library.folder())
    page = Page(library.folder())
    embedded = {image["alt"]: content_of(image["src"]) for image in page.pictures()}
    large, small = plan.jobs
    assert embedded["small.png with 16 colors"] == Path(small.output).read_bytes()
    assert embedded["large.png with 16 colors"] != Path(large.output).read_bytes()
    # The two originals, the large output, and the sentence that explains the word.
    assert page.text.count("preview") == 4


def test_a_run_in_which_every_job_failed_has_a_page_and_no_sheet(library) -> None:
    library.add_bytes("a.png", b"nonsense")
    library.add_bytes("b.jpg", b"")
    plan = library.plan((2, 8))
    for job in plan.jobs:
        library.fail(job, f"{job.name} is no image")
    summary = summarize_run(plan, library.folder())
    page = Page(library.folder())
    assert summary.totals.failed == 4
    assert "a.png is no image" in page.text and "b.jpg is no image" in page.text
    assert not library.sheets()
    assert not page.all("svg")
    assert "failed" in summary.table()


@pytest.mark.parametrize("ks", [(1,), (256,), (1, 2, 256)])
def test_tiny_images_and_extreme_k(library, picture, ks) -> None:
    library.add("one.png", Image.new("RGB", (1, 1), "navy"))
    library.add("line.png", picture(1, 700))
    library.add("noise.png", picture(300, 9))
    summary = summarize_run(library.run(ks), library.folder())
    assert summary.totals.done == 3 * len(ks)
    assert len(Page(library.folder()).pictures()) == 3 * (1 + len(ks))
    for sheet in library.sheets():
        Image.open(sheet).load()


def test_an_original_that_is_gone_costs_its_picture_only(library) -> None:
    path = library.add("a.png")
    plan = library.run((2,))
    path.unlink()
    summary = summarize_run(plan, library.folder())
    assert summary.totals.done == 1
    page = Page(library.folder())
    assert "The original cannot be shown" in page.text
    assert len(page.pictures()) == 1
    assert len(library.sheets()) == 1


def test_the_page_says_where_it_comes_from(library) -> None:
    library.add("a.png")
    library.add_bytes("notes <1>.txt", b"")
    summary = summarize_run(library.run((2,)), library.folder())
    text = Page(library.folder()).text
    for expected in (
        "test_run",
        str(library.images),
        "notes <1>.txt",
        f"algorithm version {ALGORITHM_VERSION}",
        "Spark 4.2.0",
    ):
        assert expected in text
    assert summary.written_at.replace("T", " ").replace("+00:00", " UTC") in text


def test_writing_the_report_again_gives_the_same_bytes_but_for_the_time(library) -> None:
    library.add("a.png")
    plan = library.run((2, 8))
    written_at = datetime.fromisoformat("2026-01-02T03:04:05+00:00")
    contents = []
    for _ in range(2):
        summarize_run(plan, library.folder(), written_at)
        files = [path for path in sorted(library.folder().rglob("*")) if path.is_file()]
        contents.append([path.read_bytes() for path in files])
    assert len(contents[0]) == 3
    assert contents[0] == contents[1]


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2, 3], ids=["light", "dark", "dark in a frame", "print"])
def test_text_and_lines_have_enough_contrast_on_every_ground(scheme) -> None:
    """WCAG 2.2 AA: 4.5 for text (also that of the plots, which no tool checks), 3 for graphics."""
    style = (Path(report.__file__).parent / "page.css").read_text()
    themes = [block for block in re.findall(r":root[^{]*{([^}]*)}", style) if "--ink" in block]
    assert len(themes) == 4
    colors = dict(re.findall(r"--([\w-]+): (#\w+)", themes[scheme]))
    colors = {
        name: color if len(color) == 7 else "#" + "".join(c * 2 for c in color[1:]) for name, color in colors.items()
    }
    for fore, least in {"ink": 7, "quiet": 4.5, "accent": 4.5, "bad": 4.5, "line": 3}.items():
        for ground in ("paper", "sheet", "soft", "bad-soft"):
            light, dark = sorted((luminance(colors[fore]), luminance(colors[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= least, (fore, ground)


def test_the_page_of_100_images_at_15_k_stays_below_15_megabytes(library) -> None:
    """Of pictures as large as they may be; base64 makes a third more of them."""
    library.add("a.png")
    ks = tuple(range(2, 31, 2))
    summary = Summary.of(library.run(ks), library.folder())
    names = [f"a folder of images/with a long name/{number:03d}.png" for number in range(100)]
    rows = tuple(replace(row, image=name) for name in names for row in summary.rows)
    choices = tuple(replace(summary.choices[0], image=name) for name in names)
    summary = replace(summary, rows=rows, choices=choices, totals=totals_of(rows, choices))
    budget = picture_budget(100 * (1 + len(ks)))
    assert budget > 4000
    picture = Picture("data:image/webp;base64," + "A" * (budget * 4 // 3), 640, 480, whole=False)
    thumbnail = Picture("data:image/webp;base64," + "A" * 4000, 96, 72, whole=False)
    strip = "data:image/png;base64," + "A" * 300
    sections = [
        ImageSection(
            number=number,
            name=name,
            rows=group,
            choice=choice,
            original=picture,
            thumbnail=thumbnail,
            pictures=dict.fromkeys(ks, picture),
            palettes=dict.fromkeys(ks, strip),
            contact_sheet=f"../../compressed/{name}/0/sheet-0.png",
        )
        for number, ((name, group), choice) in enumerate(
            zip(summary.rows_by_image().items(), choices, strict=True), start=1
        )
    ]
    assert 11_000_000 < len(page_html(summary, sections).encode()) < 15_000_000
    assert picture_budget(0) == picture_budget(1)


def test_the_one_script_is_the_one_that_the_policy_names(library) -> None:
    library.add("a.png")
    summarize_run(library.run(), library.folder())
    source = Page(library.folder()).source
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in source
    assert script == (Path(report.__file__).parent / "page.js").read_text()


def test_table_1_of_the_original_work_is_a_view(library) -> None:
    library.add("a.png")
    library.add("b.png")
    summary = summarize_run(library.run((2, 3, 30)), library.folder())
    text = Page(library.folder()).text
    assert "The original work’s Table 1" in text
    table = text[text.index("Compression ratio of each image at each palette size") :]
    assert [f"{row.compression_ratio:.2f}" in table for row in summary.rows] == [True] * 6
    assert "5.14" in table and "2.47" in table and "3.69" not in table


def test_a_search_shows_its_tries_and_the_target(library, picture) -> None:
    library.add("a.png", picture(40, 30))
    plan = library.plan(("auto",), target="psnr=20")
    (job,) = plan.jobs
    compress_image(job.image, Target.parse(job.target), job.output, job.result, job.settings, PixelSource)
    summary = summarize_run(plan, library.folder())
    (row,) = summary.rows
    page = Page(library.folder())
    (plot,) = [plot["aria-label"] for plot in page.all("svg")]
    assert plot.startswith("PSNR against k, the target 20 dashed.")
    assert all(f"k = {k}:" in plot for k, _ in row.tried)
    assert row.target_reached and row.k in dict(row.tried)
    assert "1 image at the fewest colors that reach PSNR 20 dB" in page.text
    assert read_summary(library.folder() / "summary.json") == summary


def test_a_search_that_failed_has_no_k_and_says_why(library) -> None:
    library.add("a.png")
    plan = library.plan(("auto",), target="0.9")
    library.fail(plan.jobs[0], "it is no image")
    summary = summarize_run(plan, library.folder())
    assert (summary.rows[0].k, summary.choices) == (None, ())
    assert "it is no image" in Page(library.folder()).text
    assert "FAILED a.png at k = auto" in summary.table()
