"""The published folder: one file for each image, under the image's relative path. Standard library only.

``python -m colorquant.publish FOLDER`` verifies a published folder against its manifest.

The folder is a symbolic link to a version next to it. A new version is written completely and synced to the disk; then
one rename replaces the link, so a reader sees either the old files or the new ones.
"""

import argparse
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from colorquant.errors import InvalidRecord, PublishFailed
from colorquant.jobs import versions_of
from colorquant.publish.bucket import publish_to_bucket, refuse_objects_of_others
from colorquant.publish.manifest import MANIFEST, Candidate, Manifest, PublishedFile, published_paths
from colorquant.storage import is_refusal, is_remote, location, read, sha256_of, sizes_below
from colorquant.text import printable

_LOCK = ".lock"
_PREFIX = "version-"
# As many as Linux follows.
_MAX_LINKS = 40


def publish(candidates: Iterable[Candidate], folder: Path, run_id: str, written_at: str) -> Manifest:
    """Replace the contents of a folder by the candidates' files and a manifest of them.

    Parameters
    ----------
    candidates : iterable of Candidate
        The files to publish, one for each image.
    folder : pathlib.Path
        A new or empty folder, one that was published before, or a link to one of these, which is kept. Its versions
        are in ``<folder>.versions`` next to it; the previous version is kept for its readers. For a folder of a bucket
        see the module ``bucket``.
    run_id, written_at : str
        The run, and the time of its summary, for the manifest.

    Returns
    -------
    Manifest
        As written.

    Raises
    ------
    PublishFailed
        Where the folder has other contents, or a file is missing or has changed since it was measured.
    OSError
        Where a file cannot be read or written.
    """
    if is_remote(folder):
        return publish_to_bucket(list(candidates), folder, run_id, written_at)
    refuse_others(folder)
    folder = _followed(folder)
    versions = versions_of(folder)
    versions.mkdir(parents=True, exist_ok=True)
    with open(versions / _LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # A second run that publishes to the same folder waits.
        before = folder.resolve() if folder.is_symlink() else None
        version = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=versions))
        version.chmod(0o755)
        try:
            manifest = _write_version(list(candidates), version, before, run_id, written_at)
            os.sync()  # Once for all files: they reach the disk before the link to them does.
            _point(folder, version)
        except BaseException:
            shutil.rmtree(version, ignore_errors=True)
            raise
        for old in versions.glob(_PREFIX + "*"):
            if old not in (version, before):
                old.unlink() if old.is_symlink() else shutil.rmtree(old, ignore_errors=True)
    return manifest


def refuse_others(folder: Path) -> None:
    """Raise PublishFailed where the folder has contents that were not published by ``publish``, or cannot be read.

    The folder may be missing; its bucket must exist.
    """
    try:
        if is_remote(folder):
            refuse_objects_of_others(folder, sizes_below(folder))
        else:
            target = _followed(folder)
            if not target.is_symlink() and target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise PublishFailed(
                    f"{folder} exists and was not published by this project: name a new or an empty folder."
                )
    except FileNotFoundError as error:  # A missing bucket, or a folder that was removed just now.
        raise PublishFailed(f"Nothing can be published to {folder}: {error}.") from None
    except Exception as error:
        if not is_refusal(error):
            raise
        raise PublishFailed(f"Nothing can be published to {folder}: {error}. Check the credentials.") from None


def _followed(folder: Path) -> Path:
    """The path at the end of the links that ``publish`` did not make: a folder, or a link that ``publish`` made."""
    path = folder.absolute()
    for _ in range(_MAX_LINKS):
        if not path.is_symlink() or _is_published(path):
            return path
        # A relative link starts from the real folder that contains it.
        path = Path(os.path.realpath(path.parent)) / os.readlink(path)
    raise PublishFailed(f"{folder} is a link that leads nowhere: name a new or an empty folder.")


def _is_published(link: Path) -> bool:
    """Whether a symbolic link is one that ``publish`` made: it leads to one of its own versions."""
    target, versions = Path(os.path.realpath(link)), os.path.realpath(versions_of(link))
    return str(target.parent) == versions and target.name.startswith(_PREFIX)


def _write_version(
    chosen: list[Candidate], version: Path, before: Path | None, run_id: str, written_at: str
) -> Manifest:
    paths = published_paths(chosen)
    known = {file.sha256: before / file.path for file in _files_of(before)} if before else {}
    files = tuple(_add(item, version, paths[item.image], known) for item in chosen)
    manifest = Manifest(run_id=run_id, written_at=written_at, files=files)
    manifest.write(version / MANIFEST)
    return manifest


def verify(folder: Path) -> list[str]:
    """What is wrong with a published folder, a sentence for each problem; none where all files match the manifest."""
    try:
        manifest = Manifest.read(folder / MANIFEST)
    except (OSError, InvalidRecord) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    expected = {file.path: file for file in manifest.files}
    root = folder if is_remote(folder) else folder.resolve()
    found = _names_in(root) - {MANIFEST}
    problems = [f"{path} is missing" for path in sorted(expected.keys() - found)]
    problems += [f"{path} is not in the manifest" for path in sorted(found - expected.keys())]
    for path in sorted(expected.keys() & found):
        if sha256_of(root / path) != expected[path].sha256:
            problems.append(f"{path} has changed (its SHA-256 differs)")
    return problems


def _names_in(root: Path) -> set[str]:
    if is_remote(root):
        return set(sizes_below(root))
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}


def _add(item: Candidate, version: Path, path: str, known: dict[str, Path]) -> PublishedFile:
    target = version / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if item.sha256 in known and _is_complete(known[item.sha256], item.sha256):
        # A version shares unchanged files with the previous version, never with the originals or the outputs.
        os.link(known[item.sha256], target)
    else:
        try:
            target.write_bytes(read(item.source))
        except FileNotFoundError:
            raise PublishFailed(f"{item.source} is missing; run again.") from None
    sha256 = sha256_of(target)
    if item.sha256 not in (None, sha256):
        raise PublishFailed(f"{item.source} has changed since it was measured; run again.")
    return PublishedFile(
        path=path, image=item.image, k=item.k, bytes=target.stat().st_size, sha256=sha256, reason=item.reason
    )


def _is_complete(file: Path, sha256: str) -> bool:
    try:
        return sha256_of(file) == sha256
    except OSError:
        return False


def _files_of(version: Path) -> tuple[PublishedFile, ...]:
    try:
        return Manifest.read(version / MANIFEST).files
    except (OSError, InvalidRecord):
        return ()


def _point(folder: Path, version: Path) -> None:
    """Make ``folder`` a link to ``version``, in one step."""
    link = version.with_name(version.name + ".link")
    link.symlink_to(Path(version.parent.name, version.name))
    try:
        if folder.is_dir() and not folder.is_symlink():
            folder.rmdir()  # It is empty.
        os.replace(link, folder)
    except BaseException:
        link.unlink(missing_ok=True)
        raise


def main(argv: list[str] | None = None) -> int:
    """Verify a published folder. The exit status is 0 where all its files match its manifest, else 1."""
    parser = argparse.ArgumentParser(prog="python -m colorquant.publish", description="Verify a published folder.")
    parser.add_argument("folder", type=location, help="a path, or an s3:// URI")
    folder = parser.parse_args(argv).folder
    problems = verify(folder)
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    if not problems:
        print(f"{len(Manifest.read(folder / MANIFEST).files)} files match {folder / MANIFEST}.")
    return min(1, len(problems))


if __name__ == "__main__":
    sys.exit(main())
