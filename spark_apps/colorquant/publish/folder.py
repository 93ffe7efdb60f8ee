"""The published folder: one file for each image, under the image's relative path. Standard library only.

``python -m colorquant.publish FOLDER`` verifies a published folder against its manifest.

The folder is a symbolic link to a version next to it. A new version is written completely and synced to the disk; then
one rename replaces the link, so a reader sees either the old files or the new ones.
"""

import argparse
import errno
import fcntl
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from colorquant.errors import InvalidRecord, PublishFailed, Unpublishable
from colorquant.jobs import versions_of
from colorquant.publish.bucket import publish_to_bucket, refuse_objects_of_others
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
from colorquant.storage import (
    OUTPUTS_MARK,
    allow,
    is_refusal,
    is_remote,
    location,
    probe,
    read,
    sha256_of,
    sizes_below,
    status_of,
    sync_folder,
)
from colorquant.text import printable

_LOCK = ".lock"
_PREFIX = "version-"
_LINK = ".link"
# What file systems without symbolic links (exFAT, SMB) say.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# As many as Linux follows.
_MAX_LINKS = 40


def publish(candidates: Iterable[Candidate], folder: Path, edition: Edition) -> Publication:
    """Replace the contents of a folder by the candidates' files and a manifest of them.

    A candidate whose file is missing, has changed or cannot be named there costs itself only: the file that was
    published of its image before is kept, and a sentence says so.

    Parameters
    ----------
    candidates : iterable of Candidate
        The files to publish, one for each image.
    folder : pathlib.Path
        A new or empty folder, one that was published before, or a link to one of these, which is kept. Its versions
        are in ``<folder>.versions`` next to it; the previous version is kept for its readers. For a folder of a bucket
        see the module ``bucket``.
    edition : Edition
        The run.

    Returns
    -------
    Publication
        The manifest as written, and what is not as the run has it.

    Raises
    ------
    PublishFailed
        Where the folder has other contents or the files of a newer run, where more than a fifth of the published
        images would disappear, or where a path cannot be published.
    NotAllowed
        Where the folder, or its versions, are in none of the folders that this process may use.
    OSError
        Where a file cannot be written.
    """
    allow(folder)
    if is_remote(folder):
        return publish_to_bucket(list(candidates), folder, edition)
    refuse_others(folder)
    folder = _followed(folder)
    versions = versions_of(folder)
    allow(versions)
    versions.mkdir(parents=True, exist_ok=True)
    (versions / OUTPUTS_MARK).touch()  # A run that publishes to another folder takes none of these for its images.
    with _locked(versions):
        before = Path(os.path.realpath(folder)) if folder.is_symlink() else None
        there = manifest_of(before) if before else None
        refuse_older(there, edition)
        version = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=versions))
        try:
            version.chmod(0o755)
            Manifest.of(edition, ()).write(version / UNFINISHED)  # A version of ours, also where its run is killed.
            publication = _write_version(list(candidates), version, before, there, edition)
            _sync(version)
            _point(folder, version)
        except BaseException:
            shutil.rmtree(version, ignore_errors=True)
            raise
        for old in sorted(versions.glob(_PREFIX + "*")):
            if old.name not in (version.name, before and before.name):
                with suppress(OSError):  # It is published; the next run tries again.
                    _remove(old)
    return publication


def refuse_others(folder: Path) -> None:
    """Raise PublishFailed where nothing can be published to a folder.

    It has contents that were not published by ``publish``, cannot be read or written, is a mount point, or its file
    system has no symbolic links. The folder may be missing; its bucket must exist.
    """
    try:
        if is_remote(folder):
            refuse_objects_of_others(folder, sizes_below(folder))
            probe(folder)
        else:
            target = _followed(folder)
            if not target.is_symlink() and (status := status_of(target)) is not None:
                if not stat.S_ISDIR(status.st_mode) or any(target.iterdir()):
                    raise PublishFailed(
                        f"{folder} exists and was not published by this project: name a new or an empty folder."
                    )
                if os.path.ismount(target):
                    raise PublishFailed(
                        f"{folder} is a mount point, which cannot become a link: name a folder below it."
                    )
            for parent in (target.parent, versions_of(target)):
                _require_links(folder, parent)
    except FileNotFoundError as error:  # A missing bucket, or a folder that was removed just now.
        raise PublishFailed(f"Nothing can be published to {folder}: {error}.") from None
    except Exception as error:
        if not is_refusal(error):
            raise
        raise PublishFailed(
            f"Nothing can be published to {folder}: {error}. Check its rights and the credentials."
        ) from None


def _require_links(folder: Path, parent: Path) -> None:
    """Make a link and remove it, because hours of work lie between the plan and the publication."""
    while status_of(parent) is None:
        parent = parent.parent
    probe = parent / f".tmp-{secrets.token_hex(8)}.link"
    try:
        probe.symlink_to("nothing")
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise PublishFailed(
            f"Nothing can be published to {folder}: its file system has no symbolic links. Name a folder on another "
            "one, or a bucket."
        ) from None
    probe.unlink()


@contextmanager
def _locked(versions: Path) -> Iterator[None]:
    """Wait for another run that publishes to the same folder. The lock is neither followed nor changed."""
    try:
        lock = os.open(versions / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise PublishFailed(f"{versions / _LOCK} is a link, which this project did not make: remove it.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


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
    """Whether a symbolic link is one that ``publish`` made: it leads to one of its own versions, which has our mark."""
    target, versions = Path(os.path.realpath(link)), os.path.realpath(versions_of(link))
    return (
        str(target.parent) == versions and target.name.startswith(_PREFIX) and manifest_of(target, MANIFEST) is not None
    )


def _remove(old: Path) -> None:
    """Remove an old version, or the link of a killed run, where it has our mark. What others named so stays."""
    if old.is_symlink():
        if os.readlink(old) == str(Path(old.parent.name, old.name.removesuffix(_LINK))):
            old.unlink()
    elif manifest_of(old) or manifest_of(old, UNFINISHED):
        for path in old.iterdir():  # The mark last: a removal that is interrupted is finished by the next run.
            if path.name not in (MANIFEST, UNFINISHED):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(old, ignore_errors=True)


def _write_version(
    chosen: list[Candidate], version: Path, before: Path | None, there: Manifest | None, edition: Edition
) -> Publication:
    paths = published_paths(chosen)
    published = by_image(there)
    known = {file.sha256: before / file.path for file in published.values()} if before else {}
    files: list[PublishedFile] = []
    errors: dict[str, Unpublishable] = {}
    for item in chosen:
        try:
            files.append(_add(item, version, paths[item.image], known))
        except Unpublishable as error:
            errors[item.image] = error
    for kept in [published[image] for image in errors if image in published] + left_out(there, edition, paths):
        try:
            files.append(_keep(kept, version, before))
        except Unpublishable as error:
            errors[kept.image] = error
    refuse_drops(there, files, edition)
    manifest = Manifest.of(edition, files)
    manifest.write(version / MANIFEST)
    (version / UNFINISHED).unlink()
    return Publication(manifest, problems_of(errors, manifest))


def verify(folder: Path) -> list[str]:
    """What is wrong with a published folder, a sentence for each problem; none where all files match the manifest."""
    try:
        manifest = Manifest.read(folder / MANIFEST)
    except (OSError, InvalidRecord) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    expected = {file.path: file for file in manifest.files}
    root = folder if is_remote(folder) else folder.resolve()
    found = _names_in(root) - {MANIFEST, OUTPUTS_MARK}
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
    """Copy a candidate's file into a version, or link it to the previous version's, which is the same."""
    with _new(version, path) as target:
        # Of an original this also says whether it is still what was planned.
        sha256 = item.sha256 if item.k is not None else measured(pieces_of(item))[1]
        # A version shares unchanged files with the previous version, never with the originals or the outputs.
        if sha256 in known and _is_complete(known[sha256], sha256) and _link(known[sha256], target):
            return published_file(item, path, target.stat().st_size, sha256)
        return published_file(item, path, *_write(target, pieces_of(item)))


def _keep(file: PublishedFile, version: Path, before: Path | None) -> PublishedFile:
    """Carry a published file over from the previous version."""
    with _new(version, file.path) as target:
        if before is None or not _is_complete(before / file.path, file.sha256):
            raise Unpublishable("was published, and that file is damaged")
        if not _link(before / file.path, target):
            _write(target, [read(before / file.path)])
    return file


def _write(target: Path, pieces: Iterable[bytes]) -> tuple[int, str]:
    """Write a new file; its bytes and its hex SHA-256."""
    with open(target, "xb") as copy:
        try:
            return measured(piece for piece in pieces if copy.write(piece) or True)
        except BaseException:
            target.unlink()
            raise


@contextmanager
def _new(version: Path, path: str) -> Iterator[Path]:
    """The path of a new file of a version. What goes wrong with its name, or its content, costs this file only."""
    target = version / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target
    except (FileExistsError, NotADirectoryError):
        raise Unpublishable(
            f"cannot be published as {path!r}, which on this file system is the name of another file"
        ) from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise Unpublishable(f"cannot be published as {path!r}, a name too long for the file system") from None


def _link(file: Path, target: Path) -> bool:
    """Give a file of the previous version a second name; False where the file system cannot."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _is_complete(file: Path, sha256: str) -> bool:
    try:
        return sha256_of(file) == sha256
    except OSError:
        return False


def _sync(version: Path) -> None:
    """Flush all files of a version to the disk, before a link leads to it."""
    os.sync()  # At once, which is fast; but it tells no errors.
    for parent, _, files in os.walk(version):
        for name in files:
            descriptor = os.open(Path(parent, name), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(parent)


def _point(folder: Path, version: Path) -> None:
    """Make ``folder`` a link to ``version``, in one step."""
    link = version.with_name(version.name + _LINK)
    link.symlink_to(Path(version.parent.name, version.name))
    try:
        if folder.is_dir() and not folder.is_symlink():
            folder.rmdir()  # It is empty.
        os.replace(link, folder)
    except BaseException:
        link.unlink(missing_ok=True)
        raise
    sync_folder(version.parent)
    sync_folder(folder.parent)


def main(argv: list[str] | None = None) -> int:
    """Verify a published folder. The exit status is 0 where all its files match its manifest, else 1."""
    parser = argparse.ArgumentParser(prog="python -m colorquant.publish", description="Verify a published folder.")
    parser.add_argument("folder", type=location, help="a path or a URI such as s3://bucket/folder")
    folder = parser.parse_args(argv).folder
    problems = verify(folder)
    for problem in problems:
        print(printable(problem), file=sys.stderr)
    if not problems:
        print(f"{len(Manifest.read(folder / MANIFEST).files)} files match {folder / MANIFEST}.")
    return min(1, len(problems))


if __name__ == "__main__":
    sys.exit(main())
