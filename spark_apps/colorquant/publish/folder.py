"""The published folder: for each image the one file worth keeping, under its own relative path. Standard library only.

``python -m colorquant.publish FOLDER`` verifies a published folder against its manifest.

The folder is a symbolic link to a version beside it. A new version is made whole, reaches the disk, and then takes the
link's place in one rename: who reads the folder sees the old files or the new ones.
"""

import argparse
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from colorquant.errors import PublishFailed
from colorquant.jobs import versions_of
from colorquant.publish.bucket import publish_to_bucket, refuse_objects_of_others
from colorquant.publish.manifest import MANIFEST, Candidate, Manifest, PublishedFile, published_paths
from colorquant.storage import is_refusal, is_remote, location, read, sha256_of, sizes_below
from colorquant.text import printable

__all__ = ["MANIFEST", "Candidate", "Manifest", "PublishFailed", "publish", "verify"]

_LOCK = ".lock"
_PREFIX = "version-"
# As many as Linux follows.
_MOST_LINKS = 40


def publish(candidates: Iterable[Candidate], folder: Path, run_id: str, written_at: str) -> Manifest:
    """Put the candidates' files, and a manifest of them, in the place of what the folder held.

    Parameters
    ----------
    folder : not there yet, empty, or published before; or a link to such a folder, which stays as it is. Versions lie
        in ``<folder>.versions`` beside it; the one before the new one is kept for who still reads it. In a bucket it
        goes otherwise (``published_bucket``).

    Raises
    ------
    PublishFailed
        Where the folder holds something else, or a file is gone or has changed since it was measured.
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
        fcntl.flock(lock, fcntl.LOCK_EX)  # Another run that publishes to the same folder waits.
        before = folder.resolve() if folder.is_symlink() else None
        version = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=versions))
        version.chmod(0o755)
        try:
            manifest = _write_version(list(candidates), version, before, run_id, written_at)
            os.sync()  # One for all files: what the link leads to is on the disk before the link is.
            _point(folder, version)
        except BaseException:
            shutil.rmtree(version, ignore_errors=True)
            raise
        for old in versions.glob(_PREFIX + "*"):
            if old not in (version, before):
                old.unlink() if old.is_symlink() else shutil.rmtree(old, ignore_errors=True)
    return manifest


def refuse_others(folder: Path) -> None:
    """Raise PublishFailed where the folder holds what was not published from here, or cannot be read.

    It may be missing; its bucket must be there.
    """
    try:
        if is_remote(folder):
            refuse_objects_of_others(folder, sizes_below(folder))
        else:
            place = _followed(folder)
            if not place.is_symlink() and place.exists() and (not place.is_dir() or any(place.iterdir())):
                raise PublishFailed(
                    f"{folder} is there and was not published from here: name a folder that is new or empty."
                )
    except FileNotFoundError as error:  # What is said of a missing bucket; of a folder that has just gone, too.
        raise PublishFailed(f"Nothing can be published to {folder}: {error}.") from None
    except Exception as error:
        if not is_refusal(error):
            raise
        raise PublishFailed(f"Nothing can be published to {folder}: {error}. Check the credentials.") from None


def _followed(folder: Path) -> Path:
    """Where links lead that were not made here: to a folder, or to the link that an earlier run published by."""
    place = folder.absolute()
    for _ in range(_MOST_LINKS):
        if not place.is_symlink() or _is_published(place):
            return place
        # What the link says holds from where it truly lies.
        place = Path(os.path.realpath(place.parent)) / os.readlink(place)
    raise PublishFailed(f"{folder} is a link that leads nowhere: name a folder that is new or empty.")


def _is_published(link: Path) -> bool:
    """Whether a symbolic link leads to a version of its own."""
    target, versions = Path(os.path.realpath(link)), os.path.realpath(versions_of(link))
    return str(target.parent) == versions and target.name.startswith(_PREFIX)


def _write_version(
    chosen: list[Candidate], version: Path, before: Path | None, run_id: str, written_at: str
) -> Manifest:
    paths = published_paths(chosen)
    known = {file.sha256: before / file.path for file in _files_of(before)} if before else {}
    files = tuple(_place(item, version, paths[item.image], known) for item in chosen)
    manifest = Manifest(run_id=run_id, written_at=written_at, files=files)
    manifest.write(version)
    return manifest


def verify(folder: Path) -> list[str]:
    """What is wrong with a published folder, a sentence for each: none where every file is as the manifest says."""
    try:
        manifest = Manifest.read(folder)
    except (OSError, ValueError) as error:
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


def _place(item: Candidate, version: Path, path: str, known: dict[str, Path]) -> PublishedFile:
    target = version / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if item.sha256 in known and _is_whole(known[item.sha256], item.sha256):
        # A version shares with the one before what has not changed, never with the originals or outputs.
        os.link(known[item.sha256], target)
    else:
        try:
            target.write_bytes(read(item.source))
        except FileNotFoundError:
            raise PublishFailed(f"{item.source} is gone; run again.") from None
    sha256 = sha256_of(target)
    if item.sha256 not in (None, sha256):
        raise PublishFailed(f"{item.source} has changed since it was measured; run again.")
    return PublishedFile(
        path=path, image=item.image, k=item.k, bytes=target.stat().st_size, sha256=sha256, reason=item.reason
    )


def _is_whole(file: Path, sha256: str) -> bool:
    try:
        return sha256_of(file) == sha256
    except OSError:
        return False


def _files_of(version: Path) -> tuple[PublishedFile, ...]:
    try:
        return Manifest.read(version).files
    except (OSError, ValueError):
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
    """Verify a published folder; 0 where it is as its manifest says, else 1."""
    parser = argparse.ArgumentParser(prog="python -m colorquant.publish", description="Verify a published folder.")
    parser.add_argument("folder", type=location, help="a path, or an s3:// URI")
    folder = parser.parse_args(argv).folder
    problems = verify(folder)
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    if not problems:
        print(f"{len(Manifest.read(folder).files)} files are as {folder / MANIFEST} says.")
    return min(1, len(problems))


if __name__ == "__main__":
    sys.exit(main())
