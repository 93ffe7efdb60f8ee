"""The runs that Airflow knows of, and what they left: found by what their tasks told, not by names in a request."""

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, aliased

from colorquant.errors import InvalidLocation, InvalidRecord, StoreUnavailable
from colorquant.jobs import Job, Plan
from colorquant.report import Row, row_of
from colorquant.storage import is_file, is_remote, location, version_of
from colorquant_airflow.dag.storage_connection import NoSuchConnection, storage_options
from colorquant_airflow.dag.xcoms import PLANNED, REPORTED


class NoSuchPage(LookupError):
    """There is nothing to show; the message says why."""


class NoAccess(RuntimeError):
    """The run's object store does not let Airflow's API server in; the message says why, and what to do."""


@dataclass(frozen=True)
class Run:
    """A run of a DAG of this project.

    ``planned`` and ``reported`` are what its tasks told (see ``colorquant_airflow.dag.steps``).
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
        return "folder" in self.planned and is_file(self.folder / "summary.html")

    @property
    def folder(self) -> Path:
        """The run's own folder. Raises NoSuchPage where nothing was planned."""
        if "folder" not in self.planned:
            raise NoSuchPage(f"Nothing was planned. {self.refused}")
        try:
            return location(self.planned["folder"])
        except InvalidLocation as error:
            raise NoSuchPage(str(error)) from error

    @cached_property
    def store_options(self) -> dict[str, Any] | None:
        """How the run gets at its object store; None: as the environment has it. Raises NoAccess."""
        name = self.planned.get("storage_connection")
        try:
            return storage_options(str(name)) if name else None
        except NoSuchConnection as error:
            raise NoAccess(f"{error} Airflow's API server, which shows this page, must have it too.") from error

    def no_access(self, error: StoreUnavailable) -> NoAccess:
        """What to tell of what the run's object store said."""
        name = self.planned.get("storage_connection")
        means = (
            f"Airflow's connection {name!r}, which the run's storage_connection names,"
            if name
            else "the environment of Airflow's API server, because the run's storage_connection names no connection,"
        )
        return NoAccess(
            f"The object store does not hand this out: {error.strerror or error}. It was asked with what {means} has. "
            "Check the key there and its secret, its right to read, and the endpoint."
        )

    @cached_property
    def plan(self) -> Plan:
        """What was planned. Raises NoSuchPage where the plan cannot be read."""
        path = self.folder / "plan.json"
        try:
            plan = _read_plan(str(self.folder), version_of(path))
            if plan.run_id != self.run_id:
                raise InvalidRecord(f"{path} is of run {plan.run_id!r}")
            return plan
        except StoreUnavailable:
            raise
        except (OSError, InvalidRecord) as error:
            raise NoSuchPage(self._without_plan(error)) from error

    def _without_plan(self, error: Exception) -> str:
        if is_remote(self.folder):
            return (
                f"The plan of this run is not written yet, or cannot be read any more: {str(self.folder)!r} has none "
                f"that is of this run ({type(error).__name__}: {error})."
            )
        return (
            f"The plan of this run is not written yet, or Airflow's API server cannot read it "
            f"({type(error).__name__}): {str(self.folder)!r} must be there for it as for the workers."
        )

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
def _read_plan(folder: str, version: str) -> Plan:
    """A version of a run's plan; that of a large library takes seconds to read, and a page asks for many files.

    Who asks for it has been told the version by the store, and so may read it.
    """
    plan = Plan.read(location(folder) / "plan.json")
    # Who may write to a bucket need not be one who may read this machine's files, or what else its credentials open.
    if is_remote(folder) and not _keeps_within(plan, folder):
        raise InvalidRecord("it names files outside the run's output folder")
    return plan


def _keeps_within(plan: Plan, folder: str) -> bool:
    output = f"{os.path.normpath(os.path.join(folder, '..', '..'))}/"
    written = (path for job in plan.jobs for path in (job.output, job.result, job.failure))
    return all(os.path.normpath(path).startswith(output) for path in written)


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
