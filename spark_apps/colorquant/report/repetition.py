"""A run in which nothing is new: it names the earlier run whose report is also its own. Standard library only."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from operator import eq
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Self

from colorquant.errors import InvalidRecord
from colorquant.report.changes import Changes, LimitedChanges
from colorquant.report.large_summary import BEGINNING, LargeSummary
from colorquant.report.rows import DONE, REUSED
from colorquant.report.summary import SUMMARY, Summary
from colorquant.report.totals import totals_of
from colorquant.storage import JsonRecord, StrPath, location, read, sha256_of

_BEGINNING = b'{"schema_version":3,'


@dataclass(frozen=True, kw_only=True)
class Repetition(JsonRecord):
    """The content of ``summary.json`` where nothing is new.

    Attributes
    ----------
    run_id, written_at : of this run.
    same_as : name of the folder, next to this run's, of the earlier run.
    same_run_id : that run's name.
    sha256 : hex SHA-256 of its ``summary.json``.
    previous_run_id, previous_written_at : of the run before this one, which may have been a repetition itself.
    """

    indent: ClassVar[int | None] = None

    schema_version: int = 3
    run_id: str
    written_at: str
    same_as: str
    same_run_id: str
    sha256: str
    previous_run_id: str
    previous_written_at: str

    def __post_init__(self) -> None:
        if PurePosixPath(self.same_as).parts != (self.same_as,) or self.same_as in ("..", "/"):
            raise InvalidRecord(f"same_as is {self.same_as!r}, which does not name a folder")

    @classmethod
    def of(cls, summary: Summary, previous: Summary, path: Path) -> Self | None:
        """The repetition of the previous run; None where anything is new. ``path`` is that of ``previous``."""
        if summary.totals.done or not _is_same(summary, previous):
            return None
        before = read_repetition(path)
        return cls(
            run_id=summary.run_id,
            written_at=summary.written_at,
            same_as=before.same_as if before else path.parent.name,
            same_run_id=before.same_run_id if before else previous.run_id,
            sha256=before.sha256 if before else sha256_of(path),
            previous_run_id=previous.run_id,
            previous_written_at=previous.written_at,
        )

    def summary(self, path: Path) -> Summary:
        """The summary that this run would have written; ``path`` is that of this record.

        Raises
        ------
        InvalidRecord
            Where the summary of the earlier run is gone, or not the one that was repeated.
        """
        base = path.parent.parent / self.same_as / SUMMARY
        try:
            text = read(base)
        except FileNotFoundError:
            raise InvalidRecord(f"{path}: it repeats {base}, which is gone") from None
        same = _parsed(text, base)
        if sha256_of(base) != self.sha256:
            raise InvalidRecord(f"{path}: it repeats {base}, which has changed since")
        changes = (LimitedChanges if same.in_parts else Changes)(
            run_id=self.previous_run_id,
            written_at=self.previous_written_at,
            settings={},
            added=(),
            removed=(),
            recomputed=0,
            failed=(),
            mended=(),
            moved=(),
        )
        return dataclasses.replace(_stripped(same), run_id=self.run_id, written_at=self.written_at, changes=changes)


def read_summary(path: StrPath) -> Summary:
    """Read a ``summary.json``, also one of an older version, and of a run that repeats another one.

    Raises as ``JsonRecord.read``.
    """
    text = read(path)
    if text.startswith(_BEGINNING):
        return Repetition.of_json(text, path).summary(location(path))
    return _parsed(text, path)


def read_repetition(path: StrPath) -> Repetition | None:
    """What a ``summary.json`` repeats; None where it is a summary. Raises as ``JsonRecord.read``."""
    text = read(path)
    return Repetition.of_json(text, path) if text.startswith(_BEGINNING) else None


def _parsed(text: bytes, path: StrPath) -> Summary:
    return (LargeSummary if text.startswith(BEGINNING) else Summary).of_json(text, path)


def _is_same(summary: Summary, previous: Summary) -> bool:
    now, before = _stripped(summary), _stripped(previous)
    if not now.in_parts or not before.in_parts:
        return now == before
    named: dict[str, Any] = {"rows": (), "choices": (), "row_parts": (), "choice_parts": ()}
    return (
        dataclasses.replace(now, **named) == dataclasses.replace(before, **named)
        and _are_equal(now.rows, before.rows)
        and _are_equal(now.choices, before.choices)
    )


def _are_equal(now: Sequence[object], before: Sequence[object]) -> bool:
    return len(now) == len(before) and all(map(eq, now, before))


def _stripped(summary: Summary) -> Summary:
    """A summary without what differs where nothing is new: whose it is, and that outputs are reused."""
    if isinstance(summary, LargeSummary):
        return dataclasses.replace(summary.with_rows_reused(), run_id="", written_at="", changes=None)
    rows = tuple(dataclasses.replace(row, state=REUSED) if row.state == DONE else row for row in summary.rows)
    totals = totals_of(rows, summary.choices)
    return dataclasses.replace(summary, run_id="", written_at="", changes=None, rows=rows, totals=totals)
