"""The manifest of a published folder, and the files to publish. Standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from colorquant.errors import PublishFailed
from colorquant.limits import Count, PaletteSize
from colorquant.storage import JsonRecord, output_names

MANIFEST = "manifest.json"
#: In a bucket, the manifest while publishing: some of its files may not exist yet.
UNFINISHED = "manifest.unfinished.json"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file to publish for an image: an output, or the original.

    Attributes
    ----------
    image : the image's path below the input folder.
    source : the file to copy.
    sha256 : hex SHA-256 that the file must have; None for an original, which is published as it is.
    k : palette size of the output; None for an original.
    reason : why this file was chosen, in one sentence.
    """

    image: str
    source: Path
    sha256: str | None
    k: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file of a published folder: its path below it, its image, and its palette size (None for the original)."""

    path: str
    image: str
    k: PaletteSize | None
    bytes: Count
    sha256: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Manifest(JsonRecord):
    """The files of a published folder, and the run that published them. ``written_at`` is an ISO 8601 time in UTC."""

    schema_version: int = 1
    run_id: str
    written_at: str
    files: tuple[PublishedFile, ...]


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
