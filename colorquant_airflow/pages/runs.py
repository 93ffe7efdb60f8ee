"""The runs in Airflow's database, and their files: XComs of tasks name them, a request never does."""

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, aliased

from colorquant.errors import InvalidLocation, InvalidRecord, NotAllowed, StoreUnavailable
from colorquant.jobs import Job, Plan
from colorquant.report import Row, row_of
from colorquant.retention import pruned_before
from colorquant.storage import allow, is_file, is_remote, location, version_of
from colorquant_airflow.private import DagRun, XComModel
from colorquant_airflow.storage_connection import ConnectionRefused, NoSuchConnection, storage_options
from colorquant_airflow.xcoms import PLANNED, REPORTED

#: The DAGs of this project. What other DAGs say of their runs is not shown.
DAG_IDS = {"kmeans_image_compression", "kmeans_corpus_compression"}


class NoSuchPage(LookupError):
    """A page does not exist; the message says why."""


class NoAccess(RuntimeError):
    """The run's object store refuses Airflow's API server; the message says why, and what to do."""


@dataclass(frozen=True)
class Run:
    """A run of a DAG of this project.

    Attributes
    ----------
    dag_id, run_id, state, kind : str
        As in Airflow's database; ``kind`` is the type of the run.
    at : datetime
        When the run was to start, UTC.
    planned : dict
        The XCom ``xcoms.PLANNED`` of its tasks.
    reported : dict or None
        The XCom ``xcoms.REPORTED``; None before the report is written.
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
        """Why nothing was planned; None if something was."""
        return self.planned.get("refused")

    @property
    def repeats(self) -> str | None:
        """The earlier run whose report is also this one's, since nothing was new; None for a report of its own."""
        return (self.reported or {}).get("repeats")

    @property
    def has_report(self) -> bool:
        """Whether the report's page exists."""
        try:
            return "folder" in self.planned and is_file(self.folder / "summary.html")
        except StoreUnavailable:
            raise
        except OSError:
            return False

    @property
    def folder(self) -> Path:
        """The run's own folder. Raises NoSuchPage if nothing was planned, or the folder may not be used."""
        if "folder" not in self.planned:
            raise NoSuchPage(f"Nothing was planned. {self.refused}")
        try:
            allow(self.planned["folder"])
            return location(self.planned["folder"])
        except InvalidLocation as error:
            raise NoSuchPage(str(error)) from error

    @property
    def output_folder(self) -> Path:
        """The folder of the outputs of all runs, in which all files of the run lie."""
        return self.folder.parent.parent

    @cached_property
    def store_options(self) -> dict[str, Any] | None:
        """Options of s3fs for the run's object store; None for those of the environment. Raises NoAccess."""
        name = self.planned.get("storage_connection")
        try:
            return storage_options(str(name)) if name else None
        except ConnectionRefused as error:
            raise NoAccess(str(error)) from error
        except NoSuchConnection as error:
            raise NoAccess(f"{error} Airflow's API server, which shows this page, must have it too.") from error

    def no_access(self, error: StoreUnavailable) -> NoAccess:
        """The error to show when the run's object store refuses: its answer, and what to check."""
        name = self.planned.get("storage_connection")
        source = (
            f"Airflow's connection {name!r}, which the run's storage_connection names"
            if name
            else "the environment of Airflow's API server, because the run's storage_connection is empty"
        )
        return NoAccess(
            f"The object store refuses access: {error.strerror or error}. The credentials come from {source}. "
            "Check the key and its secret there, its right to read, and the endpoint."
        )

    @cached_property
    def plan(self) -> Plan:
        """The plan of the run. Raises NoSuchPage if it cannot be read."""
        path = self.folder / "plan.json"
        try:
            plan = _read_plan(str(self.folder), version_of(path))
            if plan.run_id != self.run_id:
                raise InvalidRecord(f"{path} is of run {plan.run_id!r}")
            allow(plan.images_folder)
            return plan
        except StoreUnavailable:
            raise
        except NotAllowed as error:
            raise NoSuchPage(str(error)) from error
        except (OSError, InvalidRecord, InvalidLocation) as error:
            raise NoSuchPage(self._without_plan(error)) from error

    def _without_plan(self, error: Exception) -> str:
        if isinstance(error, FileNotFoundError) and self.at.timestamp() < pruned_before(self.output_folder):
            return (
                "This run was pruned: of old runs neither report nor plan is kept (COMPRESSION_KEEP_RUNS, "
                "COMPRESSION_KEEP_DAYS), and their outputs only where newer runs or a published folder need them."
            )
        if is_remote(self.folder):
            return (
                f"The plan of this run is not written yet, or can no longer be read: {str(self.folder)!r} has no plan "
                f"of this run ({type(error).__name__}: {error})."
            )
        return (
            f"The plan of this run is not written yet, or Airflow's API server cannot read it "
            f"({type(error).__name__}: {error}): the API server must see {str(self.folder)!r} as the workers do."
        )

    @cached_property
    def images(self) -> dict[str, list[Job]]:
        """The jobs of each image, by the image's name, in the plan's order."""
        groups: dict[str, list[Job]] = {}
        for job in self.plan.jobs:
            groups.setdefault(job.name, []).append(job)
        return groups

    def jobs_of(self, number: int) -> list[Job]:
        """The jobs of an image; ``number`` counts images from 1. Raises NoSuchPage."""
        groups = list(self.images.values())
        if not 1 <= number <= len(groups):
            raise NoSuchPage(f"This run has {len(groups)} images, and none has the number {number}.")
        return groups[number - 1]

    def rows_of(self, number: int) -> list[Row]:
        """The report's rows of an image, also while the run goes on. Raises NoSuchPage."""
        return [row_of(job, job.label in self.plan.reused, self.folder) for job in self.jobs_of(number)]

    def number_of(self, job: Job) -> int:
        """The number of a job's image, from 1."""
        return list(self.images).index(job.name) + 1

    def position_of(self, job: Job) -> int:
        """The position of a job among those of its image, from 1."""
        return self.images[job.name].index(job) + 1

    def pending_job(self, map_index: int) -> Job:
        """The job of a mapped task instance. Raises NoSuchPage."""
        pending = self.plan.pending()
        if 0 <= map_index < len(pending):
            return pending[map_index]
        # After a run was cleared, its plan has fewer jobs to do than there are task instances.
        before = self.plan.pending_before[map_index : map_index + 1] if map_index >= 0 else ()
        for job in self.plan.jobs:
            if job.label in before:
                return job
        raise NoSuchPage(f"This run mapped {len(pending)} jobs, and none has the index {map_index}.")


@lru_cache(maxsize=2)
def _read_plan(folder: str, version: str) -> Plan:
    """One version of a run's plan, cached: a large plan takes seconds to read, and a page asks for many files.

    The cache gives no access that a caller does not have: only the store tells a caller the version.
    """
    plan = Plan.read(location(folder) / "plan.json")
    # A user who may write to the run's folder need not have the right to read this machine's files, or other folders
    # that the run's credentials open.
    output = os.path.normpath(os.path.join(folder, "..", ".."))
    written = [path for job in plan.jobs for path in (job.output, job.result, job.failure)]
    if not all(_is_in(output, path) for path in written):
        raise InvalidRecord("it names files outside the run's output folder")
    if not all(_is_in(os.path.normpath(plan.images_folder), job.image) for job in plan.jobs):
        raise InvalidRecord("it names images outside the run's image folder")
    return plan


def _is_in(folder: str, path: str) -> bool:
    return os.path.normpath(path).startswith(f"{folder.rstrip('/')}/")


def recent_runs(session: Session, dag_ids: set[str], offset: int, limit: int) -> list[Run]:
    """The latest runs of this project among those of the given DAGs, the newest first."""
    query = _query().where(DagRun.dag_id.in_(dag_ids)).order_by(DagRun.run_after.desc(), DagRun.id.desc())
    return [_run(row) for row in session.execute(query.offset(offset).limit(limit))]


def find_run(session: Session, dag_id: str, run_id: str) -> Run:
    """One run. Raises NoSuchPage if there is none, or it is not of this project."""
    row = session.execute(_query().where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).first()
    if row is None:
        raise NoSuchPage("Image compression has no such run, or the run has not planned anything yet.")
    return _run(row)


def _query() -> Select[Any]:
    planned, reported = aliased(XComModel), aliased(XComModel)
    return (
        select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.run_after)
        .add_columns(planned.value, reported.value)
        .join(planned, and_(planned.dag_run_id == DagRun.id, planned.key == PLANNED))
        .outerjoin(reported, and_(reported.dag_run_id == DagRun.id, reported.key == REPORTED))
        .where(DagRun.dag_id.in_(DAG_IDS))
    )


def _run(row: Any) -> Run:
    dag_id, run_id, state, kind, at, planned, reported = row
    return Run(dag_id, run_id, str(state), str(kind), at, planned, reported)
