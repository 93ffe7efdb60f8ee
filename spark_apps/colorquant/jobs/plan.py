"""The plan of a run: which (image, k) jobs there are, and which of them are done already. Standard library only.

A DAG file imports this module, so nothing here may load numpy, cv2 or pyspark, nor touch a file at import time.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from colorquant.errors import InvalidFolder, InvalidPlan, InvalidRecord, InvalidTarget
from colorquant.jobs.folders import RunFolders
from colorquant.jobs.job import Job
from colorquant.jobs.records import SCHEMA_VERSION
from colorquant.limits import MAX_COLORS
from colorquant.settings import Settings
from colorquant.storage import IMAGE_SUFFIXES, StrPath, location, read, sha256_of, write_atomically
from colorquant.target import Target

#: In place of palette sizes: find the smallest that reaches the target.
AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All jobs of a run.

    ``ks`` is empty where each job finds the smallest k that reaches ``target``. ``reused`` are the labels of the jobs
    whose result was there before the run: none where ``force`` asks for all.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    images_folder: str
    ks: tuple[int, ...]
    settings: Settings
    jobs: tuple[Job, ...]
    reused: frozenset[str]
    ignored: tuple[str, ...]
    force: bool = False
    target: str | None = None
    pattern: str = "*"

    def pending(self) -> list[Job]:
        """The jobs that a Spark application must still do."""
        return [job for job in self.jobs if job.label not in self.reused]

    def submissions(self) -> list[dict[str, Any]]:
        """What differs between the pending jobs' spark-submits: their name, arguments and failure file."""
        force = ["--force"] if self.force else []
        return [
            {"name": job.title, "application_args": job.arguments() + force, "failure": job.failure}
            for job in self.pending()
        ]

    def write(self, path: StrPath) -> None:
        """Write the plan as JSON, atomically."""
        content = dataclasses.asdict(self) | {"reused": sorted(self.reused)}
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: StrPath) -> Self:
        """Read a plan. Raises FileNotFoundError, or InvalidRecord for another schema version."""
        content = json.loads(read(path))
        if content.get("schema_version") != SCHEMA_VERSION:
            raise InvalidRecord(f"{path}: schema_version {content.get('schema_version')!r} is unknown")
        jobs = tuple(Job(**job | {"settings": Settings(**job["settings"])}) for job in content["jobs"])
        return cls(
            **content
            | {
                "settings": Settings(**content["settings"]),
                "ks": tuple(content["ks"]),
                "jobs": jobs,
                "reused": frozenset(content["reused"]),
                "ignored": tuple(content["ignored"]),
            }
        )


def plan_run(
    run_id: str,
    images_folder: str,
    ks: Iterable[str | int],
    output_folder: str,
    settings: Settings | None = None,
    max_jobs: int | None = 1024,
    force: bool = False,
    target: str = "",
    pattern: str = "*",
    publish: str | None = None,
    look_at_all: "LookAtAll" = map,
) -> Plan:
    """List the images below a folder and make a job for each of them and each k.

    Parameters
    ----------
    ks : palette sizes, as numbers or as the strings that Airflow's trigger form sends; or ``AUTO`` alone, to find the
        smallest that reaches the target.
    max_jobs : how many tasks Airflow can map at most (``[core] max_map_length``); None where it maps none.
    force : plan every job, also those whose result is there.
    target : the quality that is asked for (``target.Target``); empty for none.
    pattern : which images, by their path below the folder, as `fnmatch` has it: ``*`` also matches slashes.
    publish : the folder that the run publishes to. Like the output folder it may lie in the image folder: nothing in
        either is an image of the library.
    look_at_all : maps a function over the images' names, in order; files are only looked at within it. By default one
        after the other in this process.

    Raises
    ------
    InvalidPlan
        For a wrong parameter, a folder that cannot be worked with (``places.RunFolders``) or has no images, or too many
        jobs.
    """
    settings = settings or Settings()
    sizes = parse_ks(ks)
    wanted = parse_target(target, sizes)
    try:
        places = RunFolders.of(images_folder, output_folder, publish)
    except InvalidFolder as error:
        raise InvalidPlan(str(error)) from None
    folder, output = str(places.images), str(places.output)
    names, ignored = places.image_names(pattern)
    if not names:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        matching = "" if pattern == "*" else f" that matches {pattern!r}"
        raise InvalidPlan(f"There is no image{matching} in {images_folder!r}: no file there ends in one of {suffixes}.")
    jobs_each = len(sizes or (None,))
    if max_jobs is not None and len(names) * jobs_each > max_jobs:
        raise InvalidPlan(
            f"{len(names)} images x {jobs_each} k are {len(names) * jobs_each} jobs, and Airflow maps at most "
            f"{max_jobs}. Trigger the DAG kmeans_corpus_compression in Airflow's UI (make ui), which does them all in "
            "one Spark application; or give fewer k or a smaller folder; or start Airflow (make run, make ui) with "
            f"AIRFLOW__CORE__MAX_MAP_LENGTH={len(names) * jobs_each} in the environment."
        )
    jobs_of = _JobMaker(run_id, folder, output, sizes or (None,), settings, wanted)
    jobs: list[Job] = []
    reused: list[str] = []
    for name, seen in zip(names, look_at_all(partial(_look_at, jobs_of, force), names), strict=True):
        jobs_of_image = jobs_of(name, seen)
        jobs += jobs_of_image
        reused += [jobs_of_image[index].label for index in seen.done]
    return Plan(
        run_id=run_id,
        images_folder=folder,
        ks=sizes,
        settings=settings,
        jobs=tuple(jobs),
        reused=frozenset(reused),
        ignored=tuple(ignored),
        force=force,
        target=wanted,
        pattern=pattern,
    )


def parse_ks(ks: Iterable[str | int] | None) -> tuple[int, ...]:
    """Palette sizes, ascending and distinct; none for ``AUTO``.

    Raises InvalidPlan where one is no whole number from 1 to 256.
    """
    sizes = set()
    given = list(ks or ())
    if [str(k).strip() for k in given] == [AUTO]:
        return ()
    for k in given:
        if not re.fullmatch(r"[0-9]{1,9}", str(k).strip()) or not 1 <= int(k) <= MAX_COLORS:
            raise InvalidPlan(
                f"k = {k!r} is no palette size: give whole numbers from 1 to {MAX_COLORS}, or {AUTO} alone."
            )
        sizes.add(int(k))
    if not sizes:
        raise InvalidPlan("No k is given: give at least one palette size, for example 16.")
    return tuple(sorted(sizes))


def parse_target(target: str, ks: Sequence[int]) -> str | None:
    """The target as it is always written; None where none is asked for. Raises InvalidPlan, also if AUTO needs one."""
    if not target.strip():
        if not ks:
            raise InvalidPlan(f"k = {AUTO} finds the smallest k that reaches a target: give a target, like ssim=0.95.")
        return None
    try:
        return str(Target.parse(target))
    except InvalidTarget as error:
        raise InvalidPlan(f"target: {error}") from None


@dataclass(frozen=True)
class _Seen:
    """What is found out about an image by looking at its file: hash, size, and which of its jobs are done already."""

    sha256: str | None
    size: int
    done: tuple[int, ...] = ()


LookAtAll = Callable[[Callable[[str], _Seen], list[str]], Iterable[_Seen]]


@dataclass(frozen=True)
class _JobMaker:
    """Makes the jobs of an image; travels to where images are looked at."""

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
        # Only a regular file is opened: reading a FIFO would wait for ever. Its job says what it is instead.
        seen = _Seen(sha256_of(image), image.stat().st_size) if image.is_file() else _Seen(None, 0)
    except OSError:
        seen = _Seen(None, 0)
    done = () if force else tuple(index for index, job in enumerate(jobs_of(name, seen)) if job.is_done())
    return replace(seen, done=done)


def run_folder(output_folder: StrPath, run_id: str) -> Path:
    """The folder of a run's plan and report: no two runs share one."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", run_id).lstrip(".")[:100]
    return location(output_folder) / "runs" / f"{readable}-{_digest(run_id)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
