"""The plan of a run: its jobs, each an image at a k, and which of them are done already. Standard library only.

DAG files import this module: nothing here may load numpy, OpenCV or PySpark, or open a file at import time.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from colorquant import settings as settings_module
from colorquant.errors import (
    InvalidFolder,
    InvalidPlan,
    InvalidRecord,
    InvalidSetting,
    InvalidTarget,
    NotAllowed,
    TooManyJobs,
)
from colorquant.hex_colors import color_text
from colorquant.jobs.folders import RunFolders
from colorquant.jobs.job import TILED_SUFFIX, Job
from colorquant.jobs.memory import Memory, MemoryWriter, Recollection, Remembered, digest_of, is_settled, now
from colorquant.jobs.planned_jobs import Entry, PlannedJobs, ReusedLabels, entries_of
from colorquant.jobs.shared_palette import (
    SharedPalette,
    content_of,
    group_of,
    name_of_palette,
    news_of_palette,
    palette_path,
)
from colorquant.jobs.weights import WeightsFile, weights_below
from colorquant.limits import MAX_COLORS, Count, PaletteSize
from colorquant.settings import LIBRARY, Settings
from colorquant.storage import (
    IMAGE_SUFFIXES,
    PART_RECORDS,
    PARTS_FOLDER,
    FileVersion,
    JsonRecord,
    Part,
    PartWriter,
    PathText,
    StrPath,
    is_file,
    is_remote,
    location,
    parts_folder,
    sha256_of,
    versions_below,
)
from colorquant.target import Target

T = TypeVar("T")
R = TypeVar("R")

#: Given in place of palette sizes: find the smallest k that reaches the target.
AUTO = "auto"
#: In place of palette sizes: find the palette of the fewest colors that reaches the target, all settings as they are.
FEWEST = "fewest"

#: Images of a plan whose jobs are in memory. Those of a larger library are in files (``PlannedJobs``).
MAX_IN_MEMORY = 10_000

# Threads that hash: a disk's cores, or requests to an object store, which are slow one by one.
_READERS_OF_BUCKET = 16


@dataclass(frozen=True, kw_only=True)
class Plan(JsonRecord):
    """All jobs of a run.

    Its file has the images only (``_PlanFile``), some 100 bytes each, whatever the number of palette sizes. Of more
    than ``MAX_IN_MEMORY`` images it names files that have them, and ``jobs`` and ``reused`` read these when asked.

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
    output_folder : path or URI of the folder for outputs; empty in plans of version 1, whose jobs are in their file.
    identity : ``settings.identity()`` of the version of this project that planned: outputs are named by it.
    published_folder : path or URI of the folder that the run publishes to; None where it publishes nothing, and in
        plans of version 1.
    palettes : names of the palettes that images have in common, by the sub-folder of the images; empty where each
        image has a palette of its own.
    palette_news : for each of these a sentence: whether it stays or is found again, and why; none in a plan that was
        read.
    memory : what was seen of files, for the next plan; None in a plan that was read.
    """

    schema_version: int = 2
    run_id: str
    images_folder: PathText
    ks: tuple[PaletteSize, ...]
    settings: Settings
    jobs: Sequence[Job]
    reused: Set[str]
    ignored: tuple[str, ...]
    force: bool = False
    target: str | None = None
    pattern: str = "*"
    exclude: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)
    planned_at: str | None = None
    pending_before: tuple[str, ...] = ()
    output_folder: PathText = ""
    identity: tuple[Any, ...] = ()
    published_folder: PathText | None = None
    palettes: dict[str, str] = field(default_factory=dict)
    palette_news: tuple[str, ...] = field(default=(), compare=False)
    memory: Memory | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> str:
        """The text of the file."""
        kind = _PlanFileInParts if isinstance(self.jobs, PlannedJobs) else _PlanFile
        return kind.of(self).as_json()

    def write(self, path: StrPath) -> None:
        """Write the file; and to the output folder what was seen, for the next plan. Raises OSError."""
        self.remember()
        super().write(path)

    def remember(self) -> None:
        """Write to the output folder what was seen, for the next plan. Raises OSError."""
        if self.memory:
            self.memory.write_to(self.output_folder)

    @classmethod
    def of_json(cls, text: bytes, path: StrPath) -> Self:
        """The plan of a file's text; its parts are next to ``path``. Raises InvalidRecord as ``read``."""
        if text.startswith(_IN_PARTS):
            return cls(**_PlanFileInParts.of_json(text, path).fields_of_plan_in(location(path).parent))
        return super().of_json(text, path)

    @classmethod
    def _parse(cls, content: Any) -> Self:
        # Version 1 has every job in full, as the fields of this class.
        if isinstance(content, dict) and content.get("schema_version") == 1 and "jobs" in content:
            return super()._parse(content | {"schema_version": cls.schema_version})
        return cls(**_PlanFile._parse(content).fields_of_plan())

    @property
    def library(self) -> tuple[str, str, str]:
        """What the plan lists: the folder of its images, and the patterns of what is chosen and left out."""
        return self.images_folder, self.pattern, self.exclude

    def pending(self) -> list[Job]:
        """The jobs that are still to be done: all of them in memory."""
        return list(self.iterate_pending())

    def iterate_pending(self) -> Iterator[Job]:
        """The jobs that are still to be done, one at a time."""
        if isinstance(self.jobs, PlannedJobs):
            return self.jobs.pending()
        return (job for job in self.jobs if job.label not in self.reused)

    def numbered(self, names: Set[str]) -> dict[str, tuple[int, list[Job]]]:
        """Of some images, by their names, the number in the plan, from 1, and the jobs. Others are left out."""
        found: dict[str, tuple[int, list[Job]]] = {}
        if isinstance(self.jobs, PlannedJobs):
            for name in sorted(names):
                if (number := self.jobs.number_of(name)) is not None:
                    found[name] = number + 1, self.jobs.of_image(number)
            return found
        for number, (name, jobs) in enumerate(groupby(self.jobs, key=lambda job: job.name), start=1):
            if name in names:
                found[name] = number, list(jobs)
        return found

    def count_images(self) -> tuple[int, int]:
        """The number of images, and the sum of the bytes of their files."""
        if isinstance(self.jobs, PlannedJobs):
            return len(self.jobs.entries), sum(size for _, _, size, _ in self.jobs.entries)
        sizes = {job.name: job.image_bytes for job in self.jobs}
        return len(sizes), sum(sizes.values())

    def part_files(self) -> frozenset[str]:
        """The files with the images of a large library, by their paths relative to the plan's folder."""
        parts = self.jobs.entries.parts if isinstance(self.jobs, PlannedJobs) else ()
        return frozenset(f"{PARTS_FOLDER}/{part.file}" for part in parts)

    def palettes_to_find(self) -> list["PaletteRequest"]:
        """The palettes that images of pending jobs have in common, and that are not there yet."""
        if not self.palettes:
            return []
        needed: dict[str, set[int]] = {}
        for job in self.pending():
            if job.shared_palette and job.k and (self.force or not is_file(job.shared_palette)):
                needed.setdefault(group_of(job.name, self.settings), set()).add(job.k)
        images: dict[str, dict[str, Job]] = {}
        for job in self.jobs:
            images.setdefault(group_of(job.name, self.settings), {}).setdefault(job.name, job)
        return [
            PaletteRequest(
                name=self.palettes[group], folder=group, ks=tuple(sorted(ks)), images=(*images[group].values(),)
            )
            for group, ks in needed.items()
        ]

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
class PaletteRequest:
    """A palette that several images are to have in common.

    Attributes
    ----------
    name : its name (``name_of_palette``).
    folder : the sub-folder of its images; empty for the whole library.
    ks : palette sizes, ascending.
    images : one job of each image.
    """

    name: str
    folder: str
    ks: tuple[int, ...]
    images: tuple[Job, ...]


# Of the file of a plan, those that its class has in another form.
_OWN_FIELDS = ("pending", "images", "weights")


@dataclass(frozen=True, kw_only=True)
class _PlanFile(JsonRecord):
    """The file of a plan: what the jobs have in common, and each image's name, hash and size in bytes.

    ``pending`` are the indexes of the jobs that were not done, ``weights`` the pictures of weights by the names of
    their images. All other fields are those of ``Plan``.
    """

    indent: ClassVar[int | None] = None

    schema_version: int = 2
    run_id: str
    images_folder: PathText
    output_folder: PathText
    ks: tuple[PaletteSize, ...]
    settings: Settings
    identity: tuple[Any, ...]
    ignored: tuple[str, ...]
    force: bool
    target: str | None
    pattern: str
    exclude: str
    unreadable: dict[str, str]
    planned_at: str | None
    pending: tuple[Count, ...]
    pending_before: tuple[str, ...]
    images: tuple[tuple[PathText, str | None, Count], ...]
    published_folder: PathText | None = None
    palettes: dict[str, str] = field(default_factory=dict)
    weights: dict[str, WeightsFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        location(self.output_folder)
        if not self.ks:
            Target.parse(self.target or "")

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """The file of a plan."""
        same = {each.name: getattr(plan, each.name) for each in fields(cls) if each.name not in _OWN_FIELDS}
        firsts = [next(jobs) for _, jobs in groupby(plan.jobs, key=lambda job: job.name)]
        return cls(
            **same,
            pending=tuple(index for index, job in enumerate(plan.jobs) if job.label not in plan.reused),
            images=tuple((job.name, job.image_sha256, job.image_bytes) for job in firsts),
            weights={job.name: job.weights for job in firsts if job.weights},
        )

    def fields_of_plan(self) -> dict[str, Any]:
        """The values of the fields of ``Plan``."""
        same = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _OWN_FIELDS}
        jobs_of = _JobMaker.of(self)
        jobs = tuple(
            job
            for name, sha256, size in self.images
            for job in jobs_of(name, _Seen(sha256, size, weights=self.weights.get(name)))
        )
        pending = set(self.pending)
        reused = frozenset(job.label for index, job in enumerate(jobs) if index not in pending)
        return same | {"jobs": jobs, "reused": reused}


_IN_PARTS = b'{"schema_version":3,'
_OWN_FIELDS_IN_PARTS = (*_OWN_FIELDS, "schema_version", "reused", "parts")


@dataclass(frozen=True, kw_only=True)
class _PlanFileInParts(_PlanFile):
    """The file of a plan of very many images.

    ``parts`` are files next to it with an ``Entry`` a line, in place of ``images`` and ``pending``, which are empty.
    ``reused`` is the number of jobs that were done. There are neither palettes in common nor weights.
    """

    schema_version: int = 3
    reused: Count = 0
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images or self.pending or not self.parts:
            raise InvalidRecord("images and pending are not empty, or parts are")

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """The file of a plan."""
        same = {each.name: getattr(plan, each.name) for each in fields(cls) if each.name not in _OWN_FIELDS_IN_PARTS}
        assert isinstance(plan.jobs, PlannedJobs)
        return cls(**same, pending=(), images=(), reused=len(plan.reused), parts=plan.jobs.entries.parts)

    def fields_of_plan_in(self, folder: Path) -> dict[str, Any]:
        """The values of the fields of ``Plan``; ``folder`` is that of the run."""
        same = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _OWN_FIELDS_IN_PARTS}
        jobs = _planned_jobs(_JobMaker.of(self), folder, self.parts)
        return same | {"jobs": jobs, "reused": ReusedLabels(jobs, self.reused)}


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


def plan_run(
    request: RunRequest,
    max_jobs: int | None = None,
    look_at_all: "LookAtAll | None" = None,
    looked_at: float | None = None,
) -> Plan:
    """List the images of a folder, and make a job for each of them and each k.

    Files that are as the last plan of the library saw them are not read (``memory``). Of more than ``MAX_IN_MEMORY``
    images, the entries of the plan are written to the run's folder part by part, unless they have palettes in common or
    weights.

    Parameters
    ----------
    request : RunRequest
        What to plan.
    max_jobs : int, optional
        The largest number of jobs that the caller can run; None for any.
    look_at_all : callable, optional
        Maps a function over a list, in order; the function reads the files of an image. By default it runs in threads
        of this process.
    looked_at : float, optional
        The time in seconds since 1970; now by default.

    Returns
    -------
    Plan
        It is not written, apart from its parts.

    Raises
    ------
    TooManyJobs
        Where the plan would have more than ``max_jobs``.
    InvalidPlan
        For a wrong parameter, or a folder that the run cannot work with (``RunFolders.of``) or that has no images.
    """
    given = list(request.ks or ())
    ks = parse_ks(given, request.settings)
    target = parse_target(request.target, ks)
    looked_at = now() if looked_at is None else looked_at
    planned_at = datetime.now(UTC).isoformat()
    settings = request.settings if _texts(given) == [AUTO] else request.settings.fixed()
    earlier = settings.earlier_palette
    if earlier:  # Outputs of the run that found it are current.
        settings = replace(settings, palette=LIBRARY)
    try:
        folders = RunFolders.of(request.images, request.output, request.publish, settings.weights)
        listing = folders.list_images(request.pattern, request.exclude)
    except InvalidFolder as error:
        raise InvalidPlan(str(error)) from None
    settings = replace(settings, weights=str(folders.weights or ""))
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
    if earlier:
        _check_earlier(str(folders.output), earlier, ks, settings)
    jobs_of = _JobMaker(
        run_id=request.run_id,
        images_folder=str(folders.images),
        output_folder=str(folders.output),
        ks=ks or (None,),
        settings=settings,
        identity=tuple(settings.identity()),
        target=target,
        palettes={"": earlier} if earlier else {},
    )
    jobs: Sequence[Job]
    reused: Set[str]
    memory: Memory
    news: tuple[str, ...] = ()
    looking = _Looking(request.force, look_at_all or _in_threads(is_remote(folders.images)), looked_at)
    patterns = (request.pattern, request.exclude)
    if len(names) > MAX_IN_MEMORY and not settings.shared and not settings.weights:
        jobs, reused, memory = _look_by_parts(jobs_of, names, patterns, looking)
    else:
        jobs_of, seen, memory, news = _look(jobs_of, names, patterns, looking)
        made = [(seen[name], jobs_of(name, seen[name])) for name in names]
        jobs = tuple(job for _, jobs_of_image in made for job in jobs_of_image)
        reused = frozenset(jobs_of_image[index].label for image, jobs_of_image in made for index in image.done)
    return Plan(
        run_id=request.run_id,
        images_folder=jobs_of.images_folder,
        output_folder=jobs_of.output_folder,
        ks=ks,
        settings=settings,
        identity=jobs_of.identity,
        jobs=jobs,
        reused=reused,
        ignored=tuple(listing.ignored),
        unreadable=listing.unreadable,
        planned_at=planned_at,
        force=request.force,
        target=target,
        pattern=request.pattern,
        exclude=request.exclude,
        published_folder=str(folders.published) if folders.published else None,
        palettes=dict(jobs_of.palettes),
        palette_news=news,
        memory=memory,
    )


def _check_earlier(output_folder: str, name: str, ks: Sequence[int], settings: Settings) -> None:
    """Raise InvalidPlan where an earlier palette is not in the output folder at each k, with all colors to keep."""
    for k in ks:
        path = palette_path(output_folder, name, k)
        try:
            palette = SharedPalette.read(path)
        except (OSError, InvalidRecord):
            raise InvalidPlan(f"palette: there is no palette {name!r} of k = {k}: {path} cannot be read.") from None
        if missing := [color_text(color) for color in settings.kept if color not in palette.entries]:
            raise InvalidPlan(f"keep: {', '.join(missing)} is not in the palette {name!r} of k = {k}.")


def _unreadable_sentence(unreadable: Mapping[str, str]) -> str:
    named = ", ".join(f"{name!r} ({reason})" for name, reason in unreadable.items())
    return f" These are not read: {named}." if named else ""


def parse_ks(ks: Iterable[str | int] | None, settings: Settings | None = None) -> tuple[int, ...]:
    """Palette sizes, ascending and distinct; none for ``AUTO`` and ``FEWEST``.

    Where ``settings`` have the colors of a palette, the size of that, whatever sizes are given.

    Raises
    ------
    InvalidPlan
        Where there is none, one is not a whole number from 1 to ``MAX_COLORS``, or is less than the number of colors
        to keep; and where a palette is to be searched for though there is one.
    """
    sizes = set()
    given = list(ks or ())
    searched = _texts(given) in ([AUTO], [FEWEST])
    if settings and settings.shared and searched:
        raise InvalidPlan(
            f"k = {given[0]} searches for one image at a time; give the palette sizes of the {settings.shared}."
        )
    if settings and (settings.colors or settings.is_palette_path):
        if searched:
            raise InvalidPlan(f"k = {given[0]} searches for a palette, but one is given: leave one of the two out.")
        if settings.colors:
            return (len(settings.colors),)
    if searched:
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
    if settings:
        try:
            settings.check_k(min(sizes))
        except InvalidSetting as error:
            raise InvalidPlan(str(error)) from None
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
    """What an image's file shows: its hash and size in bytes, which of its jobs (by index) are done; its weights."""

    sha256: str | None
    size: int
    done: tuple[int, ...] = ()
    weights: WeightsFile | None = None


LookAtAll = Callable[[Callable[[Any], Any], list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class _JobMaker:
    """Makes the jobs of an image. It is pickled and sent to the processes that read the files."""

    run_id: str
    images_folder: str
    output_folder: str
    ks: Sequence[int | None]
    settings: Settings
    identity: tuple[Any, ...]
    target: str | None
    palettes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: _PlanFile) -> Self:
        """What made the jobs of a plan."""
        same = {each.name: getattr(plan, each.name) for each in fields(cls)}
        return cls(**same | {"ks": plan.ks or (None,)})

    def __call__(self, name: str, seen: _Seen) -> list[Job]:
        palette = self.palettes.get(group_of(name, self.settings)) if self.palettes else None
        made_of = [seen.sha256, *self.identity, palette] if palette else [seen.sha256, *self.identity]
        made_of += [{"weights": seen.weights.sha256}] if seen.weights else []
        identity = json.dumps(made_of, sort_keys=True)
        fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:12]
        home = f"{self.output_folder.rstrip('/')}/compressed/{name}/{fingerprint}"
        digest = _digest(name)
        stems = [self.target if k is None else f"k{k:03d}" for k in self.ks]
        return [
            Job(
                image=f"{self.images_folder.rstrip('/')}/{name}",
                name=name,
                image_sha256=seen.sha256,
                k=k,
                settings=self.settings,
                output=f"{home}/{stem}.{self.settings.format}",
                result=f"{home}/{stem}.json",
                failure=f"{self._failures}/{fingerprint}-{digest}-{stem}.json",
                target=self.target if k is None else None,
                image_bytes=seen.size,
                shared_palette=palette_path(self.output_folder, palette, k) if palette else None,
                weights=seen.weights,
                algorithm_version=self._earlier_version,
            )
            for k, stem in zip(self.ks, stems, strict=True)
        ]

    def with_palettes(self, hashes: Mapping[str, str | None], weights: Mapping[str, WeightsFile]) -> Self:
        """The same with the palettes that images have in common, of the images' SHA-256 and weights by name."""
        groups: dict[str, list[str | None]] = {}
        for name, sha256 in hashes.items():
            groups.setdefault(group_of(name, self.settings), []).append(content_of(sha256, weights.get(name)))
        return replace(self, palettes={group: name_of_palette(of, self.settings) for group, of in groups.items()})

    @cached_property
    def _earlier_version(self) -> int | None:
        """The version of the algorithm of a plan that an earlier version of this project wrote."""
        versions = [part.get("algorithm_version") for part in self.identity if isinstance(part, dict)]
        return next((known for known in versions if known != settings_module.ALGORITHM_VERSION), None)

    @cached_property
    def _failures(self) -> str:
        return f"{run_folder(self.output_folder, self.run_id)}/failures"

    @property
    def question(self) -> str:
        """What is asked of an image's outputs, besides what is in their paths: what they are compared with."""
        return json.dumps([list(self.ks), self.target, sorted(self.settings.compare)])


@dataclass(frozen=True)
class _Looking:
    """How files are looked at: all again with ``force``; by which threads or processes; when."""

    force: bool
    at_all: LookAtAll
    at: float


def _look(
    jobs_of: _JobMaker, names: list[str], patterns: tuple[str, str], looking: _Looking
) -> tuple[_JobMaker, dict[str, _Seen], Memory, tuple[str, ...]]:
    """What the files of images show, by their names: from the memory of the last plan, or read. And its memory.

    And what makes the jobs, which knows the palettes that images have in common: these are named by all hashes. And a
    sentence for each palette.
    """
    library = (jobs_of.images_folder, *patterns)
    try:
        memory = Memory(library=library) if looking.force else Memory.of(jobs_of.output_folder, library)
    except InvalidSetting as error:
        raise InvalidPlan(str(error)) from None
    image_version = versions_below(jobs_of.images_folder)
    # A version is asked before a file is read: of a file that is replaced meanwhile, the next plan sees another one.
    versions = {name: image_version(name) for name in names}
    hashes = {name: memory.sha256_of(name, versions[name]) for name in names}
    relied = any(hashes.values())
    weights, remembered = _weights(jobs_of.settings.weights, names, memory, looking.at_all, looking.at)
    is_given = bool(jobs_of.palettes)
    if jobs_of.settings.shared and not is_given:
        unknown = [name for name in names if not hashes[name]]
        answered = looking.at_all(partial(_hash_of, jobs_of.images_folder), unknown) if unknown else ()
        hashes |= zip(unknown, answered, strict=True)
        jobs_of = jobs_of.with_palettes(hashes, weights)
    output_versions = cache(partial(_output_versions, jobs_of))
    seen, images = _see(jobs_of, hashes, versions, weights, memory, output_versions, looking)
    plans = memory.plans + 1 if relied else 0
    palettes = dict(jobs_of.palettes)
    news = tuple(news_of_palette(group, name, memory, hashes, is_given) for group, name in sorted(palettes.items()))
    now_known = Memory(library=library, plans=plans, images=images, palettes=palettes, weights=remembered)
    return jobs_of, seen, now_known, news


def _look_by_parts(
    jobs_of: _JobMaker, names: list[str], patterns: tuple[str, str], looking: _Looking
) -> tuple[PlannedJobs, ReusedLabels, Memory]:
    """As ``_look``, of some thousand images at a time. What they show goes to files, and jobs are made of these."""
    library = (jobs_of.images_folder, *patterns)
    try:
        recollection = Recollection(jobs_of.output_folder, library, looking.force)
    except InvalidSetting as error:
        raise InvalidPlan(str(error)) from None
    image_version = versions_below(jobs_of.images_folder)
    output_versions = cache(partial(_output_versions, jobs_of))
    folder = run_folder(jobs_of.output_folder, jobs_of.run_id)
    entries = PartWriter(parts_folder(folder), "images")
    remembered = MemoryWriter(jobs_of.output_folder, library)
    relied, reused = False, 0
    for start in range(0, len(names), PART_RECORDS):
        part = names[start : start + PART_RECORDS]
        memory = recollection.of(part)
        versions = {name: image_version(name) for name in part}
        hashes = {name: memory.sha256_of(name, versions[name]) for name in part}
        relied = relied or any(hashes.values())
        seen, images = _see(jobs_of, hashes, versions, {}, memory, output_versions, looking)
        for name in part:
            entries.add(name, [name, seen[name].sha256, seen[name].size, seen[name].done])
            reused += len(seen[name].done)
        remembered.add(images)
    jobs = _planned_jobs(jobs_of, folder, entries.finish())
    return jobs, ReusedLabels(jobs, reused), remembered.finish(recollection.plans + 1 if relied else 0)


def _planned_jobs(jobs_of: _JobMaker, folder: Path, parts: Sequence[Part]) -> PlannedJobs:
    return PlannedJobs(entries_of(parts_folder(folder), parts), partial(_jobs_of_entry, jobs_of), len(jobs_of.ks))


def _jobs_of_entry(jobs_of: _JobMaker, entry: Entry) -> list[Job]:
    name, sha256, size, _ = entry
    return jobs_of(name, _Seen(sha256, size))


def _output_versions(jobs_of: _JobMaker) -> Callable[[str], FileVersion | None]:
    return versions_below(f"{jobs_of.output_folder.rstrip('/')}/compressed")


def _see(
    jobs_of: _JobMaker,
    hashes: Mapping[str, str | None],
    versions: Mapping[str, FileVersion | None],
    weights: Mapping[str, WeightsFile],
    memory: Memory,
    output_versions: Callable[[], Callable[[str], FileVersion | None]],
    looking: _Looking,
) -> tuple[dict[str, _Seen], dict[str, Remembered]]:
    """What the files of images show, by their names, and what the next plan can know of them without reading.

    ``hashes`` are those that are known. ``output_versions`` is only called where one is.
    """
    outputs = dict.fromkeys(hashes, "")
    if any(hashes.values()):
        output_version = output_versions()
        for name, sha256 in hashes.items():
            if sha256:
                image = _Seen(sha256, 0, weights=weights.get(name))
                outputs[name] = _digest_of_outputs(jobs_of, name, image, output_version, looking.at)
    every = tuple(range(len(jobs_of.ks)))
    seen = {
        name: _Seen(sha256, version.size, every, weights.get(name))
        for name, sha256 in hashes.items()
        if sha256 and (version := versions[name]) and memory.is_done(name, outputs[name])
    }
    unseen = [(name, hashes[name], weights.get(name)) for name in hashes if name not in seen]
    answers = looking.at_all(partial(_look_at, jobs_of, looking.force), unseen) if unseen else ()
    seen |= {name: answer for (name, _, _), answer in zip(unseen, answers, strict=True)}
    images = {}
    for name in hashes:
        version, found = versions[name], seen[name]
        if found.sha256 and version and version.size == found.size and is_settled(version, looking.at):
            images[name] = (version.text, found.sha256, outputs[name] if found.done == every else "")
    return seen, images


def _weights(
    folder: str, images: list[str], memory: Memory, look_at_all: LookAtAll, looked_at: float
) -> tuple[dict[str, WeightsFile], dict[str, tuple[str, str]]]:
    """The pictures of weights by the names of their images, and what the next plan can know of them without reading."""
    if not folder:
        return {}, {}
    below = weights_below(folder, images)
    paths = {name: f"{folder.rstrip('/')}/{name}" for name, _ in below.values()}
    hashes = {name: memory.sha256_of_weights(paths[name], version) for name, version in below.values()}
    unknown = [name for name, sha256 in hashes.items() if not sha256]
    hashes |= zip(unknown, look_at_all(partial(_hash_of, folder), unknown) if unknown else (), strict=True)
    weights, remembered = {}, {}
    for image, (name, version) in below.items():
        if sha256 := hashes[name]:
            weights[image] = WeightsFile(path=paths[name], sha256=sha256)
            if is_settled(version, looked_at):
                remembered[paths[name]] = (version.text, sha256)
    return weights, remembered


def _digest_of_outputs(
    jobs_of: _JobMaker,
    name: str,
    image: _Seen,
    version_of: Callable[[str], FileVersion | None],
    looked_at: float,
) -> str:
    """The digest of the records and outputs of an image; empty where one is missing."""
    start = len(f"{jobs_of.output_folder.rstrip('/')}/compressed/")
    versions = []
    for job in jobs_of(name, image):
        output = job.output[start:]
        tiled = output.removesuffix(f".{job.settings.format}") + TILED_SUFFIX
        versions += [version_of(job.result[start:]), version_of(output) or version_of(tiled)]
    return digest_of(versions, looked_at, jobs_of.question)


def _in_threads(remote: bool) -> LookAtAll:
    """A function like ``map`` over a list, in order, whose calls run in threads: hashing and reading need no lock."""

    def run(function: Callable[[T], R], items: list[T]) -> list[R]:
        # Each call in a copy of the context, which may have the credentials of an object store.
        calls = [partial(copy_context().run, function, item) for item in items]
        with ThreadPoolExecutor(_READERS_OF_BUCKET if remote else os.cpu_count()) as pool:
            return list(pool.map(lambda call: call(), calls))

    return run


def _hash_of(images_folder: str, name: str) -> str | None:
    """The SHA-256 of a file of the image folder, or of that of weights; None where it cannot be read."""
    path = location(f"{images_folder.rstrip('/')}/{name}")
    try:
        return sha256_of(path, images_folder) if is_file(path) else None
    except (OSError, NotAllowed):  # A link may lead out of what may be used.
        return None


def _look_at(jobs_of: _JobMaker, force: bool, image: tuple[str, str | None, WeightsFile | None]) -> _Seen:
    """Look at an image's file, unless its hash is known, and at its outputs."""
    name, sha256, weights = image
    path = location(f"{jobs_of.images_folder.rstrip('/')}/{name}")
    try:
        # Only regular files are opened: reading a FIFO would never end. Its job reports that it is one.
        if not is_file(path):
            return _Seen(None, 0)
        sha256, size = sha256 or sha256_of(path, jobs_of.images_folder), path.stat().st_size
    except OSError:
        return _Seen(None, 0)
    jobs = jobs_of(name, _Seen(sha256, size, weights=weights))
    done = () if force else tuple(index for index, job in enumerate(jobs) if job.is_done())
    return _Seen(sha256, size, done, weights)


def run_folder(output_folder: StrPath, run_id: str) -> Path:
    """The folder of a run's plan and report. Different runs have different folders."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", run_id).lstrip(".")[:100]
    return location(output_folder) / "runs" / f"{readable}-{_digest(run_id)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
