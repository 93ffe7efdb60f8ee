"""The runs that Airflow knows of, and what they left: found by what their tasks told, not by names in a request."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, aliased

from colorquant.jobs import Job
from colorquant.plan import Plan
from colorquant.records import InvalidRecord
from colorquant.report.rows import Row, row_of
from orchestration.xcoms import PLANNED, REPORTED


class NoSuchPage(LookupError):
    """There is nothing to show; the message says why."""


@dataclass(frozen=True)
class Run:
    """A run of a DAG of this project.

    ``planned`` and ``reported`` are what its tasks told (see ``orchestration.steps``).
    """

    dag_id: str
    run_id: str
    state: str
    kind: str
    at: datetime
    planned: dict[str, Any]
    reported: dict[str, Any] | None

    @property
    def refused(self) -> str | None:
        """Why nothing was planned."""
        return self.planned.get("refused")

    @property
    def has_report(self) -> bool:
        """Whether the report's page is there."""
        return "folder" in self.planned and (self.folder / "summary.html").is_file()

    @property
    def folder(self) -> Path:
        """The run's own folder. Raises NoSuchPage where nothing was planned."""
        if "folder" not in self.planned:
            raise NoSuchPage(f"Nothing was planned. {self.refused}")
        return Path(self.planned["folder"])

    @cached_property
    def plan(self) -> Plan:
        """What was planned. Raises NoSuchPage where the plan cannot be read."""
        path = self.folder / "plan.json"
        try:
            plan = _read_plan(path, path.stat().st_mtime_ns)
            if plan.run_id != self.run_id:
                raise InvalidRecord(f"{path} is of run {plan.run_id!r}")
            return plan
        except (OSError, InvalidRecord, KeyError, TypeError, ValueError) as error:
            raise NoSuchPage(
                f"The plan of this run is not written yet, or Airflow's API server cannot read it "
                f"({type(error).__name__}): {str(self.folder)!r} must be there for it as for the workers."
            ) from error

    @cached_property
    def images(self) -> dict[str, list[Job]]:
        """The jobs of each image, by the image's name, in the plan's order."""
        groups: dict[str, list[Job]] = {}
        for job in self.plan.jobs:
            groups.setdefault(job.name, []).append(job)
        return groups

    def jobs_of(self, number: int) -> list[Job]:
        """The jobs of the image with this number, from 1. Raises NoSuchPage."""
        groups = list(self.images.values())
        if not 1 <= number <= len(groups):
            raise NoSuchPage(f"This run has {len(groups)} images, and none with number {number}.")
        return groups[number - 1]

    def rows_of(self, number: int) -> list[Row]:
        """What became of the jobs of an image, also while the run goes on. Raises NoSuchPage."""
        return [row_of(job, job.label in self.plan.reused, self.folder) for job in self.jobs_of(number)]

    def number_of(self, job: Job) -> int:
        """The number of a job's image."""
        return list(self.images).index(job.name) + 1

    def place_of(self, job: Job) -> int:
        """The place of a job among those of its image, from 1."""
        return self.images[job.name].index(job) + 1

    def pending_job(self, map_index: int) -> Job:
        """The job of a mapped task instance. Raises NoSuchPage."""
        pending = self.plan.pending()
        if not 0 <= map_index < len(pending):
            raise NoSuchPage(f"This run mapped {len(pending)} jobs, and none has index {map_index}.")
        return pending[map_index]


@lru_cache(maxsize=2)
def _read_plan(path: Path, modified: int) -> Plan:
    """A plan as it was at a time; that of a large library takes seconds to read, and a page asks for many files."""
    return Plan.read(path)


def recent_runs(session: Session, dag_ids: set[str], offset: int, limit: int) -> list[Run]:
    """The latest runs of those of the DAGs that are of this project, the newest first."""
    query = _query().where(DagRun.dag_id.in_(dag_ids)).order_by(DagRun.run_after.desc(), DagRun.id.desc())
    return [_run(row) for row in session.execute(query.offset(offset).limit(limit))]


def find_run(session: Session, dag_id: str, run_id: str) -> Run:
    """One run. Raises NoSuchPage where there is none, or where it is not of this project."""
    row = session.execute(_query().where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).first()
    if row is None:
        raise NoSuchPage("There is no such run of image compression, or it has planned nothing yet.")
    return _run(row)


def _query() -> Select[Any]:
    planned, reported = aliased(XComModel), aliased(XComModel)
    return (
        select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.run_after)
        .add_columns(planned.value, reported.value)
        .join(planned, and_(planned.dag_run_id == DagRun.id, planned.key == PLANNED))
        .outerjoin(reported, and_(reported.dag_run_id == DagRun.id, reported.key == REPORTED))
    )


def _run(row: Any) -> Run:
    dag_id, run_id, state, kind, at, planned, reported = row
    return Run(dag_id, run_id, str(state), str(kind), at, planned, reported)
