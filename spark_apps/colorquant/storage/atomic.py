"""Atomic writes, and the hashes that identify files. Standard library only."""

import hashlib
import itertools
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorquant.storage.paths import StrPath, is_remote, location, open_stream, put

_TEMPORARY_PREFIX = ".tmp-"
_serial = itertools.count()


def write_atomically(path: StrPath, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees all of it or nothing.

    The bytes are written to a temporary file in the same folder, which is made if it is missing, synced to the disk,
    and renamed. A temporary file of a killed process is removed by the next write to the same folder. Object stores
    write atomically themselves.

    Raises
    ------
    OSError
        For example where the disk is full or read-only. No temporary file is left.
    """
    if is_remote(path):
        put(path, content)
        return
    target = location(path)
    temporary = _temporary_path(target.parent)
    try:
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
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
    temporary = _temporary_path(Path(parent))
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary_path(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    _remove_orphans(folder)
    # Not derived from the target's name, which may already be as long as the file system allows.
    return folder / f"{_TEMPORARY_PREFIX}{socket.gethostname()}-{os.getpid()}-{next(_serial)}"


def _remove_orphans(folder: Path) -> None:
    """Remove the temporary files and folders of processes of this host that have ended."""
    prefix = f"{_TEMPORARY_PREFIX}{socket.gethostname()}-"
    for orphan in folder.glob(_TEMPORARY_PREFIX + "*"):
        pid = orphan.name.removeprefix(prefix).split("-")[0] if orphan.name.startswith(prefix) else ""
        if pid.isdigit() and int(pid) != os.getpid() and not _is_alive(int(pid)):
            if orphan.is_dir():
                shutil.rmtree(orphan, ignore_errors=True)
            else:
                orphan.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sha256_of(path: StrPath) -> str:
    """Hex SHA-256 of a file's bytes, of which a few megabytes are in memory at a time. Raises OSError."""
    with open_stream(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
