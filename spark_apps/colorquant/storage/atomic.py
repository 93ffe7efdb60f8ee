"""Atomic writes, and the hashes that identify files. Standard library only."""

import errno
import fcntl
import glob
import hashlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from colorquant.storage.paths import StrPath, allow, is_remote, location, open_stream, put, put_file

#: With which the name of every temporary file and folder begins.
TEMPORARY_PREFIX = ".tmp-"


def write_atomically(path: StrPath, content: bytes | Iterable[bytes]) -> None:
    """Write ``content``, or its pieces one after the other, to ``path`` so that a reader sees all of it or nothing.

    The bytes are written to a temporary file in the same folder, which is made if it is missing, synced to the disk,
    and renamed; then the folder is synced. A temporary file of a killed process is removed by the next write to the
    same folder. Object stores write atomically themselves.

    Raises
    ------
    OSError
        For example where the disk is full or read-only. No temporary file is left.
    """
    if is_remote(path):
        if isinstance(content, bytes):
            put(path, content)
        else:
            with tempfile.NamedTemporaryFile() as file:
                file.writelines(content)
                file.flush()
                put_file(path, file.name)
        return
    target = location(path)
    allow(target.parent)
    with _locked(lambda new: new.touch(exist_ok=False), target.parent) as (temporary, descriptor):
        try:
            with open(descriptor, "wb", closefd=False) as stream:
                stream.writelines([content] if isinstance(content, bytes) else content)
                stream.flush()
                os.fsync(descriptor)
            os.replace(temporary, target)
            sync_folder(target.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            # The system's error for a full disk does not name the file.
            raise OSError(error.errno, f"it cannot be written: {error.strerror}", str(target)) from error
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def temporary_folder(parent: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder in ``parent``, which is made if it is missing; removed at the end.

    For files that are renamed when they are complete. A folder of a killed process is removed by the next write to
    ``parent``.
    """
    with _locked(Path.mkdir, Path(parent)) as (temporary, _):
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Flush the names in a folder to the disk, where that is possible: before, a power cut can undo a rename."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # A network's file system may not offer it, and a folder that is only written to cannot be opened.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


@contextmanager
def _locked(make: Callable[[Path], None], folder: Path) -> Iterator[tuple[Path, int]]:
    """A new temporary file or folder, with a lock that its process holds as long as it lives.

    Yields its path and a descriptor of it. No name tells whether a process lives: another container may have the same
    host name, and the same process id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_orphans(folder)
    while True:
        # Not derived from the target's name, which may already be as long as the file system allows.
        path = folder / f"{TEMPORARY_PREFIX}{socket.gethostname()}-{secrets.token_hex(8)}"
        make(path)
        try:
            descriptor = _open(path)
        except FileNotFoundError:
            continue  # Another writer took it for an orphan; a folder that is gone as well ends the next try.
        try:
            with suppress(OSError):  # On a file system without locks, nothing takes it for an orphan either.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink == 0:
                continue  # The same, after it was opened and before it was locked.
            yield path, descriptor
            return
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    # Over NFS, only a file that is open for writing can be locked.
    return os.open(path, (os.O_RDONLY if path.is_dir() else os.O_RDWR) | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def _remove_orphans(folder: Path) -> None:
    """Remove the temporary files and folders of this host whose processes have ended: nobody holds their locks."""
    for orphan in folder.glob(f"{TEMPORARY_PREFIX}{glob.escape(socket.gethostname())}-*"):
        with suppress(OSError):
            descriptor = _open(orphan)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if orphan.is_dir():
                    shutil.rmtree(orphan, ignore_errors=True)
                else:
                    orphan.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def sha256_of(path: StrPath, below: StrPath | None = None) -> str:
    """Hex SHA-256 of a file's bytes, of which a few megabytes are in memory at a time. Raises OSError.

    On a disk, the file must lie ``below`` a folder (see ``open_stream``).
    """
    with open_stream(path, below) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
