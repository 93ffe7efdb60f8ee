"""Rows of a PNG as they are compressed: pixels packed into bytes, and a filter before each row (PNG 3: 7 and 9)."""

from enum import Enum, IntEnum, auto

import numpy as np
import numpy.typing as npt
from numba import njit

Rows = npt.NDArray[np.uint8]


class Filter(IntEnum):
    """The filter of a row, as its first byte names it."""

    NONE = 0
    SUB = 1
    UP = 2
    AVERAGE = 3
    PAETH = 4


class Strategy(Enum):
    """How each row chooses its filter.

    ENTROPY takes the one that leaves a row the least entropy (as lodepng and oxipng do). STEADY does too, but keeps the
    one of the row above where the gain is less than an eighth of a bit a byte: what changes its filter no longer
    repeats what was above. BIGRAMS takes the one that leaves the fewest different pairs of neighboring bytes (as
    pngwolf does): where pictures are flat, DEFLATE's matches matter more than how often a byte occurs.
    """

    ENTROPY = auto()
    STEADY = auto()
    BIGRAMS = auto()


Filtering = Filter | Strategy

_FILTERS = len(Filter)


def packed(indexes: Rows, bit_depth: int) -> Rows:
    """Rows of bytes, the leftmost pixel in the high bits, each row filled up to a whole byte with zeros.

    Parameters
    ----------
    indexes : uint8 (H, W), each below 2^bit_depth
    bit_depth : 1, 2, 4 or 8
    """
    return np.ascontiguousarray(indexes) if bit_depth == 8 else _packed(np.ascontiguousarray(indexes), bit_depth)


def filtered(rows: Rows, filtering: Filtering) -> Rows:
    """Rows uint8 (H, bytes) of single-byte or smaller pixels, filtered: uint8 (H, 1 + bytes)."""
    if isinstance(filtering, Filter):
        return _filtered_alike(rows, int(filtering))
    if filtering is Strategy.BIGRAMS:
        return _filtered_by_bigrams(rows)
    length = rows.shape[1]
    occurrences = np.arange(length + 2)
    # In 1/64 bit: whole numbers, so that the choice is the same on every machine.
    information = np.rint(64 * occurrences * np.log2(np.maximum(occurrences, 1))).astype(np.int64)
    return _filtered_by_entropy(rows, information, 8 * length if filtering is Strategy.STEADY else 0)


@njit(cache=True, nogil=True)
def _packed(indexes: Rows, bit_depth: int) -> Rows:
    height, width = indexes.shape
    per_byte = 8 // bit_depth
    rows = np.zeros((height, (width + per_byte - 1) // per_byte), np.uint8)
    for y in range(height):
        for x in range(width):
            rows[y, x // per_byte] |= indexes[y, x] << np.uint8(8 - bit_depth * (1 + x % per_byte))
    return rows


@njit(cache=True, nogil=True)
def _filtered_alike(rows: Rows, kind: int) -> Rows:
    height, length = rows.shape
    lines = np.empty((height, 1 + length), np.uint8)
    above = np.zeros(length, np.uint8)
    for y in range(height):
        lines[y, 0] = kind
        _filter_row(kind, rows[y], above, lines[y, 1:])
        above = rows[y]
    return lines


@njit(cache=True, nogil=True)
def _filtered_by_entropy(rows: Rows, information: npt.NDArray[np.int64], hysteresis: int) -> Rows:
    """By the sum over byte values of n log2 n, which is the larger the less entropy there is in a row."""
    height, length = rows.shape
    lines = np.empty((height, 1 + length), np.uint8)
    above = np.zeros(length, np.uint8)
    tried = np.empty(length, np.uint8)
    counts = np.empty(256, np.int64)
    for y in range(height):
        most, before = np.int64(-1), lines[y - 1, 0] if y > 0 else 0
        for kind in range(_FILTERS if y > 0 else 2):
            _filter_row(kind, rows[y], above, tried)
            counts[:] = 0
            counts[kind] = 1  # The filter's own byte.
            for x in range(length):
                counts[tried[x]] += 1
            kept = np.int64(hysteresis if kind == before else 0)
            for value in range(256):
                kept += information[counts[value]]
            if kept > most:
                most = kept
                lines[y, 0] = kind
                lines[y, 1:] = tried
        above = rows[y]
    return lines


@njit(cache=True, nogil=True)
def _filtered_by_bigrams(rows: Rows) -> Rows:
    height, length = rows.shape
    lines = np.empty((height, 1 + length), np.uint8)
    above = np.zeros(length, np.uint8)
    tried = np.empty(length, np.uint8)
    seen_by = np.zeros(1 << 16, np.int64)
    trial = 0
    for y in range(height):
        fewest = length + 1
        for kind in range(_FILTERS if y > 0 else 2):
            _filter_row(kind, rows[y], above, tried)
            trial += 1
            pairs = 0
            for x in range(1, length):
                pair = np.int64(tried[x - 1]) << 8 | tried[x]
                if seen_by[pair] != trial:
                    seen_by[pair] = trial
                    pairs += 1
            if pairs < fewest:
                fewest = pairs
                lines[y, 0] = kind
                lines[y, 1:] = tried
        above = rows[y]
    return lines


@njit(cache=True, nogil=True)
def _filter_row(kind: int, row: Rows, above: Rows, line: Rows) -> None:
    """Filter types 0 to 4 for pixels of one byte; beyond the image all is 0."""
    line[0] = row[0] - (above[0] >> 1 if kind == 3 else above[0] if kind in (2, 4) else 0)
    if kind == 0:
        line[1:] = row[1:]
    elif kind == 1:
        for x in range(1, len(row)):
            line[x] = row[x] - row[x - 1]
    elif kind == 2:
        for x in range(1, len(row)):
            line[x] = row[x] - above[x]
    elif kind == 3:
        for x in range(1, len(row)):
            line[x] = row[x] - ((np.int32(row[x - 1]) + np.int32(above[x])) >> 1)
    else:
        for x in range(1, len(row)):
            line[x] = row[x] - _paeth(np.int32(row[x - 1]), np.int32(above[x]), np.int32(above[x - 1]))


@njit(cache=True, nogil=True)
def _paeth(left: np.int32, above: np.int32, corner: np.int32) -> np.int32:
    to_left, to_above, to_corner = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner
