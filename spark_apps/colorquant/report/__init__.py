"""The report of a run: rows and totals, tables, plots, contact sheets and a page.

``summarize_run`` is imported on first use, so that reading a summary needs the standard library only.
"""

from typing import TYPE_CHECKING, Any

from colorquant.report.summary import Summary, read_summary

if TYPE_CHECKING:
    from colorquant.report.run import summarize_run

__all__ = ["Summary", "read_summary", "summarize_run"]


def __getattr__(name: str) -> Any:
    if name == "summarize_run":
        from colorquant.report.run import summarize_run

        return summarize_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
