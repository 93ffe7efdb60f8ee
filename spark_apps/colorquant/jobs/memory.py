"""What the last plan of a library saw, so that the next one reads only what has changed. Standard library only.

As in git's index, the version of a file (``storage.FileVersion``) tells whether it has changed. A file that had changed
only just before it was looked at is not remembered: a second change within the same tick of the file system's clock
would not show in its version ("racy git"). Nobody relies on the memory: where it is missing, damaged, or of another
library, all files are read. Every job still checks the hash of what it reads.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from colorquant.errors import InvalidLocation, InvalidRecord, InvalidSetting
from colorquant.limits import Count
from colorquant.storage import (
    FileVersion,
    JsonRecord,
    Part,
    Parts,
    PartWriter,
    PathText,
    StrPath,
    files_below,
    location,
    read,
    remove,
    write_atomically,
)

#: The environment variable with the number of plans of a library after which all its files are read again.
FULL_CHECK = "COMPRESSION_FULL_CHECK"
_FULL_CHECK_AFTER, _MAX_FULL_CHECK = 30, 10**6
# More than the ticks of any file system's clock (2 s of FAT), and than most clocks of file servers are off.
_SETTLED_SECONDS = 600.0
# A plan of so many images is made within a day.
_PLANNING_SECONDS = 86_400.0
_FOLDER = "memory"
_IN_PARTS = b'{"schema_version":2,'

#: What is remembered of an image: see ``Memory.images``.
Remembered = tuple[str, str, str]


def full_check_after(environment: Mapping[str, str] = os.environ) -> int:
    """The number of plans after which all files are read again; 1 where each plan reads them. Raises InvalidSetting."""
    text = environment.get(FULL_CHECK, "").strip() or str(_FULL_CHECK_AFTER)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= _MAX_FULL_CHECK:
        raise InvalidSetting(f"{FULL_CHECK}={text!r} is not a whole number from 1 to {_MAX_FULL_CHECK}.")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Memory(JsonRecord):
    """What a plan saw.

    Attributes
    ----------
    library : what the plan listed (``of``).
    plans : how many plans have relied on a memory since all files were read.
    images : for each image's name the version of its file, the hex SHA-256 of the file, and the digest of the versions
        of its records and outputs where all its jobs were done; empty where that is not known.
    palettes : names of the palettes that images have in common, as of ``Plan``.
    weights : for each path of a picture of weights its version and hex SHA-256.
    """

    indent: ClassVar[int | None] = None

    schema_version: int = 1
    library: tuple[PathText, PathText, PathText]
    plans: Count = 0
    images: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    palettes: dict[str, str] = field(default_factory=dict)
    weights: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, output_folder: StrPath, library: tuple[str, str, str]) -> "Memory":
        """The memory of a library: the folder of its images, the pattern, and the patterns that are left out.

        Empty where there is none that can be relied on, and where it is time to read all files again.
        """
        with suppress(OSError, InvalidRecord, InvalidLocation):
            memory = _reliable(output_folder, library)
            if isinstance(memory, MemoryInParts):
                return cls(library=library, plans=memory.plans, images=dict(memory.entries(output_folder)))
            if memory:
                return memory
        return cls(library=library)

    def sha256_of(self, name: str, version: FileVersion | None) -> str | None:
        """The hash of an image's file of this version; None where it must be read."""
        remembered = self.images.get(name)
        return remembered[1] if remembered and version and remembered[0] == version.text else None

    def sha256_of_weights(self, path: str, version: FileVersion) -> str | None:
        """The hash of a picture of weights of this version; None where it must be read."""
        remembered = self.weights.get(path)
        return remembered[1] if remembered and remembered[0] == version.text else None

    def is_done(self, name: str, outputs: str) -> bool:
        """Whether all jobs of an image were done when its records and outputs had this digest (``digest_of``)."""
        return outputs != "" and name in self.images and self.images[name][2] == outputs

    def write_to(self, output_folder: StrPath) -> None:
        """Write the memory, whole or not at all. Raises OSError."""
        text = self.as_json().encode("ascii")
        write_atomically(_path(output_folder, self.library), _digest_of(text) + b"\n" + text)


@dataclass(frozen=True, kw_only=True)
class MemoryInParts(Memory):
    """The memory of a library of very many images: ``images`` is empty, and ``parts`` name the files that have them."""

    schema_version: int = 2
    parts: tuple[Part, ...] = ()

    def entries(self, output_folder: StrPath) -> Iterator[tuple[str, Remembered]]:
        """Names, ascending, with what is remembered. Raises OSError, and InvalidRecord where a part is damaged."""
        for name, *remembered in Parts(_parts(output_folder, self.library), self.parts, _ENTRY, tuple):
            yield name, (remembered[0], remembered[1], remembered[2])

    def write_to(self, output_folder: StrPath) -> None:
        """Write the memory, and remove parts of earlier ones that no plan is still writing. Raises OSError."""
        super().write_to(output_folder)
        folder, named = _parts(output_folder, self.library), {part.file for part in self.parts}
        for file, version in files_below(folder).items():
            if file not in named and file.endswith(".jsonl") and version.changed_at < now() - _PLANNING_SECONDS:
                remove(folder / file)


_ENTRY = tuple[PathText, str, str, str]


class Recollection:
    """The memory of a library, read while its images are planned in the order of their names.

    Attributes
    ----------
    plans : as of ``Memory``.
    """

    def __init__(self, output_folder: StrPath, library: tuple[str, str, str], fresh: bool) -> None:
        """``fresh`` is whether nothing is remembered. Raises InvalidSetting as ``full_check_after``."""
        self._library = library
        found = None
        with suppress(OSError, InvalidRecord, InvalidLocation):
            found = None if fresh else _reliable(output_folder, library)
        self.plans = found.plans if found else 0
        entries: Iterable[tuple[str, Remembered]] = ()
        if isinstance(found, MemoryInParts):
            entries = found.entries(output_folder)
        elif found:
            entries = sorted(found.images.items())
        self._entries = iter(entries)
        self._next = self._following()

    def of(self, names: Sequence[str]) -> Memory:
        """The memory of some images, ascending, which come after all that were asked for before."""
        images = {}
        wanted = set(names)
        while self._next and self._next[0] <= names[-1]:
            if self._next[0] in wanted:
                images[self._next[0]] = self._next[1]
            self._next = self._following()
        return Memory(library=self._library, plans=self.plans, images=images)

    def _following(self) -> tuple[str, Remembered] | None:
        # From a damaged part on all files are read.
        with suppress(OSError, InvalidRecord):
            return next(self._entries, None)
        return None


class MemoryWriter:
    """Writes the memory of a library of very many images, whose names come in ascending order."""

    def __init__(self, output_folder: StrPath, library: tuple[str, str, str]) -> None:
        self._library = library
        self._parts = PartWriter(_parts(output_folder, library), "images")

    def add(self, images: Mapping[str, Remembered]) -> None:
        """Add what was seen of some images. Raises OSError."""
        for name, remembered in images.items():
            self._parts.add(name, [name, *remembered])

    def finish(self, plans: int) -> MemoryInParts:
        """The memory, whose parts are written. Raises OSError."""
        return MemoryInParts(library=self._library, plans=plans, parts=self._parts.finish())


def _reliable(output_folder: StrPath, library: tuple[str, str, str]) -> Memory | None:
    """The memory that is there; None where it is damaged, or it is time to read all files again. Raises as ``read``."""
    path = _path(output_folder, library)
    digest, _, text = read(path).partition(b"\n")
    if digest != _digest_of(text):
        return None
    memory = (MemoryInParts if text.startswith(_IN_PARTS) else Memory).of_json(text, path)
    return memory if memory.library == library and memory.plans + 1 < full_check_after() else None


def forget(output_folder: StrPath, library: tuple[str, str, str]) -> None:
    """Remove the memory of a library, where what it says was found to be wrong. Raises OSError."""
    remove(_path(output_folder, library))


def is_settled(version: FileVersion, looked_at: float) -> bool:
    """Whether a file can be remembered: any later change of it will show in its version."""
    return version.changed_at + _SETTLED_SECONDS < looked_at


def digest_of(versions: Sequence[FileVersion | None], looked_at: float, question: str) -> str:
    """A digest of the versions of files, and of what was asked of them; empty where not all exist and are settled."""
    if not all(version and is_settled(version, looked_at) for version in versions):
        return ""
    texts = [question, *(version.text for version in versions if version)]
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


def now() -> float:
    """Seconds since 1970."""
    return time.time()


def _path(output_folder: StrPath, library: Sequence[str]) -> Path:
    name = hashlib.sha256(json.dumps(library).encode()).hexdigest()[:16]
    return location(output_folder) / "runs" / _FOLDER / f"{name}.json"


def _parts(output_folder: StrPath, library: Sequence[str]) -> Path:
    return _path(output_folder, library).with_suffix("")


def _digest_of(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode("ascii")
