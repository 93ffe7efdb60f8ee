"""The plan of a run: its jobs, each an image at a k, and which of them are done already. Standard library only.

DAG files import this module: nothing here may load numpy, OpenCV or PySpark, or open a file at import time.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from colorquant.errors import InvalidFolder, InvalidPlan, InvalidTarget, TooManyJobs
from colorquant.jobs.folders import RunFolders
from colorquant.jobs.job import Job
from colorquant.jobs.records import SCHEMA_VERSION
from colorquant.limits import MAX_COLORS, PaletteSize
from colorquant.settings import Settings
from colorquant.storage import IMAGE_SUFFIXES, JsonRecord, PathText, StrPath, is_file, location, sha256_of
from colorquant.target import Target

#: Given in place of palette sizes: find the smallest k that reaches the target.
AUTO = "auto"
#: In place of palette sizes: find the palette of the fewest colors that reaches the target, all settings as they are.
FEWEST = "fewest"


@dataclass(frozen=True, kw_only=True)
class Plan(JsonRecord):
    """All jobs of a run.

    Attributes
    ----------
    run_id : the run's name; no two runs of an output folder have the same.
    images_folder : path or URI of the folder of the images.
    ks : palette sizes, ascending; empty where each job finds the smallest k that reaches ``target``.
    reused : labels of the jobs whose result existed before the run; empty where ``force`` plans all jobs again.
    ignored : names of the files of the folder that are not images.
    target : the quality target as ``str(Target)`` writes it.
    pattern : the pattern that the images' names match.
    exclude : patterns of the names that are left out, separated by semicolons.
    planned_at : ISO 8601 time in UTC when the library was listed; None in plans of versions that did not note it.
    unreadable : folders of the library that could not be read, and photographs in formats that are not read, by their
        paths below it, each with the reason. Their images are not part of the run, and not gone either.
    pending_before : labels of the jobs that were pending in the run's previous plan, where it was planned again.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    images_folder: PathText
    ks: tuple[PaletteSize, ...]
    settings: Settings
    jobs: tuple[Job, ...]
    reused: frozenset[str]
    ignored: tuple[str, ...]
    force: bool = False
    target: str | None = None
    pattern: str = "*"
    exclude: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)
    planned_at: str | None = None
    pending_before: tuple[str, ...] = ()

    def pending(self) -> list[Job]:
        """The jobs that are still to be done."""
        return [job for job in self.jobs if job.label not in self.reused]

    def submissions(self) -> list[dict[str, Any]]:
        """The keyword arguments in which the pending jobs' spark-submits differ: name, arguments, two files."""
        force = ["--force"] if self.force else []
        return [
            {
                "name": job.title,
                "application_args": job.arguments() + force,
                "failure": job.failure,
                "kills": None if self.force else job.kills,
            }
            for job in self.pending()
        ]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a person asks for, before anything of it is checked.

    Attributes
    ----------
    run_id : the run's name.
    images : path or URI of the folder of the images.
    ks : palette sizes, as numbers or as texts; or ``AUTO`` alone, to find the smallest file that reaches the
        target; or ``FEWEST`` alone, to find the fewest colors that reach it.
    output : path or URI of the folder for outputs and reports.
    settings : the settings of the compression; by default all of those are free that a search may choose.
    target : the quality target (``Target.parse``); empty for none.
    pattern : which images, by their path below the folder, as ``fnmatch`` matches it: ``*`` also matches slashes.
    exclude : patterns of the images that are left out, separated by semicolons.
    publish : path or URI of the folder that the run publishes to; empty or None for none. Like the output folder it
        may lie in the image folder: files in either are not images of the run.
    force : plan all jobs, including those whose result exists.
    """

    run_id: str
    images: str
    ks: Iterable[str | int] | None
    output: str
    settings: Settings = Settings.parse({})
    target: str = ""
    pattern: str = "*"
    exclude: str = ""
    publish: str | None = None
    force: bool = False


def plan_run(request: RunRequest, max_jobs: int | None = None, look_at_all: "LookAtAll" = map) -> Plan:
    """List the images of a folder, and make a job for each of them and each k.

    Parameters
    ----------
    request : RunRequest
        What to plan.
    max_jobs : int, optional
        The largest number of jobs that the caller can run; None for any.
    look_at_all : callable, optional
        Maps a function over the images' names, in order; the function reads the files. By default it runs in this
        process, for one image after the other.

    Returns
    -------
    Plan
        It is not written.

    Raises
    ------
    TooManyJobs
        Where the plan would have more than ``max_jobs``.
    InvalidPlan
        For a wrong parameter, or a folder that the run cannot work with (``RunFolders.of``) or that has no images.
    """
    given = list(request.ks or ())
    ks = parse_ks(given)
    target = parse_target(request.target, ks)
    planned_at = datetime.now(UTC).isoformat()
    settings = request.settings if _texts(given) == [AUTO] else request.settings.fixed()
    try:
        folders = RunFolders.of(request.images, request.output, request.publish)
        listing = folders.list_images(request.pattern, request.exclude)
    except InvalidFolder as error:
        raise InvalidPlan(str(error)) from None
    names = listing.images
    if not names:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        matching = "" if request.pattern == "*" else f" that matches {request.pattern!r}"
        matching += f" and is not excluded by {request.exclude!r}" if request.exclude else ""
        raise InvalidPlan(
            f"There is no image{matching} in {request.images!r}: no file name there ends in one of {suffixes}."
            f"{_unreadable_sentence(listing.unreadable)}"
        )
    count = len(names) * max(1, len(ks))
    if max_jobs is not None and count > max_jobs:
        raise TooManyJobs(count, max_jobs)
    jobs_of = _JobMaker(request.run_id, str(folders.images), str(folders.output), ks or (None,), settings, target)
    jobs: list[Job] = []
    reused: list[str] = []
    for name, seen in zip(names, look_at_all(partial(_look_at, jobs_of, request.force), names), strict=True):
        jobs_of_image = jobs_of(name, seen)
        jobs += jobs_of_image
        reused += [jobs_of_image[index].label for index in seen.done]
    return Plan(
        run_id=request.run_id,
        images_folder=str(folders.images),
        ks=ks,
        settings=settings,
        jobs=tuple(jobs),
        reused=frozenset(reused),
        ignored=tuple(listing.ignored),
        unreadable=listing.unreadable,
        planned_at=planned_at,
        force=request.force,
        target=target,
        pattern=request.pattern,
        exclude=request.exclude,
    )


def _unreadable_sentence(unreadable: Mapping[str, str]) -> str:
    named = ", ".join(f"{name!r} ({reason})" for name, reason in unreadable.items())
    return f" These are not read: {named}." if named else ""


def parse_ks(ks: Iterable[str | int] | None) -> tuple[int, ...]:
    """Palette sizes, ascending and distinct; none for ``AUTO`` and ``FEWEST``.

    Raises
    ------
    InvalidPlan
        Where there is none, or one is not a whole number from 1 to ``MAX_COLORS``.
    """
    sizes = set()
    given = list(ks or ())
    if _texts(given) in ([AUTO], [FEWEST]):
        return ()
    for k in given:
        if not re.fullmatch(r"[0-9]{1,9}", str(k).strip()) or not 1 <= int(k) <= MAX_COLORS:
            raise InvalidPlan(
                f"k = {k!r} is not a palette size: give whole numbers from 1 to {MAX_COLORS}, or {AUTO} or "
                f"{FEWEST} alone."
            )
        sizes.add(int(k))
    if not sizes:
        raise InvalidPlan("No k is given: give at least one palette size, for example 16.")
    return tuple(sorted(sizes))


def _texts(ks: Iterable[str | int]) -> list[str]:
    return [str(k).strip() for k in ks]


def parse_target(target: str, ks: Sequence[int]) -> str | None:
    """The target as ``str(Target)`` writes it; None where it is empty.

    Raises
    ------
    InvalidPlan
        For a text that is not a target, and where ``ks`` is empty, as for ``AUTO`` and ``FEWEST``, which need a target.
    """
    if not target.strip():
        if not ks:
            raise InvalidPlan(f"k = {AUTO} or {FEWEST} searches for a quality: give a target, like ssim=0.95.")
        return None
    try:
        return str(Target.parse(target))
    except InvalidTarget as error:
        raise InvalidPlan(f"target: {error}") from None


@dataclass(frozen=True)
class _Seen:
    """What an image's file shows: its hash, its size in bytes, and which of its jobs (by index) are done."""

    sha256: str | None
    size: int
    done: tuple[int, ...] = ()


LookAtAll = Callable[[Callable[[str], _Seen], list[str]], Iterable[_Seen]]


@dataclass(frozen=True)
class _JobMaker:
    """Makes the jobs of an image. It is pickled and sent to the processes that read the files."""

    run_id: str
    folder: str
    output_folder: str
    ks: Sequence[int | None]
    settings: Settings
    target: str | None

    def __call__(self, name: str, seen: _Seen) -> list[Job]:
        identity = json.dumps([seen.sha256, *self.settings.identity()], sort_keys=True)
        fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:12]
        home = f"{self.output_folder.rstrip('/')}/compressed/{name}/{fingerprint}"
        failures = f"{run_folder(self.output_folder, self.run_id)}/failures"
        stems = [self.target if k is None else f"k{k:03d}" for k in self.ks]
        return [
            Job(
                image=f"{self.folder.rstrip('/')}/{name}",
                name=name,
                image_sha256=seen.sha256,
                k=k,
                settings=self.settings,
                output=f"{home}/{stem}.{self.settings.format}",
                result=f"{home}/{stem}.json",
                failure=f"{failures}/{fingerprint}-{_digest(name)}-{stem}.json",
                target=self.target if k is None else None,
                image_bytes=seen.size,
            )
            for k, stem in zip(self.ks, stems, strict=True)
        ]


def _look_at(jobs_of: _JobMaker, force: bool, name: str) -> _Seen:
    image = location(f"{jobs_of.folder.rstrip('/')}/{name}")
    try:
        # Only regular files are opened: reading a FIFO would never end. Its job reports that it is one.
        seen = _Seen(sha256_of(image, jobs_of.folder), image.stat().st_size) if is_file(image) else _Seen(None, 0)
    except OSError:
        seen = _Seen(None, 0)
    done = () if force else tuple(index for index, job in enumerate(jobs_of(name, seen)) if job.is_done())
    return replace(seen, done=done)


def run_folder(output_folder: StrPath, run_id: str) -> Path:
    """The folder of a run's plan and report. Different runs have different folders."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", run_id).lstrip(".")[:100]
    return location(output_folder) / "runs" / f"{readable}-{_digest(run_id)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
