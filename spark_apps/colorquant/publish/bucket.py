"""Publishing to a folder of a bucket, where no rename puts all files in place at once. Standard library only.

First a manifest of what is to come is left, then files are replaced one by one, each whole; then the manifest takes the
new one's place, and last what no manifest names any more is removed. So whoever reads in between may see new files
beside old ones, and the manifest tells which run a file belongs to. A run that dies is finished by the next.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from colorquant.errors import PublishFailed
from colorquant.publish.manifest import MANIFEST, UNFINISHED, Candidate, Manifest, PublishedFile, published_paths
from colorquant.storage import is_nameable, put, read, remove, sha256_of, sizes_below


def publish_to_bucket(candidates: Sequence[Candidate], folder: Path, run_id: str, written_at: str) -> Manifest:
    """What ``published.publish`` does, for a folder of an object store. Parameters and errors as there.

    A source is read twice: all are checked before the first is written, so that a changed one publishes nothing.
    """
    paths = published_paths(candidates)
    if unnameable := [path for path in paths.values() if not is_nameable(path)]:
        raise PublishFailed(f"{unnameable[0]!r} is a path that cannot be published to a bucket: rename the image.")
    there = sizes_below(folder)
    before = {path: file for name in (UNFINISHED, MANIFEST) for path, file in _files_of(folder, name).items()}
    refuse_objects_of_others(folder, there)
    files = tuple(_checked(one, paths[one.image]) for one in candidates)
    manifest = Manifest(run_id=run_id, written_at=written_at, files=files)
    # Until the end it names what may be there: of this run, and of the one before.
    kept = tuple(file for path, file in before.items() if path not in {file.path for file in files})
    unfinished = dataclasses.replace(manifest, files=files + kept)
    unfinished.write(folder, UNFINISHED)
    for candidate, file in zip(candidates, files, strict=True):
        if file.path not in there or not _is_whole(folder / file.path, file):
            put(folder / file.path, _content(candidate, file.sha256))
    if Manifest.read(folder, UNFINISHED) != unfinished:
        raise PublishFailed(f"another run publishes to {folder} at the same time; run again when it has ended.")
    manifest.write(folder)
    for path in before.keys() - {file.path for file in files}:
        remove(folder / path)
    remove(folder / UNFINISHED)
    return manifest


def refuse_objects_of_others(folder: Path, there: Mapping[str, int]) -> None:
    """Raise PublishFailed where a folder's objects (names and sizes) were not published from here."""
    if there and not {MANIFEST, UNFINISHED} & there.keys():
        raise PublishFailed(f"{folder} is there and was not published from here: name a folder that is new or empty.")


def _files_of(folder: Path, name: str) -> dict[str, PublishedFile]:
    try:
        return {file.path: file for file in Manifest.read(folder, name).files}
    except (FileNotFoundError, ValueError):
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
        raise PublishFailed(f"{candidate.source} is gone; run again.") from None
    if sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise PublishFailed(f"{candidate.source} has changed since it was measured; run again.")
    return content


def _is_whole(place: Path, file: PublishedFile) -> bool:
    try:
        return sha256_of(place) == file.sha256
    except FileNotFoundError:
        return False
