"""Publishing to a folder of a bucket, where no rename can replace all files at once. Standard library only.

A run first writes an unfinished manifest with the names of the old and the new files. It then replaces the files one
by one, each atomically, writes the manifest, and removes the files that the manifest no longer names. A reader may
therefore see new files next to old ones; the manifest says which files belong to the run. The next run completes a run
that was killed.
"""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

from colorquant.errors import PublishFailed, Unpublishable
from colorquant.publish.copying import measured, pieces_of, published_file
from colorquant.publish.manifest import (
    MANIFEST,
    UNFINISHED,
    Candidate,
    Edition,
    Manifest,
    Publication,
    PublishedFile,
    by_image,
    left_out,
    manifest_of,
    problems_of,
    published_paths,
    refuse_drops,
    refuse_older,
)
from colorquant.storage import OUTPUTS_MARK, PROBE, is_nameable, put, remove, sha256_of, sizes_below


def publish_to_bucket(candidates: Sequence[Candidate], folder: Path, edition: Edition) -> Publication:
    """Do what ``publish`` does, for a folder of an object store. It has the same parameters and errors.

    Each source is read twice: all are checked before the first is written, so that an unfinished manifest never names
    a file that cannot come.
    """
    paths = published_paths(candidates)
    if unnameable := [path for path in paths.values() if not is_nameable(path)]:
        raise PublishFailed(f"{unnameable[0]!r} is a path that cannot be published to a bucket: rename the image.")
    existing = sizes_below(folder)
    refuse_objects_of_others(folder, existing)
    there, unfinished = manifest_of(folder), manifest_of(folder, UNFINISHED)
    refuse_older(there, edition)
    before = {file.path: file for known in (unfinished, there) if known for file in known.files}
    published = by_image(there)
    files: dict[str, PublishedFile] = {}
    sources: dict[str, Candidate] = {}
    errors: dict[str, Unpublishable] = {}
    for one in candidates:
        path = paths[one.image]
        try:
            if path in existing and path not in before:
                raise Unpublishable(f"cannot be published as {path!r}, which is an object of somebody else")
            files[path], sources[path] = published_file(one, path, *measured(pieces_of(one))), one
        except Unpublishable as error:
            errors[one.image] = error
    for kept in [published[image] for image in errors if image in published] + left_out(there, edition, paths):
        files.setdefault(kept.path, kept)
    refuse_drops(there, tuple(files.values()), edition)
    manifest = Manifest.of(edition, tuple(files.values()))
    # Until the end it names all files that may exist: those of this run and of the previous one.
    old = tuple(file for path, file in before.items() if path not in files)
    begun = dataclasses.replace(manifest, files=manifest.files + old)
    begun.write(folder / UNFINISHED)
    if OUTPUTS_MARK not in existing:  # A run with another output takes none of these for its images.
        put(folder / OUTPUTS_MARK, b"")
    for path, candidate in sources.items():
        if path not in existing or not _is_complete(folder / path, files[path]):
            put(folder / path, _content(candidate))
    if Manifest.read(folder / UNFINISHED) != begun:
        raise PublishFailed(f"another run is publishing to {folder}; run again when it has ended.")
    manifest.write(folder / MANIFEST)
    for path in before.keys() - files.keys():
        remove(folder / path)
    remove(folder / UNFINISHED)
    return Publication(manifest, problems_of(errors, manifest))


def refuse_objects_of_others(folder: Path, names: Collection[str]) -> None:
    """Raise PublishFailed where a folder has objects of these names, and no manifest of this project."""
    existing = set(names) - {OUTPUTS_MARK, PROBE}
    manifests = {MANIFEST, UNFINISHED} & existing
    if existing and not (manifests and all(manifest_of(folder, name) for name in manifests)):
        raise PublishFailed(f"{folder} exists and was not published by this project: name a new or an empty folder.")


def _content(candidate: Candidate) -> bytes:
    try:
        return b"".join(pieces_of(candidate))
    except Unpublishable as error:  # It was complete when the run began to publish.
        raise PublishFailed(f"{candidate.image!r} {error}; run again.") from None


def _is_complete(path: Path, file: PublishedFile) -> bool:
    try:
        return sha256_of(path) == file.sha256
    except FileNotFoundError:
        return False
