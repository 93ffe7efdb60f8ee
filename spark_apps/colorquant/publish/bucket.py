"""Publishing to a folder of a bucket, where no rename can replace all files at once. Standard library only.

A run first writes an unfinished manifest with the names of the old and the new files. It then replaces the files one
by one, each atomically, writes the manifest, and removes the files that the manifest no longer names. A reader may
therefore see new files next to old ones; the manifest says which files belong to the run. The next run completes a run
that was killed.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from colorquant.errors import InvalidRecord, PublishFailed
from colorquant.publish.manifest import MANIFEST, UNFINISHED, Candidate, Manifest, PublishedFile, published_paths
from colorquant.storage import is_nameable, put, read, remove, sha256_of, sizes_below


def publish_to_bucket(candidates: Sequence[Candidate], folder: Path, run_id: str, written_at: str) -> Manifest:
    """Do what ``publish`` does, for a folder of an object store. It has the same parameters and errors.

    Each source is read twice: all are checked before the first is written, so that nothing is published when one of
    them has changed.
    """
    paths = published_paths(candidates)
    if unnameable := [path for path in paths.values() if not is_nameable(path)]:
        raise PublishFailed(f"{unnameable[0]!r} is a path that cannot be published to a bucket: rename the image.")
    existing = sizes_below(folder)
    before = {path: file for name in (UNFINISHED, MANIFEST) for path, file in _files_of(folder, name).items()}
    refuse_objects_of_others(folder, existing)
    files = tuple(_checked(one, paths[one.image]) for one in candidates)
    manifest = Manifest(run_id=run_id, written_at=written_at, files=files)
    # Until the end it names all files that may exist: those of this run and of the previous one.
    kept = tuple(file for path, file in before.items() if path not in {file.path for file in files})
    unfinished = dataclasses.replace(manifest, files=files + kept)
    unfinished.write(folder / UNFINISHED)
    for candidate, file in zip(candidates, files, strict=True):
        if file.path not in existing or not _is_complete(folder / file.path, file):
            put(folder / file.path, _content(candidate, file.sha256))
    if Manifest.read(folder / UNFINISHED) != unfinished:
        raise PublishFailed(f"another run is publishing to {folder}; run again when it has ended.")
    manifest.write(folder / MANIFEST)
    for path in before.keys() - {file.path for file in files}:
        remove(folder / path)
    remove(folder / UNFINISHED)
    return manifest


def refuse_objects_of_others(folder: Path, existing: Mapping[str, int]) -> None:
    """Raise PublishFailed where a folder has objects (names and sizes in bytes), and no manifest among them."""
    if existing and not {MANIFEST, UNFINISHED} & existing.keys():
        raise PublishFailed(f"{folder} exists and was not published by this project: name a new or an empty folder.")


def _files_of(folder: Path, name: str) -> dict[str, PublishedFile]:
    try:
        return {file.path: file for file in Manifest.read(folder / name).files}
    except (FileNotFoundError, InvalidRecord):
        return {}


def _checked(candidate: Candidate, path: str) -> PublishedFile:
    content = _content(candidate, candidate.sha256)
    return PublishedFile(
        path=path,
        image=candidate.image,
        k=candidate.k,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        reason=candidate.reason,
    )


def _content(candidate: Candidate, sha256: str | None) -> bytes:
    try:
        content = read(candidate.source)
    except FileNotFoundError:
        raise PublishFailed(f"{candidate.source} is missing; run again.") from None
    if sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise PublishFailed(f"{candidate.source} has changed since it was measured; run again.")
    return content


def _is_complete(path: Path, file: PublishedFile) -> bool:
    try:
        return sha256_of(path) == file.sha256
    except FileNotFoundError:
        return False
