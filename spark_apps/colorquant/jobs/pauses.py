"""Planning and pruning exclude each other, on a disk and in a bucket. Standard library only.

A plan reuses outputs that it sees, and a prune removes outputs that no plan names: between a look and the plan that
follows from it, nothing may be removed. Each side first leaves a file and then looks for that of the other one, so at
least one of the two sees the other. A prune that sees a run being planned gives up; a run that sees a prune waits. A
file of a killed process counts for some time only.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from colorquant.errors import InvalidRecord, PruneRefused
from colorquant.storage import FileVersion, JsonRecord, StrPath, file_version, is_remote, location, remove

#: The name of the file in the folder of a run that is being planned.
PLANNING = "planning.json"
PRUNING = "pruning.json"
# A prune renews its lease every minute or so. Planning takes minutes, or hours where a large library is all new.
_LEASE_SECONDS, _RENEWAL_SECONDS, _PLANNING_SECONDS = 900.0, 60.0, 86_400.0
_POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Sign(JsonRecord):
    """The content of both files: whose it is, and until when it counts, in seconds since 1970."""

    schema_version: int = 1
    token: str
    until: float


def _until(path: Path) -> float:
    with suppress(FileNotFoundError):
        try:
            return _Sign.read(path).until
        except InvalidRecord:  # Of another version, or damaged: it counts from its last change on.
            return file_version(path).changed_at + _LEASE_SECONDS
    return 0.0


@contextmanager
def planning(output_folder: StrPath, folder: Path) -> Iterator[None]:
    """Within the block nothing is pruned. Waits for a prune to end, or for a quarter of an hour where it was killed.

    Parameters
    ----------
    output_folder : str or path-like
        The folder of all outputs.
    folder : pathlib.Path
        The folder of the run that is planned. Where no plan is left in it, nothing is.
    """
    made = [each for each in (folder, *folder.parents) if not is_remote(each) and not os.path.lexists(each)]
    sign = folder / PLANNING
    _Sign(token=secrets.token_hex(8), until=time.time() + _PLANNING_SECONDS).write(sign)
    try:
        lease = location(output_folder) / "runs" / PRUNING
        while _until(lease) > time.time():
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        with suppress(OSError):
            remove(sign)
            for each in made:
                each.rmdir()


def is_being_planned(sign: FileVersion, now: float) -> bool:
    """Whether the file ``PLANNING`` is of a run that is perhaps still being planned."""
    return now - sign.changed_at < _PLANNING_SECONDS


class Lease:
    """The right to remove outputs, for a quarter of an hour unless it is renewed."""

    def __init__(self, output_folder: StrPath) -> None:
        self._path = location(output_folder) / "runs" / PRUNING
        self._token = secrets.token_hex(8)
        self._renewed = 0.0

    def __enter__(self) -> Self:
        if _until(self._path) > time.time():
            raise PruneRefused("Another prune is running, or was killed in the last 15 minutes: try again later.")
        self.renew()
        return self

    def renew(self) -> None:
        """To be called every minute at least. Raises PruneRefused where the lease is lost, and OSError."""
        now = time.time()
        if now - self._renewed < _RENEWAL_SECONDS:
            return
        if self._renewed:
            if now - self._renewed > _LEASE_SECONDS:
                raise PruneRefused("The prune was stopped for so long that a run may be planned now: start it again.")
            self.confirm()
        _Sign(token=self._token, until=now + _LEASE_SECONDS).write(self._path)
        self._renewed = now

    def confirm(self) -> None:
        """To be called before anything is removed: of prunes that begin at once, the last to sign has the lease.

        Raises PruneRefused where another prune has it, and OSError.
        """
        if not self._is_ours():
            raise PruneRefused("Another prune has begun at the same time: try again later.")

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            if self._is_ours():
                remove(self._path)

    def _is_ours(self) -> bool:
        with suppress(FileNotFoundError, InvalidRecord):
            return _Sign.read(self._path).token == self._token
        return False
