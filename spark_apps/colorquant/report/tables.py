"""Rows as a CSV file and as a table for the terminal. Standard library only."""

import csv
import dataclasses
import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from colorquant.report.choice import Choice
from colorquant.report.rows import Row, k_text
from colorquant.report.totals import Totals
from colorquant.text import byte_size, display_width, pad, printable, psnr_text, readable, shorten

# A spreadsheet runs a cell that begins with one of these as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

# Fields that are not a single value.
_NO_COLUMN = ("tried",)

_COLUMNS = ("k", "colors", "ratio", "PSNR dB", "SSIM", "bits/px", "KB", "seconds", "state")
_WIDTHS = (4, 6, 7, 8, 6, 7, 8, 7, 6)
_ALL = "all images"
# Of a table for a terminal or a log.
_MAX_ROWS = 1000
MAX_LISTED = 200


def csv_text(rows: Iterable[Row]) -> str:
    """A header line, and a line for each row with the fields of ``Row``, empty where there is no figure.

    A text that a spreadsheet would run as a formula gets a single quote before it (OWASP, "CSV injection"). Lines end
    with CRLF (RFC 4180); the csv module quotes commas, quotes and line ends within a cell.
    """
    return "".join(csv_lines(rows))


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The text of ``csv_text``, a row at a time."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    columns = [field.name for field in dataclasses.fields(Row) if field.name not in _NO_COLUMN]
    writer.writerow(columns)
    for row in rows:
        yield stream.getvalue()
        stream.seek(0)
        stream.truncate()
        writer.writerow([_cell(getattr(row, column)) for column in columns])
    yield stream.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = readable(value)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def terminal_table(
    rows: Sequence[Row],
    totals: Totals,
    failures: Sequence[tuple[str, str, list[int | None]]],
    width: int,
    choices: Sequence[Choice] = (),
    unreadable: Mapping[str, str] = MappingProxyType({}),
    failure_count: int | None = None,
) -> str:
    """The rows, the totals of each k, the choices, and the failures and unreadable folders with their reasons.

    Of very many rows and failures only the first ones are listed: a log must stay readable. ``failures`` are the first
    of ``failure_count``, or all.
    """
    shown, missing = rows[:_MAX_ROWS], len(rows) - _MAX_ROWS
    gap = "  " if width >= 96 else " "
    columns = sum(_WIDTHS) + len(gap) * len(_WIDTHS)
    room = max(12, width - columns)
    name_width = min(room, max([len(_ALL), *(display_width(printable(row.image)) for row in shown)]))
    rule = "-" * (name_width + columns)
    lines = [_line("image", _COLUMNS, name_width, gap), rule]
    lines += [_line(shorten(printable(row.image), name_width), _figures(row), name_width, gap) for row in shown]
    lines += [f"... and {missing:,} more, in summary.csv"] if missing > 0 else []
    lines.append(rule)
    for part in totals.by_k:
        figures = (
            str(part.k),
            "",
            _number(part.compression_ratio, 2),
            psnr_text(part.median_psnr_db, "{:.2f}") if part.images else "-",
            _number(part.median_ssim, 4),
            _number(part.median_bits_per_pixel, 2),
            f"{part.compressed_bytes / 1000:.1f}",
            "",
            "",
        )
        lines.append(_line(_ALL, figures, name_width, gap))
    return "\n".join(
        line.rstrip() for line in lines + _closing(totals, failures, failure_count, width, choices, unreadable)
    )


def _line(name: str, figures: Iterable[str], name_width: int, gap: str) -> str:
    cells = [pad(figure, size, right=True) for figure, size in zip(figures, _WIDTHS, strict=True)]
    return gap.join([pad(name, name_width), *cells])


def _figures(row: Row) -> tuple[str, ...]:
    if row.failed:
        return (row.size, *("-" * 7), row.state)
    return (
        row.size,
        str(row.colors_used),
        _number(row.compression_ratio, 2),
        psnr_text(row.psnr_db, "{:.2f}"),
        _number(row.ssim, 4),
        _number(row.bits_per_pixel, 2),
        f"{(row.compressed_bytes or 0) / 1000:.1f}",
        _number(row.seconds, 1),
        row.state,
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _closing(
    totals: Totals,
    failures: Sequence[tuple[str, str, list[int | None]]],
    failure_count: int | None,
    width: int,
    choices: Sequence[Choice],
    unreadable: Mapping[str, str],
) -> list[str]:
    note = "(all images: KB and ratio of the sum; PSNR, SSIM and bits per pixel are medians; 1 KB = 1000 bytes)"
    lines = [
        *(textwrap.wrap(note, width) if totals.by_k else []),
        "",
        f"{totals.jobs} jobs: {totals.done} done, {totals.reused} reused, {totals.failed} failed. "
        f"{totals.images_compressed} of {totals.images} images, {byte_size(totals.original_bytes)}.",
    ]
    if totals.chosen and totals.chosen.ratio:
        lines += ["", "Chosen:"]
        for choice in choices[:MAX_LISTED]:
            named = f"  {printable(choice.image)}: {choice.reason}"
            lines += textwrap.wrap(named, max(width, 40), subsequent_indent="    ", break_on_hyphens=False)
        lines += _more(len(choices))
        sizes = f"{byte_size(totals.chosen.original_bytes)} to {byte_size(totals.chosen.bytes)}"
        lines.append(f"  all images: {sizes} (ratio {totals.chosen.ratio:.2f})")
    for image, reason, ks in failures[:MAX_LISTED]:
        sizes = ", ".join(map(k_text, ks))
        named = f"FAILED {printable(image)} at k = {sizes}: {printable(' '.join(reason.split()))}"
        lines += textwrap.wrap(named, max(width, 40), subsequent_indent="       ", break_on_hyphens=False)
    lines += _more(len(failures) if failure_count is None else failure_count)
    for folder, reason in list(unreadable.items())[:MAX_LISTED]:
        named = f"NOT READ {printable(folder)}: {printable(reason)}"
        lines += textwrap.wrap(named, max(width, 40), subsequent_indent="       ", break_on_hyphens=False)
    return lines + _more(len(unreadable))


def _more(count: int) -> list[str]:
    return [f"  ... and {count - MAX_LISTED:,} more, in the report"] if count > MAX_LISTED else []
