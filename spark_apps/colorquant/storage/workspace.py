"""Temporary files next to an output: written by several processes, then joined to the output. Standard library only.

Next to a local output they are files in a folder, which all these processes must see. Next to an output in a bucket
they are objects, so nothing else must be shared.
"""

import os
import posixpath
import secrets
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from colorquant.storage.atomic import TEMPORARY_PREFIX, temporary_folder
from colorquant.storage.paths import (
    StrPath,
    allow,
    copy_object,
    is_remote,
    location,
    put,
    put_stream,
    read,
    remove,
    remove_objects,
)


@dataclass(frozen=True)
class Workspace:
    """Temporary files of one try of a job. It holds a path, so it can be sent to any process that sees the files."""

    _prefix: str

    def path(self, name: str) -> str:
        """The path or URI of a file."""
        return self._prefix + name

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all: another try of the same task may still be running. Raises OSError."""
        path = self.path(name)
        if is_remote(path):
            put(path, content)
            return
        temporary = self.path(f"{uuid.uuid4().hex}.part")
        try:
            stream = open(temporary, "xb")
        except FileNotFoundError as error:
            folder = os.path.dirname(os.path.dirname(temporary))
            reason = "a worker does not see the output folder: share it with all workers, or name one in a bucket"
            raise FileNotFoundError(error.errno, reason, folder) from None
        with stream:
            stream.write(content)
        os.replace(temporary, path)

    def open(self, name: str) -> BinaryIO:
        """Open a file to read it from its beginning to its end, an object as a copy on this disk. Raises OSError."""
        path = self.path(name)
        if not is_remote(path):
            return open(path, "rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115  (without a name, so it vanishes with the process)
        copy.write(read(path))
        copy.seek(0)
        return copy

    def remove(self, name: str) -> None:
        """Remove a file. Raises OSError."""
        remove(self.path(name))

    def make(self, name: str, write: Callable[[BinaryIO], None]) -> str:
        """Make a file by a function that writes to a stream, here and there; return its path or URI. Raises OSError.

        An object is first made on this disk.
        """
        path = self.path(name)
        with tempfile.TemporaryFile() if is_remote(path) else open(path, "wb+") as stream:
            write(stream)
            stream.flush()
            if is_remote(path):
                stream.seek(0)
                put_stream(path, stream)
            else:
                os.fsync(stream.fileno())
        return path

    def commit(self, name: str, target: StrPath) -> None:
        """Give a file its last name, at once. Raises OSError."""
        path = self.path(name)
        if is_remote(path):
            copy_object(path, target)
        else:
            os.replace(path, target)


@contextmanager
def workspace(output: StrPath) -> Iterator[Workspace]:
    """A new workspace next to an output, whose folder is made if it is missing; its files are removed at the end.

    What a killed process leaves is removed by the next write to the folder, or, in a bucket, by ``retention``. Raises
    OSError, and NotAllowed as ``allow``.
    """
    target = location(output)
    allow(target)
    if not is_remote(target):
        with temporary_folder(target.parent) as folder:
            yield Workspace(f"{folder}{os.sep}")
        return
    # In the folder itself, since a prune knows temporary files there.
    prefix = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-"
    try:
        yield Workspace(f"{posixpath.dirname(str(target))}/{prefix}")
    finally:
        with suppress(OSError):
            remove_objects(target.parent, prefix)
