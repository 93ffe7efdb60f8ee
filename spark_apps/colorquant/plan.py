"""The plan of a run: which (image, k) jobs there are, and which of them are done already. Standard library only.

A DAG file imports this module, so nothing here may load numpy, cv2 or pyspark, nor touch a file at import time.
"""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Self

from colorquant.files import sha256_of, write_atomically
from colorquant.jobs import Job
from colorquant.records import SCHEMA_VERSION, InvalidRecord
from colorquant.settings import Settings
from colorquant.target import InvalidTarget, Target

MAX_K = 256
#: In place of palette sizes: find the smallest that reaches the target.
AUTO = "auto"
#: Which files of a folder are images. What they really hold is found out by decoding them.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()
)


class InvalidPlan(ValueError):
    """The run cannot be planned; the message says which parameter is wrong and what to do."""


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

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as JSON, atomically."""
        content = dataclasses.asdict(self) | {"reused": sorted(self.reused)}
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a plan. Raises FileNotFoundError, or InvalidRecord for another schema version."""
        content = json.loads(Path(path).read_bytes())
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
    look_at_all : maps a function over the images' names, in order; files are only looked at within it. By default one
        after the other in this process.

    Raises
    ------
    InvalidPlan
        For a wrong parameter, a folder without images, or too many jobs.
    """
    settings = settings or Settings()
    sizes = parse_ks(ks)
    wanted = parse_target(target, sizes)
    folder = Path(images_folder)
    if not folder.is_dir():
        raise InvalidPlan(f"The image folder {images_folder!r} is no folder; give the path of one.")
    names, ignored = list_images(folder, pattern)
    if not names:
        suffixes = " ".join(sorted(IMAGE_SUFFIXES))
        matching = "" if pattern == "*" else f" that matches {pattern!r}"
        raise InvalidPlan(f"There is no image{matching} in {images_folder!r}: no file there ends in one of {suffixes}.")
    jobs_each = len(sizes or (None,))
    if max_jobs is not None and len(names) * jobs_each > max_jobs:
        raise InvalidPlan(
            f"{len(names)} images x {jobs_each} k are {len(names) * jobs_each} jobs, and Airflow maps at most "
            f"{max_jobs}. Trigger the DAG kmeans_corpus_compression, which does them all in one Spark application; or "
            "give fewer k or a smaller folder, or raise AIRFLOW__CORE__MAX_MAP_LENGTH."
        )
    jobs_of = _JobMaker(run_id, folder.absolute(), Path(output_folder).absolute(), sizes or (None,), settings, wanted)
    jobs: list[Job] = []
    reused: list[str] = []
    for name, seen in zip(names, look_at_all(partial(_look_at, jobs_of, force), names), strict=True):
        jobs_of_image = jobs_of(name, seen)
        jobs += jobs_of_image
        reused += [jobs_of_image[index].label for index in seen.done]
    return Plan(
        run_id=run_id,
        images_folder=str(folder.absolute()),
        ks=sizes,
        settings=settings,
        jobs=tuple(jobs),
        reused=frozenset(reused),
        ignored=tuple(ignored),
        force=force,
        target=wanted,
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
        if not re.fullmatch(r"[0-9]{1,9}", str(k).strip()) or not 1 <= int(k) <= MAX_K:
            raise InvalidPlan(f"k = {k!r} is no palette size: give whole numbers from 1 to {MAX_K}, or {AUTO} alone.")
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


def list_images(folder: Path, pattern: str = "*") -> tuple[list[str], list[str]]:
    """Relative paths of the images below a folder, and of the files that are ignored; both sorted.

    An image is a file whose name ends as an image's does, in any case of letters. Hidden files and folders are passed
    over; so are what does not match the pattern, a symbolic link that leads out of the folder, and a name that is not
    UTF-8, which neither Airflow's database nor Spark's JVM can hold.
    """
    images: list[str] = []
    ignored: list[str] = []
    for path in _files_below(folder):
        name = path.relative_to(folder).as_posix()
        if not fnmatchcase(name, pattern):
            continue
        inside = path.resolve().is_relative_to(folder.resolve())
        is_image = path.suffix.lower() in IMAGE_SUFFIXES and inside and _is_utf8(name)
        (images if is_image else ignored).append(name)
    return sorted(images), sorted(ignored)


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))


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
    folder: Path
    output_folder: Path
    ks: Sequence[int | None]
    settings: Settings
    target: str | None

    def __call__(self, name: str, seen: _Seen) -> list[Job]:
        identity = json.dumps([seen.sha256, *self.settings.identity()], sort_keys=True)
        fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:12]
        home = self.output_folder / "compressed" / name / fingerprint
        failures = run_folder(self.output_folder, self.run_id) / "failures"
        stems = [self.target if k is None else f"k{k:03d}" for k in self.ks]
        return [
            Job(
                image=str(self.folder / name),
                name=name,
                image_sha256=seen.sha256,
                k=k,
                settings=self.settings,
                output=str(home / f"{stem}.png"),
                result=str(home / f"{stem}.json"),
                failure=str(failures / f"{fingerprint}-{_digest(name)}-{stem}.json"),
                target=self.target if k is None else None,
                image_bytes=seen.size,
            )
            for k, stem in zip(self.ks, stems, strict=True)
        ]


def _look_at(jobs_of: _JobMaker, force: bool, name: str) -> _Seen:
    image = jobs_of.folder / name
    try:
        # Only a regular file is opened: reading a FIFO would wait for ever. Its job says what it is instead.
        seen = _Seen(sha256_of(image), image.stat().st_size) if image.is_file() else _Seen(None, 0)
    except OSError:
        seen = _Seen(None, 0)
    done = () if force else tuple(index for index, job in enumerate(jobs_of(name, seen)) if job.is_done())
    return replace(seen, done=done)


def run_folder(output_folder: str | os.PathLike[str], run_id: str) -> Path:
    """The folder of a run's plan and report: no two runs share one."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", run_id).lstrip(".")[:100]
    return Path(output_folder).absolute() / "runs" / f"{readable}-{_digest(run_id)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
