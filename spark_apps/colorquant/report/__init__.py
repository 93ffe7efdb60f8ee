"""The report of a run: rows, totals, choices, changes, tables, plots, contact sheets and a page.

Modules that need more than the standard library are imported on first use.
"""

from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use
from colorquant.report.candidates import candidates_of
from colorquant.report.choice import Choice, choose
from colorquant.report.repetition import read_repetition, read_summary
from colorquant.report.review import REVIEW, Doubtful, Review
from colorquant.report.rows import Row, k_text, row_of
from colorquant.report.summary import Summary

if TYPE_CHECKING:
    from colorquant.report.page import page_script
    from colorquant.report.previews import MAX_BYTES, decode_preview, load_preview
    from colorquant.report.run import standing_report, summarize_run
    from colorquant.report.templates import environment

__all__ = [
    "MAX_BYTES",
    "REVIEW",
    "Choice",
    "Doubtful",
    "Review",
    "Row",
    "Summary",
    "candidates_of",
    "choose",
    "decode_preview",
    "environment",
    "k_text",
    "load_preview",
    "page_script",
    "read_repetition",
    "read_summary",
    "row_of",
    "standing_report",
    "summarize_run",
]

__getattr__ = imported_on_first_use(
    __name__,
    {
        "MAX_BYTES": "previews",
        "decode_preview": "previews",
        "environment": "templates",
        "load_preview": "previews",
        "page_script": "page",
        "standing_report": "run",
        "summarize_run": "run",
    },
)
