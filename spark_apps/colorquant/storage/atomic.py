"""Files that appear whole or not at all, and the hashes that identify them. Standard library only."""

import hashlib
import itertools
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colorquant.storage.paths import StrPath, is_remote, location, put, read

_TEMPORARY_PREFIX = ".tmp-"
_serial = itertools.count()


def write_atomically(path: StrPath, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees all of it or nothing.

    The bytes go to a temporary name in the same folder, reach the disk (fsync), and are then renamed.
    The folder is made if missing. Raises OSError (disk full, read-only) and leaves no temporary file then;
    one left by a killed process is removed by the next write to the same folder. An object store does all this itself.
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
        # Of a full disk the system does not say which.
        raise OSError(error.errno, f"it cannot be written: {error.strerror}", str(target)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def temporary_folder(parent: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder in ``parent``, which is made if missing, for what is to be renamed to its place; removed at the end.

    One left by a killed process is removed by the next write to ``parent``.
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
    """Remove the temporary files and folders of processes of this host that are no more."""
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
    """Hex SHA-256 of a file's bytes."""
    if is_remote(path):
        return hashlib.sha256(read(path)).hexdigest()
    with open(location(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
