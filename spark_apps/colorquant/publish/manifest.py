"""The manifest of a published folder, and the files to publish. Standard library only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from colorquant.errors import InvalidRecord, PublishFailed, Unpublishable
from colorquant.limits import Count, PaletteSize
from colorquant.storage import JsonRecord, StrPath, is_below, output_names

MANIFEST = "manifest.json"
#: The manifest while publishing: some of its files may not exist yet.
UNFINISHED = "manifest.unfinished.json"
#: What a manifest of this project says of itself. Without it, a folder is somebody else's.
MARK = "kmeans-image-compression"
# A publication that drops more than one in this many images was perhaps planned on a part of the library.
_DROPPED_ONE_IN = 5
_MAX_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file to publish for an image: an output, or the original.

    Attributes
    ----------
    image : the image's path below the input folder.
    source : the file to copy.
    folder : in which the file must lie; no link may lead out of it.
    sha256 : hex SHA-256 that the file must have; None where it could not be read when the run was planned.
    k : palette size of the output; None for an original.
    reason : why this file was chosen, in one sentence.
    metadata : what is published of the file's metadata: "original" for all of them; "stripped" for none that is
        private; "copyright" for copyright and author besides.
    original_sha256 : hex SHA-256 of the image's file; None where it could not be read when the run was planned.
    palette : the name of the palette that an output has in common with others.
    """

    image: str
    source: Path
    folder: StrPath
    sha256: str | None
    k: int | None
    reason: str
    metadata: str = "original"
    original_sha256: str | None = None
    palette: str | None = None


@dataclass(frozen=True, kw_only=True)
class Edition:
    """The run whose files are published.

    Attributes
    ----------
    run_id : its name.
    planned_at : ISO 8601 time in UTC when it looked at the library; None for a run of a version that did not note it.
    written_at : ISO 8601 time in UTC of its summary.
    unreadable : folders of the library that it could not read, by their paths below it: what was published of them is
        kept.
    anyway : whether it may replace what a newer run published, and drop more than a fifth of the images.
    may_drop : images that may disappear, however many: a person has seen their names and approved it.
    """

    run_id: str
    planned_at: str | None
    written_at: str
    unreadable: Collection[str] = ()
    anyway: bool = False
    may_drop: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file of a published folder: its path below it, its image, and its palette size (None for the original).

    ``sha256`` is that of the published file, ``original_sha256`` that of the image's file in the library: an original
    without its metadata has two hashes. None in manifests of versions that did not note it. ``palette`` is the name of
    the palette that an output has in common with others.
    """

    path: str
    image: str
    k: PaletteSize | None
    bytes: Count
    sha256: str
    reason: str
    original_sha256: str | None = None
    palette: str | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest(JsonRecord):
    """The files of a published folder, and the run that published them.

    ``written_at`` and ``planned_at`` are those of the ``Edition``.
    """

    schema_version: int = 2
    published_by: Annotated[str, frozenset({MARK})] = MARK
    run_id: str
    written_at: str
    planned_at: str | None = None
    files: tuple[PublishedFile, ...]

    def __post_init__(self) -> None:
        _time(self.planned_at or self.written_at)

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Version 1 had no mark; its fields are ours all the same."""
        if content.get("schema_version") != 1 or "published_by" in content:
            return content
        return content | {"schema_version": cls.schema_version, "published_by": MARK}

    @classmethod
    def of(cls, edition: Edition, files: Sequence[PublishedFile]) -> "Manifest":
        """The manifest of a run's files."""
        return cls(
            run_id=edition.run_id, written_at=edition.written_at, planned_at=edition.planned_at, files=tuple(files)
        )


@dataclass(frozen=True)
class Publication:
    """What was published, and a sentence for each image whose file of this run was not."""

    manifest: Manifest
    problems: list[str] = field(default_factory=list)


def manifest_of(folder: Path, name: str = MANIFEST) -> Manifest | None:
    """The manifest of a folder; None where it has none of this project.

    Raises OSError where nobody can tell, since the disk or the object store does not let the file be read.
    """
    try:
        return Manifest.read(folder / name)
    except (FileNotFoundError, NotADirectoryError, InvalidRecord):
        return None


def refuse_older(there: Manifest | None, edition: Edition) -> None:
    """Raise PublishFailed where a run that looked at the library later has published already."""
    if there is None or edition.anyway or there.run_id == edition.run_id:
        return
    since = there.planned_at or there.written_at
    if edition.planned_at is None or _time(edition.planned_at) < _time(since):
        planned = f"planned at {edition.planned_at}" if edition.planned_at else "of an older version of this project"
        raise PublishFailed(
            f"run {there.run_id!r}, planned at {since}, has published there, and this run, {edition.run_id!r}, is "
            f"older: {planned}. Trigger a new run, which publishes the library of now, or one with publish_anyway."
        )


def refuse_drops(there: Manifest | None, files: Sequence[PublishedFile], edition: Edition) -> None:
    """Raise PublishFailed where more than a fifth of the published images would disappear, unless they may."""
    if there is None or edition.anyway:
        return
    now = {file.image for file in files} | set(edition.may_drop)
    dropped = [file.image for file in there.files if file.image not in now]
    if len(dropped) * _DROPPED_ONE_IN > len(there.files):
        named = ", ".join(map(repr, dropped[:_MAX_NAMED])) + (", ..." if len(dropped) > _MAX_NAMED else "")
        raise PublishFailed(
            f"{len(dropped)} of {len(there.files)} published images would disappear, more than a fifth: {named}. If "
            "they are to go, trigger a run with publish_anyway; if not, correct the image folder or the pattern."
        )


def left_out(there: Manifest | None, edition: Edition, images: Collection[str]) -> list[PublishedFile]:
    """The published files to keep, since the run could not read their folders; ``images`` are those that it knows."""
    files = there.files if there else ()
    return [file for file in files if file.image not in images and is_below(file.image, edition.unreadable)]


def problems_of(errors: Mapping[str, Unpublishable], manifest: Manifest) -> list[str]:
    """A sentence for each image whose file of this run is not published."""
    kept = by_image(manifest)
    return [
        f"{image!r} {error}; {'its published file is kept' if image in kept else 'nothing is published of it'}."
        for image, error in errors.items()
    ]


def published_paths(candidates: Sequence[Candidate]) -> dict[str, str]:
    """The path of each candidate's image below the published folder, by the image's name.

    Raises
    ------
    PublishFailed
        For a path that leads out of the folder, or that is the manifest's.
    """
    endings = {one.image: one.source.suffix if one.k is not None else Path(one.image).suffix for one in candidates}
    paths = output_names(endings)
    for image, path in paths.items():
        parts = path.split("/")
        if {"", ".", ".."} & set(parts) or path in (MANIFEST, UNFINISHED):
            raise PublishFailed(f"{image!r} is a path that cannot be published: rename the image.")
    return paths


def by_image(there: Manifest | None) -> Mapping[str, PublishedFile]:
    """The published files by their images."""
    return {file.image: file for file in there.files} if there else {}


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRecord(f"{text!r} is not an ISO 8601 time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
