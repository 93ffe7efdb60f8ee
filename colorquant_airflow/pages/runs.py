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
from colorquant.jobs import PROGRESS, Job, Plan, PlannedJobs, RunProgress
from colorquant.report import REVIEW, Choice, Review, Row, Summary, choose, read_summary, row_of
from colorquant.retention import pruned_before
from colorquant.storage import allow, is_file, is_remote, location, version_of
from colorquant.target import Target
from colorquant_airflow.links import instance_path
from colorquant_airflow.private import DagRun, XComModel
from colorquant_airflow.storage_connection import ConnectionRefused, NoSuchConnection, storage_options
from colorquant_airflow.xcoms import PLANNED, PUBLISHED, REPORTED

#: The DAGs of this project. What other DAGs say of their runs is not shown.
CORPUS = "kmeans_corpus_compression"
DAG_IDS = {"kmeans_image_compression", CORPUS}


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
    published : dict or None
        The XCom ``xcoms.PUBLISHED``; None where the run does not publish, or has not yet.
    """

    dag_id: str
    run_id: str
    state: str
    kind: str
    at: datetime
    planned: dict[str, Any]
    reported: dict[str, Any] | None
    published: dict[str, Any] | None = None

    @property
    def refused(self) -> str | None:
        """Why nothing was planned; None if something was."""
        return self.planned.get("refused")

    @property
    def unpublished(self) -> str | None:
        """Why a run that was to publish has published nothing; None for all others."""
        return (self.published or {}).get("refused")

    @property
    def waits_until(self) -> datetime | None:
        """Until when a person may approve the publication that the run waits with, UTC; None if it does not wait."""
        waits = (self.published or {}).get("waits") if self.goes_on else None
        return datetime.fromisoformat(waits) if waits else None

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
    def store_options(self) -> dict[str, dict[str, Any]] | None:
        """Options for the run's object store, by scheme; None for those of the environment. Raises NoAccess."""
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
    def summary(self) -> Summary | None:
        """The summary of the report; None before there is one, and where it cannot be read."""
        path = self.folder / "summary.json"
        try:
            summary = _read_summary(str(self.folder), version_of(path))
        except StoreUnavailable:
            raise
        except (OSError, InvalidRecord, InvalidLocation):
            return None
        return summary if summary.run_id == self.run_id else None

    @property
    def progress(self) -> RunProgress | None:
        """How far the application of a whole library is; None where none runs, or it has told nothing yet."""
        if self.dag_id != CORPUS or not self.goes_on or self.reported:
            return None
        try:
            return RunProgress.read(self.folder / PROGRESS)
        except StoreUnavailable:
            raise
        except (OSError, InvalidRecord, InvalidLocation):
            return None

    @cached_property
    def review(self) -> Review:
        """What the run has asked a person, with the answer. Raises NoSuchPage where it has asked nothing."""
        try:
            review = Review.read(self.folder / REVIEW)
        except StoreUnavailable:
            raise
        except (OSError, InvalidRecord) as error:
            raise NoSuchPage("This run has asked nobody before it published.") from error
        if review.run_id != self.run_id:
            raise NoSuchPage("The question in this run's folder is of another run.")
        return review

    @cached_property
    def images(self) -> dict[str, list[Job]]:
        """The jobs of each image, by the image's name, in the plan's order; of a plan in memory."""
        groups: dict[str, list[Job]] = {}
        for job in self.plan.jobs:
            groups.setdefault(job.name, []).append(job)
        return groups

    @property
    def in_parts(self) -> bool:
        """Whether the plan is too large to be in memory; then lists of its images are in the order of names."""
        return not self.refused and isinstance(self.plan.jobs, PlannedJobs)

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self.plan.jobs.entries) if isinstance(self.plan.jobs, PlannedJobs) else len(self.images)

    def jobs_of(self, number: int) -> list[Job]:
        """The jobs of an image; ``number`` counts images from 1. Raises NoSuchPage."""
        if not 1 <= number <= self.count:
            raise NoSuchPage(f"This run has {self.count} images, and none has the number {number}.")
        if isinstance(self.plan.jobs, PlannedJobs):
            return self.plan.jobs.of_image(number - 1)
        return list(self.images.values())[number - 1]

    def job_of(self, number: int, position: int) -> Job:
        """The job of an image at a position, from 1. Raises NoSuchPage."""
        jobs = self.jobs_of(number)
        if not 1 <= position <= len(jobs):
            raise NoSuchPage(f"This image has {len(jobs)} jobs, and none has the number {position}.")
        return jobs[position - 1]

    def rows_of(self, number: int) -> list[Row]:
        """The report's rows of an image, also while the run goes on. Raises NoSuchPage."""
        return [row_of(job, job.label in self.plan.reused, self.folder) for job in self.jobs_of(number)]

    @property
    def goes_on(self) -> bool:
        """Whether the run has not ended: what has no outcome yet may get one."""
        return self.state in ("queued", "running")

    def choice_of(self, rows: list[Row]) -> Choice | None:
        """The file worth keeping of an image, by its rows; None before all of its jobs have ended."""
        if self.goes_on and any(row.untried for row in rows):
            return None
        return choose(rows, Target.parse(self.plan.target) if self.plan.target else None)

    def log_of(self, job: Job) -> str | None:
        """Path of the task instance of a job in Airflow's UI; None where it had none, since its output was reused."""
        if self.dag_id == CORPUS:
            return instance_path(self.dag_id, self.run_id, "compress_corpus")
        labels = [each.label for each in self.plan.pending()] or list(self.plan.pending_before)
        if job.label not in labels:
            return None
        return instance_path(self.dag_id, self.run_id, "compress_image", labels.index(job.label))

    def number_of(self, job: Job) -> int:
        """The number of a job's image, from 1."""
        return self.plan.numbered({job.name})[job.name][0]

    def position_of(self, job: Job) -> int:
        """The position of a job among those of its image, from 1."""
        return self.plan.numbered({job.name})[job.name][1].index(job) + 1

    def place_of(self, image: str, k: int | None) -> tuple[int, int]:
        """The number of an image, and the position of its job whose output has k colors, from 1; 1 without such one."""
        number, jobs = self.plan.numbered({image})[image]
        positions = [position for position, job in enumerate(jobs, start=1) if job.k == k]
        return number, positions[0] if positions else 1

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
    if isinstance(plan.jobs, PlannedJobs):  # Paths of its jobs are made of this folder, and of names that are checked.
        if os.path.normpath(plan.output_folder) != output:
            raise InvalidRecord("it names files outside the run's output folder")
        return plan
    written = [path for job in plan.jobs for path in (job.output, job.result, job.failure)]
    if not all(_is_in(output, path) for path in written):
        raise InvalidRecord("it names files outside the run's output folder")
    if not all(_is_in(os.path.normpath(plan.images_folder), job.image) for job in plan.jobs):
        raise InvalidRecord("it names images outside the run's image folder")
    return plan


@lru_cache(maxsize=2)
def _read_summary(folder: str, version: str) -> Summary:
    """One version of a run's summary, cached as its plan is."""
    return read_summary(location(folder) / "summary.json")


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
    planned, reported, published = aliased(XComModel), aliased(XComModel), aliased(XComModel)
    return (
        select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.run_after)
        .add_columns(planned.value, reported.value, published.value)
        .join(planned, and_(planned.dag_run_id == DagRun.id, planned.key == PLANNED))
        .outerjoin(reported, and_(reported.dag_run_id == DagRun.id, reported.key == REPORTED))
        .outerjoin(published, and_(published.dag_run_id == DagRun.id, published.key == PUBLISHED))
        .where(DagRun.dag_id.in_(DAG_IDS))
    )


def _run(row: Any) -> Run:
    dag_id, run_id, state, kind, at, *told = row
    return Run(dag_id, run_id, str(state), str(kind), at, *told)
