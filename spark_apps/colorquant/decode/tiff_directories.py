"""The directories of a TIFF: which one holds the picture, and how many there are; nothing else of them is read.

Image libraries compare each directory with all earlier ones, to find circles, and parse its tags: a file of a megabyte
keeps them busy for seconds.

Source: TIFF Revision 6.0, section 2; for BigTIFF its extension by Joris Van Damme.
"""

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _SUB_DIRECTORIES = 254, 255, 330
_SHORT = 3
# A reduced version of another page, or a mask.
_REDUCED = 1
_NOT_A_PAGE = _REDUCED | 4
_REDUCED_BEFORE_TIFF_6 = 2
# Size, depth, compression, kind of colors, strips, tiles, palette, extra samples, tables of JPEG, ICC profile.
_OF_THE_PICTURE = (
    *range(256, 263),
    266,
    273,
    277,
    278,
    279,
    284,
    317,
    320,
    *range(322, 326),
    338,
    339,
    347,
    530,
    34675,
)
# Bytes of a value by its type.
_SIZES = dict(enumerate((0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)))
# Of a file.
_MAX_OFFSET = 2**63 - 1
# tifffile reads no more; Pillow reads any number, which takes its time.
_MAX_TAGS = 4096


@dataclass(frozen=True)
class Picture:
    """The picture of a TIFF.

    Attributes
    ----------
    offset : int
        Of its directory.
    pages : int
        How many pictures there are: directories that are neither reduced versions of another one nor masks.
    """

    offset: int
    pages: int


def find_picture(stream: BinaryIO, limit: int) -> Picture | None:
    """The picture of a TIFF: its first directory, unless that is a reduced version of a later one or of one below it.

    Cameras and DNG files begin with a preview, and have the picture in a directory below it (tag SubIFDs).

    Parameters
    ----------
    stream : binary file
        That can seek; its position changes.
    limit : int
        Of directories.

    Returns
    -------
    Picture or None
        None for a file with more directories. A chain that ends in a circle ends there.

    Raises
    ------
    ValueError
        The file is truncated, or is not a TIFF.
    """
    directories = _Directories(stream)
    first = at = directories.start
    seen, pages, below = set[int](), list[int](), list[int]()
    while at and at not in seen:
        if len(seen) == limit:
            return None
        seen.add(at)
        entries, following = directories.read(at)
        if not directories.kind(entries) & _NOT_A_PAGE:
            pages.append(at)
        elif at == first:
            below = directories.offsets(entries, limit)
        at = following
    if first not in pages:
        for at in below:
            if len(seen) == limit:
                return None
            if at not in seen and not directories.kind(directories.read(at)[0]) & _NOT_A_PAGE:
                pages.append(at)
            seen.add(at)
    picture = pages[0] if pages else first
    directories.check_values(directories.read(picture)[0])
    return Picture(picture, max(1, len(pages)))


class _Directories:
    """The directories of a TIFF or BigTIFF, in its byte order."""

    def __init__(self, stream: BinaryIO) -> None:
        stream.seek(0)
        start = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        if order is None:
            raise ValueError("it is not a TIFF")
        big = int.from_bytes(start[2:4], "little" if order == "<" else "big") == 43
        self._stream = stream
        self._count = np.dtype(order + ("u8" if big else "u2"))
        self._short = np.dtype(order + "u2")
        self._word = np.dtype(order + ("u8" if big else "u4"))
        self._entry = np.dtype(
            [("tag", self._short), ("type", self._short), ("count", self._word), ("value", self._word)]
        )
        self.start = _number(start[8:16] if big else start[4:8], self._word)

    def read(self, at: int) -> tuple["np.ndarray", int]:
        """The entries of a directory, and the offset of the following one."""
        if at > _MAX_OFFSET:
            raise ValueError(f"a directory at {at}")
        self._stream.seek(at)
        tags = _number(self._stream.read(self._count.itemsize), self._count)
        if tags > _MAX_TAGS:
            raise ValueError(f"a directory of {tags} tags")
        content = self._stream.read(tags * self._entry.itemsize)
        if len(content) != tags * self._entry.itemsize:
            raise ValueError("a directory is truncated")
        return np.frombuffer(content, self._entry), _number(self._stream.read(self._word.itemsize), self._word)

    def check_values(self, entries: "np.ndarray") -> None:
        """Raise ValueError where the file ends before a value that the picture depends on: tifffile does without it."""
        size = self._stream.seek(0, io.SEEK_END)
        for entry in entries[np.isin(entries["tag"], _OF_THE_PICTURE)]:
            length = int(entry["count"]) * _SIZES.get(int(entry["type"]), 0)
            if length > self._word.itemsize and int(entry["value"]) + length > size:
                raise ValueError(f"the values of its tag {entry['tag']} are missing")

    def kind(self, entries: "np.ndarray") -> int:
        """The value of the tag NewSubfileType, or of the older SubfileType; 0, a page, without them."""
        for tag in (_NEW_SUBFILE_TYPE, _SUBFILE_TYPE):
            for found in entries[entries["tag"] == tag][:1]:
                # A number shorter than the field stands at the field's beginning.
                value = found["value"].tobytes()
                kind = int(np.frombuffer(value, self._short)[0] if found["type"] == _SHORT else found["value"])
                return kind if tag == _NEW_SUBFILE_TYPE else _REDUCED * (kind == _REDUCED_BEFORE_TIFF_6)
        return 0

    def offsets(self, entries: "np.ndarray", limit: int) -> list[int]:
        """The offsets of the directories below one, at most one more than ``limit``."""
        for found in entries[entries["tag"] == _SUB_DIRECTORIES][:1]:
            count = min(int(found["count"]), limit + 1)
            if count <= 1:
                return [int(found["value"])] * count
            # Offsets of 4 bytes in a BigTIFF have another type; two of them fit into the field.
            size = self._word.itemsize if found["type"] not in (4, 13) else 4
            stream: BinaryIO = self._stream
            if count * size <= self._word.itemsize:
                stream = io.BytesIO(found["value"].tobytes())
            else:
                stream.seek(min(int(found["value"]), _MAX_OFFSET))
            content = stream.read(count * size)
            kind = np.dtype(f"{self._short.byteorder}u{size}")
            return [int(at) for at in np.frombuffer(content[: len(content) // size * size], kind)]
        return []


def _number(content: bytes, kind: "np.dtype[np.unsignedinteger]") -> int:
    if len(content) != kind.itemsize:
        raise ValueError("a directory is missing")
    return int(np.frombuffer(content, kind)[0])
