"""What a published folder holds: its manifest, and the files that are to be published. Standard library only."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from colorquant.errors import PublishFailed
from colorquant.storage import output_names, read, write_atomically

MANIFEST = "manifest.json"
#: In a bucket, the manifest of what is being published: not all of it may be there.
UNFINISHED = "manifest.unfinished.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file to publish for an image: ``source`` with its hash, or the original (``k`` None), whatever it is now."""

    image: str
    source: Path
    sha256: str | None
    k: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file of a published folder: its path there, and the image and palette size (None: the original) it is of."""

    path: str
    image: str
    k: int | None
    bytes: int
    sha256: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a published folder holds, and the run that it is of."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    written_at: str
    files: tuple[PublishedFile, ...]

    @classmethod
    def read(cls, folder: Path, name: str = MANIFEST) -> Self:
        """The manifest of a folder. Raises FileNotFoundError, or ValueError where it is not one of this schema."""
        content: Any = json.loads(read(folder / name))
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version {version!r} is unknown; this version reads {SCHEMA_VERSION}")
        try:
            return cls(**content | {"files": tuple(PublishedFile(**file) for file in content["files"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"no manifest of schema_version {version} ({error})") from error

    def write(self, folder: Path, name: str = MANIFEST) -> None:
        """Write it into a folder, whole or not at all. Raises OSError."""
        write_atomically(folder / name, (json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode())


def published_paths(candidates: Sequence[Candidate]) -> dict[str, str]:
    """The path in the published folder of each candidate's image.

    Raises
    ------
    PublishFailed
        For a path that leads out of the folder, or is that of the manifest.
    """
    endings = {one.image: one.source.suffix if one.k is not None else Path(one.image).suffix for one in candidates}
    paths = output_names(endings)
    for image, path in paths.items():
        parts = path.split("/")
        if {"", ".", ".."} & set(parts) or path in (MANIFEST, UNFINISHED):
            raise PublishFailed(f"{image!r} is a path that cannot be published: rename the image.")
    return paths
