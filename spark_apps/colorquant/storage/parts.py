"""Very many records in files of some thousand lines of JSON, read where they are needed. Standard library only.

A file that names its parts has the hash of each, so it is complete, or a reader says what is wrong.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from colorquant.errors import InvalidRecord
from colorquant.limits import PositiveInt
from colorquant.storage.atomic import write_atomically
from colorquant.storage.json_record import parse_record
from colorquant.storage.paths import PathText, StrPath, location, read, remove

#: Records of a part.
PART_RECORDS = 10_000
#: The folder of the parts of a run, in that of the run.
PARTS_FOLDER = "parts"

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of records, one a line.

    Attributes
    ----------
    file : its name in the folder of the parts.
    count : number of its records.
    first : name of its first record.
    sha256 : hex SHA-256 of the file.

    Raises
    ------
    InvalidRecord
        Where ``file`` is not the name of a file.
    """

    file: PathText
    count: PositiveInt
    first: str
    sha256: str

    def __post_init__(self) -> None:
        if "/" in self.file or self.file in ("", ".", ".."):
            raise InvalidRecord(f"file is {self.file!r}, which does not name a file")


class PartWriter:
    """Writes records into parts. A part's name has its hash: parts of an earlier try stay as they are.

    Parameters
    ----------
    folder : path or URI of the folder of the parts.
    kind : the beginning of their names.
    size : records of a part, except the last one; ``PART_RECORDS`` by default.
    """

    def __init__(self, folder: StrPath, kind: str, size: int | None = None) -> None:
        self._folder, self._kind, self._size = location(folder), kind, size or PART_RECORDS
        self._lines: list[str] = []
        self._first = ""
        self._parts: list[Part] = []

    def add(self, name: str, record: Any) -> None:
        """Add a record, which JSON can hold, under a name. Raises OSError, and ValueError for a NaN or an infinity."""
        if not self._lines:
            self._first = name
        self._lines.append(json.dumps(record, separators=(",", ":"), allow_nan=False))
        if len(self._lines) >= self._size:
            self._write()

    def finish(self) -> tuple[Part, ...]:
        """All parts. Raises OSError."""
        if self._lines:
            self._write()
        return tuple(self._parts)

    def _write(self) -> None:
        text = "".join(f"{line}\n" for line in self._lines).encode("ascii")
        sha256 = hashlib.sha256(text).hexdigest()
        file = f"{self._kind}-{len(self._parts) + 1:05d}-{sha256[:8]}.jsonl"
        write_atomically(self._folder / file, text)
        self._parts.append(Part(file=file, count=len(self._lines), first=self._first, sha256=sha256))
        self._lines.clear()


class Parts(Sequence[T], Generic[T]):
    """The records of parts, in order; one part at a time is in memory.

    Parameters
    ----------
    folder : path or URI of the folder of the parts.
    parts : the parts.
    kind : the type of a record's JSON, as ``JsonRecord`` reads it.
    made : what makes a record of that.

    Raises
    ------
    InvalidRecord
        On reading, where a part is gone, is not the one that was written, or has a wrong record.
    OSError
        On reading, where a disk or an object store refuses.
    """

    def __init__(self, folder: StrPath, parts: Iterable[Part], kind: Any, made: Callable[[Any], T]) -> None:
        self.folder, self.parts, self._kind, self._made = str(folder), tuple(parts), kind, made
        self._starts = [0, *accumulate(part.count for part in self.parts)]
        self._cached: tuple[int, list[T]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cached": None}

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[T]:
        for number in range(len(self.parts)):
            yield from self.iterate(number)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return list(self.between(start, stop)) if step == 1 else [self[at] for at in range(start, stop, step)]
        position = range(len(self))[index]
        number = bisect_right(self._starts, position) - 1
        return self.part(number)[position - self._starts[number]]

    def part(self, number: int) -> list[T]:
        """The records of a part, counted from 0; the last one that was asked for is kept in memory."""
        cached = self._cached  # Another thread may ask for another part.
        if cached is None or cached[0] != number:
            cached = self._cached = number, list(self.iterate(number))
        return cached[1]

    def starts(self) -> list[int]:
        """The index of the first record of each part, and the number of all records."""
        return list(self._starts)

    def part_with(self, name: str) -> int:
        """The number of the part that has a name, if any has it: names are ascending."""
        return max(0, bisect_right([part.first for part in self.parts], name) - 1)

    def mapped(self, function: Callable[[T], R]) -> "Parts[R]":
        """The same records, changed by a function when they are read."""
        made = self._made
        return Parts(self.folder, self.parts, self._kind, lambda value: function(made(value)))

    def remove(self) -> None:
        """Remove all parts. Raises OSError."""
        for part in self.parts:
            remove(location(self.folder) / part.file)

    def iterate(self, number: int) -> Iterator[T]:
        """The records of a part, one at a time."""
        return self._parsed(number, slice(None))

    def between(self, start: int, stop: int) -> Iterator[T]:
        """The records from an index to another one, one at a time: of a part only these are parsed."""
        for number, (first, after) in enumerate(pairwise(self._starts)):
            if first < stop and start < after:
                yield from self._parsed(number, slice(max(0, start - first), stop - first))

    def _parsed(self, number: int, chosen: slice) -> Iterator[T]:
        part = self.parts[number]
        path = location(self.folder) / part.file
        try:
            text = read(path)
        except FileNotFoundError:
            raise InvalidRecord(f"{path} is gone, a part of what names it") from None
        if hashlib.sha256(text).hexdigest() != part.sha256 or text.count(b"\n") != part.count:
            raise InvalidRecord(f"{path} is not the part that was written: its SHA-256 or its number of lines differs")
        for line in text.splitlines()[chosen]:
            yield self._made(parse_record(self._kind, line, path))


def parts_folder(folder: StrPath) -> Path:
    """The folder of the parts of a run, whose folder is given."""
    return location(folder) / PARTS_FOLDER
