"""The directories of a TIFF: how many there are, and what kind of image each holds; nothing else of them is read.

Image libraries compare each directory with all earlier ones, to find circles, and parse its tags: a file of a megabyte
keeps them busy for seconds.

Source: TIFF Revision 6.0, section 2; for BigTIFF its extension by Joris Van Damme.
"""

from typing import BinaryIO

import numpy as np

_NEW_SUBFILE_TYPE = 254
_SHORT = 3
# A reduced version of another page, or a mask.
_NOT_A_PAGE = 1 | 4
# Of a file.
_MAX_OFFSET = 2**63 - 1
# tifffile reads no more; Pillow reads any number, which takes its time.
_MAX_TAGS = 4096


def count_pages(stream: BinaryIO, limit: int) -> int | None:
    """The number of pages of a TIFF: directories that are neither reduced versions of another one nor masks.

    The first one counts, whatever it says of itself. A chain that ends in a circle ends there.

    Parameters
    ----------
    stream : binary file
        That can seek; its position changes.
    limit : int
        Of directories.

    Returns
    -------
    int or None
        None for a file with more directories.

    Raises
    ------
    ValueError
        The file is truncated, or is not a TIFF.
    """
    stream.seek(0)
    start = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None:
        raise ValueError("it is not a TIFF")
    version = int.from_bytes(start[2:4], "little" if order == "<" else "big")
    big = version == 43
    word = np.dtype(order + ("u8" if big else "u4"))
    entry = np.dtype([("tag", order + "u2"), ("type", order + "u2"), ("count", word), ("value", word)])
    at, seen, pages = _number(start[8:16] if big else start[4:8], word), set[int](), 0
    while at and at not in seen:
        if len(seen) == limit:
            return None
        if at > _MAX_OFFSET:
            raise ValueError(f"a directory at {at}")
        seen.add(at)
        stream.seek(at)
        tags = _number(stream.read(8 if big else 2), np.dtype(order + ("u8" if big else "u2")))
        if tags > _MAX_TAGS:
            raise ValueError(f"a directory of {tags} tags")
        content = stream.read(tags * entry.itemsize)
        if len(content) != tags * entry.itemsize:
            raise ValueError("a directory is truncated")
        pages += len(seen) == 1 or not _kind(np.frombuffer(content, entry)) & _NOT_A_PAGE
        at = _number(stream.read(word.itemsize), word)
    return pages


def _kind(entries: "np.ndarray") -> int:
    """The value of the tag NewSubfileType; 0, a page, without one."""
    for found in entries[entries["tag"] == _NEW_SUBFILE_TYPE][:1]:
        # A number shorter than the field stands at the field's beginning.
        value = found["value"].tobytes()
        return int(np.frombuffer(value, entries.dtype["type"])[0] if found["type"] == _SHORT else found["value"])
    return 0


def _number(content: bytes, kind: "np.dtype[np.uint64] | np.dtype[np.void]") -> int:
    if len(content) != kind.itemsize:
        raise ValueError("a directory is missing")
    return int(np.frombuffer(content, kind)[0])
