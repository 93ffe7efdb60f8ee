"""The summary of a very large library: rows and choices are in files, and are read when they are asked for.

Standard library only.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Self, TypeVar

from colorquant.errors import InvalidRecord
from colorquant.jobs import Job, Plan, PlannedJobs
from colorquant.limits import Count, PaletteSize
from colorquant.report.changes import LimitedChanges
from colorquant.report.choice import Choice, choose
from colorquant.report.rows import REUSED, Row, row_of
from colorquant.report.summary import READERS, Summary, failures_in, known_before, versions
from colorquant.report.totals import Sums
from colorquant.storage import Part, Parts, PartWriter, StrPath, is_remote, location, parts_folder
from colorquant.target import Target

T = TypeVar("T")

#: How the file begins.
BEGINNING = b'{"schema_version":4,'
# Of failures that the file has itself.
_MAX_FAILURES = 1000
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class KnownFailures:
    """The failures of a very large library.

    Attributes
    ----------
    count : how many there are, as of ``Summary.failures``.
    untried : jobs that left neither a result nor a reason.
    lost : jobs that were done when the run was planned.
    first : the first of them: image, reason, and each k.
    """

    count: Count = 0
    untried: Count = 0
    lost: Count = 0
    first: tuple[tuple[str, str, tuple[PaletteSize | None, ...]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LargeSummary(Summary):
    """A summary whose rows and choices are in parts, in the order of the plan, which is ascending by image.

    In its file ``rows`` and ``choices`` are empty.

    Attributes
    ----------
    row_parts, choice_parts : files below ``parts``, next to the summary, with a row or a choice a line. A row leaves
        out what is null.
    failed : the failures.
    """

    indent = None

    schema_version: int = 4
    changes: LimitedChanges | None = None
    row_parts: tuple[Part, ...] = ()
    choice_parts: tuple[Part, ...] = ()
    failed: KnownFailures = field(default_factory=KnownFailures)

    def as_json(self) -> str:
        """The text of the file, without rows and choices."""
        return super(LargeSummary, dataclasses.replace(self, rows=(), choices=())).as_json()

    @classmethod
    def of_json(cls, text: bytes, path: StrPath) -> Self:
        """The summary of a file's text; its parts are next to ``path``. Raises InvalidRecord as ``read``."""
        summary = super().of_json(text, path)
        if summary.rows or summary.choices or not summary.row_parts:
            raise InvalidRecord(f"{path}: rows and choices are not empty, or row_parts are")
        return summary.reading(location(path).parent)

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """There is no older version."""
        return content

    def reading(self, folder: Path) -> Self:
        """The same, with rows and choices that are read from the parts of a run's folder."""
        below = parts_folder(folder)
        rows = Parts[Row](below, self.row_parts, Row, _same)
        return dataclasses.replace(self, rows=rows, choices=Parts[Choice](below, self.choice_parts, Choice, _same))

    @property
    def in_parts(self) -> bool:
        """True."""
        return True

    def by_image(self) -> Iterator[tuple[list[Row], Choice | None]]:
        """The rows of each image and its choice, in the plan's order, one image at a time."""
        choices = iter(self.choices)
        choice = next(choices, None)
        for image, rows in groupby(self.rows, key=lambda row: row.image):
            chosen = choice if choice and choice.image == image else None
            if chosen:
                choice = next(choices, None)
            yield list(rows), chosen

    def choice_of(self, image: str) -> Choice | None:
        """The choice of an image; None where it has no output."""
        if not self.choice_parts:
            return None
        assert isinstance(self.choices, Parts)
        return next(
            (choice for choice in self.choices.part(self.choices.part_with(image)) if choice.image == image), None
        )

    def rows_by_name(self) -> Iterator[list[Row]]:
        """The rows of each image, ascending by name, one image at a time."""
        return (list(rows) for _, rows in groupby(self.rows, key=lambda row: row.image))

    def first_failures(self, limit: int) -> tuple[list[tuple[str, str, list[int | None]]], int]:
        """The first failures, at most as many as the file has, and the number of all."""
        return [(image, reason, list(ks)) for image, reason, ks in self.failed.first[:limit]], self.failed.count

    @property
    def untried(self) -> int:
        """The number of jobs that left neither a result nor a reason."""
        return self.failed.untried

    def has_lost(self, plan: Plan) -> bool:
        """Whether a job failed that was done when the run was planned."""
        return self.failed.lost > 0

    def notices(self) -> dict[str, list[str]]:
        """None: with weights a library is never in parts."""
        return {}

    def with_rows_reused(self) -> Self:
        """The same; of each row that this run computed, it says that it is reused."""
        assert isinstance(self.rows, Parts)
        totals = dataclasses.replace(self.totals, done=0, reused=self.totals.reused + self.totals.done, seconds=0.0)
        return dataclasses.replace(self, rows=self.rows.mapped(_reused), totals=totals)

    def remove_parts(self) -> None:
        """Remove the files of rows and choices. Raises OSError."""
        for parts in (self.rows, self.choices):
            assert isinstance(parts, Parts)
            parts.remove()


def summary_of(plan: Plan, folder: Path, written_at: datetime | None = None) -> Summary:
    """The summary of what the jobs of a plan have written; ``folder`` is the folder for the summary.

    Where the plan is in parts, the summary is too: its parts are written, part by part.

    Raises
    ------
    OSError
        Where a part cannot be written.
    """
    if not isinstance(plan.jobs, PlannedJobs):
        return Summary.of(plan, folder, written_at)
    rows_out, choices_out = (PartWriter(parts_folder(folder), kind) for kind in ("rows", "choices"))
    target = Target.parse(plan.target) if plan.target else None
    sums, of_spark, failures = Sums(), set(), KnownFailures()
    for _, group in groupby(_rows_of(plan.jobs, folder), key=lambda state: state[0].image):
        states = list(group)
        rows = [row for row, _ in states]
        choice = choose(rows, target, bool(plan.settings.palette))
        sums.add(rows, choice)
        of_spark |= {row.spark_version for row in rows}
        if any(row.failed for row in rows):
            failures = _with(failures, states)
        for row in rows:
            rows_out.add(row.image, {name: value for name, value in vars(row).items() if _is_told(name, value)})
        if choice:
            choices_out.add(choice.image, vars(choice))
    summary = LargeSummary(
        **known_before(plan, written_at),
        versions=versions(of_spark),
        totals=sums.totals(),
        rows=(),
        row_parts=rows_out.finish(),
        choice_parts=choices_out.finish(),
        failed=failures,
    )
    return summary.reading(folder)


def _rows_of(jobs: PlannedJobs, folder: Path) -> Iterator[tuple[Row, bool]]:
    """The row of each job, and whether the plan had it done."""
    states = jobs.with_states()
    # From an object store several rows are read at a time: each request takes long.
    with ThreadPoolExecutor(READERS if is_remote(folder) else 1) as pool:
        while some := list(islice(states, _ROWS_AT_ONCE)):
            yield from pool.map(partial(_row_of, folder), some)


def _row_of(folder: Path, state: tuple[Job, bool]) -> tuple[Row, bool]:
    job, reused = state
    return row_of(job, reused, folder), reused


def _with(failures: KnownFailures, states: Sequence[tuple[Row, bool]]) -> KnownFailures:
    rows = [row for row, _ in states]
    found = [(image, reason, tuple(ks)) for image, reason, ks in failures_in(rows)]
    return KnownFailures(
        count=failures.count + len(found),
        untried=failures.untried + sum(row.untried for row in rows),
        lost=failures.lost + sum(row.failed and reused for row, reused in states),
        first=(*failures.first, *found)[:_MAX_FAILURES] if len(failures.first) < _MAX_FAILURES else failures.first,
    )


def _is_told(name: str, value: object) -> bool:
    return name in ("image", "k", "state") or value not in (None, ())


def _reused(row: Row) -> Row:
    return row if row.failed else dataclasses.replace(row, state=REUSED)


def _same(value: T) -> T:
    return value
