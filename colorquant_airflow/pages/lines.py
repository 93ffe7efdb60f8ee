"""The list of a run's images: what was chosen of each, what failed and why, and what still waits."""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import overload

from colorquant.errors import InvalidRecord
from colorquant.jobs import Job, JobFailure, PlannedJobs
from colorquant.report import Choice, Row, Summary, k_text
from colorquant.storage import is_file, is_remote
from colorquant_airflow.pages.runs import Run


@dataclass(frozen=True, kw_only=True)
class Line:
    """An image of a run.

    Attributes
    ----------
    number : of the image in the run, from 1.
    name : the image's path below the image folder.
    jobs : with their positions, from 1.
    choice : the file worth keeping; None before the report.
    position : that of the chosen output's job; None for an original, and before the report.
    ssimulacra2 : of the chosen output; None where it is lossless, was not measured, or is an original.
    lossless : whether the chosen output is lossless.
    failures : the reasons why jobs failed, each with the k and the first job with this reason.
    waiting : number of jobs without an outcome, while the run goes on.
    """

    number: int
    name: str
    jobs: list[tuple[int, Job]]
    choice: Choice | None = None
    position: int | None = None
    ssimulacra2: float | None = None
    lossless: bool = False
    failures: list[tuple[str, list[str], Job]] = field(default_factory=list)
    waiting: int = 0

    @property
    def saved(self) -> int:
        """Bytes that the choice saves."""
        return self.choice.original_bytes - self.choice.bytes if self.choice else 0

    @property
    def share(self) -> float:
        """Share of the original's bytes that the choice saves."""
        return self.saved / self.choice.original_bytes if self.choice and self.choice.original_bytes else 0.0


def _quality(line: Line) -> float:
    return math.inf if line.ssimulacra2 is None else line.ssimulacra2


#: What a list can be sorted by; equal lines stay in the plan's order.
ORDERS: dict[str, Callable[[Line], object]] = {
    "failed": lambda line: (not line.failures, line.number),
    "name": lambda line: line.number,
    "quality": _quality,
    "saved": lambda line: -line.saved,
    "share": lambda line: -line.share,
    "size": lambda line: -(line.choice.original_bytes if line.choice else 0),
}


def lines_of(run: Run, order: str, wanted: str) -> Sequence[Line]:
    """The images of a run whose names contain ``wanted``, sorted by one of ``ORDERS``. Raises NoSuchPage.

    Those of a plan in parts are always in the order of names.
    """
    if isinstance(run.plan.jobs, PlannedJobs):
        return _LinesOfParts(run, run.plan.jobs, wanted)
    summary = run.summary
    made = _reported(run, summary) if summary else _going_on(run)
    return sorted((line for line in made if wanted.lower() in line.name.lower()), key=ORDERS[order])  # type: ignore[arg-type]


class _LinesOfParts(Sequence[Line]):
    """The images of a plan in parts, each line made when it is asked for."""

    def __init__(self, run: Run, jobs: PlannedJobs, wanted: str) -> None:
        self._run, self._jobs = run, jobs
        self._numbers: Sequence[int] = range(len(jobs.entries))
        if wanted:
            found = (number for number, entry in enumerate(jobs.entries) if wanted.lower() in entry[0].lower())
            self._numbers = array("L", found)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Line: ...

    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...

    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self._line(number) for number in self._numbers[index]]
        return self._line(self._numbers[index])

    def _line(self, number: int) -> Line:
        jobs, summary = self._jobs.of_image(number), self._run.summary
        name = jobs[0].name
        if summary is None:
            return _line_going_on(self._run, number + 1, name, jobs)
        # One by one: the part of the last one is in memory.
        places = range(number * len(jobs), (number + 1) * len(jobs))
        rows = [summary.rows[place] for place in places if place < len(summary.rows)]
        if [row.image for row in rows] != [name] * len(jobs):
            # The run was cleared and planned again, and this is the summary of the plan before.
            return _line_going_on(self._run, number + 1, name, jobs)
        return _line_reported(number + 1, name, jobs, rows, summary.choice_of(name))


def _reported(run: Run, summary: Summary) -> Iterable[Line]:
    choices = {choice.image: choice for choice in summary.choices}
    rows = summary.rows_by_image()
    for number, (name, jobs) in enumerate(run.images.items(), start=1):
        yield _line_reported(number, name, jobs, rows.get(name, []), choices.get(name))


def _line_reported(number: int, name: str, jobs: list[Job], rows: Sequence[Row], choice: Choice | None) -> Line:
    outcome = list(zip(rows, jobs, strict=False))
    kept = [
        (position, row)
        for position, (row, _) in enumerate(outcome, start=1)
        if choice and choice.k is not None and row.k == choice.k and not row.failed
    ]
    position, row = kept[0] if kept else (None, None)
    return Line(
        number=number,
        name=name,
        jobs=list(enumerate(jobs, start=1)),
        choice=choice,
        position=position,
        ssimulacra2=row.ssimulacra2 if row else None,
        lossless=bool(row and row.lossless),
        failures=_grouped((row.reason or "", row.k, job) for row, job in outcome if row.failed),
    )


def _going_on(run: Run) -> Iterable[Line]:
    return (_line_going_on(run, number, name, jobs) for number, (name, jobs) in enumerate(run.images.items(), start=1))


def _line_going_on(run: Run, number: int, name: str, jobs: list[Job]) -> Line:
    # A store would be asked for each of the files.
    looks = not is_remote(run.folder)
    failed = [job for job in jobs if looks and job.label not in run.plan.reused and is_file(job.failure)]
    waiting = [job for job in jobs if looks and job not in failed and not is_file(job.result)]
    return Line(
        number=number,
        name=name,
        jobs=list(enumerate(jobs, start=1)),
        failures=_grouped((_reason(job), job.k, job) for job in failed),
        waiting=len(waiting),
    )


def _reason(job: Job) -> str:
    try:
        return JobFailure.read(job.failure).reason
    except (OSError, InvalidRecord) as error:
        return str(error)


def _grouped(failures: Iterable[tuple[str, int | None, Job]]) -> list[tuple[str, list[str], Job]]:
    """A damaged image fails at every k for the same reason."""
    groups: dict[str, tuple[list[str], Job]] = {}
    for reason, k, job in failures:
        groups.setdefault(reason, ([], job))[0].append(k_text(k))
    return [(reason, ks, job) for reason, (ks, job) in groups.items()]
