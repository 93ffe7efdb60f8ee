"""The CSV file and the terminal's table."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorquant.report.rows import Row
from colorquant.report.summary import Summary
from colorquant.report.tables import csv_text, terminal_table
from colorquant.report.totals import totals_of
from colorquant.text import byte_size, display_width, printable, readable, shorten

NAMES = st.text(st.characters(exclude_characters="\0"), max_size=60) | st.binary(max_size=60).map(
    lambda name: name.decode("utf-8", "surrogateescape")
)


def failed(name: str, reason: str = "no") -> Row:
    return Row(image=name, k=2, state="failed", reason=reason)


@given(NAMES, NAMES)
def test_csv_gives_back_every_text_and_starts_no_formula(name: str, reason: str) -> None:
    text = csv_text([failed(name, reason)])
    text.encode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    for cell, original in ((row["image"], name), (row["reason"], reason)):
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
        assert cell.removeprefix("'") == readable(original).removeprefix("'")


def test_csv_has_a_line_for_each_row_with_its_figures(library) -> None:
    library.add("a.png")
    library.add_bytes("b.png", b"")
    plan = library.plan((2, 8))
    for job in plan.jobs:
        library.compress(job) if job.name == "a.png" else library.fail(job, "b.png is empty,\nreally")
    summary = Summary.of(plan, library.folder())
    lines = list(csv.DictReader(io.StringIO(summary.as_csv(), newline="")))
    assert [(line["image"], line["k"], line["state"]) for line in lines] == [
        (row.image, str(row.k), row.state) for row in summary.rows
    ]
    assert float(lines[0]["compression_ratio"]) == summary.rows[0].compression_ratio
    assert lines[0]["lossless"] == "false"
    assert (lines[2]["reason"], lines[2]["mse"], lines[2]["lossless"]) == ("b.png is empty,\nreally", "", "")


@pytest.mark.parametrize("width", [80, 100, 110])
@given(name=NAMES)
def test_the_table_stays_within_its_width_and_harms_no_terminal(width: int, name: str) -> None:
    rows = [failed(name, "bad " * 60 + name), failed("plain.png")]
    failures = [(row.image, row.reason or "", [row.k]) for row in rows]
    table = terminal_table(rows, totals_of(rows), failures, width)
    lines = table.split("\n")
    assert all(line.isprintable() for line in lines)
    above = lines[: lines.index("")]
    assert max(map(display_width, above)) <= width
    assert len([line for line in above if line.endswith("failed")]) == 2
    table.encode()


def test_the_table_shows_figures_and_groups_failures_by_their_reason(library) -> None:
    library.add("a.png")
    library.add_bytes("bad.png", b"")
    plan = library.plan((2, 8))
    for job in plan.jobs:
        library.compress(job) if job.name == "a.png" else library.fail(job, "empty file")
    summary = Summary.of(plan, library.folder())
    table = summary.table()
    row = summary.rows[1]
    line = next(line for line in table.splitlines() if line.split()[:2] == ["a.png", "8"])
    assert line.split()[2:] == [
        str(row.colors_used),
        f"{row.compression_ratio:.2f}",
        f"{row.psnr_db:.2f}",
        f"{row.ssim:.4f}",
        f"{row.bits_per_pixel:.2f}",
        f"{row.compressed_bytes / 1000:.1f}",
        "1.5",
        "done",
    ]
    assert "4 jobs: 2 done, 0 reused, 2 failed" in table
    assert table.count("empty file") == 1
    assert "FAILED bad.png at k = 2, 8: empty file" in table


def test_the_table_of_a_run_without_any_result_says_so() -> None:
    rows = [failed("a.png"), failed("b.png")]
    assert "2 failed" in terminal_table(rows, totals_of(rows), [], 100)


@given(st.text(), st.integers(3, 40))
def test_a_shortened_name_fits_and_keeps_both_ends(text: str, width: int) -> None:
    short = shorten(text, width)
    assert display_width(short) <= width
    if short == text:
        return
    head, tail = short.split("…", 1) if text.count("…") == 0 else (short[:1], short[-1:])
    assert text.startswith(head)
    assert text.endswith(tail)


def test_shortening_counts_terminal_columns() -> None:
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("日本の写真.png", 9) == "日本….png"


@given(NAMES)
def test_printable_text_is_one_line_that_can_be_encoded(name: str) -> None:
    assert printable(name).isprintable()
    readable(name).encode()


def test_control_and_bidirectional_characters_are_shown_as_escapes() -> None:
    assert printable("a\n\x1b[31m\u202egpj.png") == "a\\n\\x1b[31m\\u202egpj.png"
    assert printable("caf\udce9") == "caf�"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 KB"), (9_994, "9.99 KB"), (9_996, "10.0 KB"), (99_960, "100 KB"),
     (999_499, "999 KB"), (999_600, "1.00 MB"), (2_410_000, "2.41 MB"), (5 * 10**12, "5.00 TB")],
)  # fmt: skip
def test_byte_sizes(count: int, text: str) -> None:
    assert byte_size(count) == text
