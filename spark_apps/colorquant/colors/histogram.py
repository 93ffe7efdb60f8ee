"""The color histogram: the distinct colors of an image and how often each occurs.

K-Means on the weighted distinct colors is exactly K-Means on the pixels, and a histogram has at most 2^24 rows. So the
steps after this one work on the histogram, and only the remap reads the pixels again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from colorquant.pixels import Pixels


@dataclass(frozen=True, eq=False)
class ColorHistogram:
    """Distinct colors and their numbers of pixels.

    Attributes
    ----------
    colors : uint32 (n,)
        Packed 0xRRGGBB, ascending and distinct.
    counts : int64 (n,)
        Pixels of each color, all positive.
    """

    colors: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.colors)

    @property
    def pixels(self) -> int:
        """Number of pixels counted."""
        return int(self.counts.sum())

    def without(self, colors: np.ndarray) -> "ColorHistogram":
        """The other colors than these, uint32 (m,)."""
        others = ~np.isin(self.colors, colors)
        return ColorHistogram(self.colors[others], self.counts[others])


def count_colors(pixels: Pixels) -> ColorHistogram:
    """Count the colors of pixels, without sorting.

    Parameters
    ----------
    pixels : uint8 (..., 3)
        An image or a part of it, which may be empty.
    """
    colors, counts = _count(kernel_input(pixels).reshape(-1, 3))
    return ColorHistogram(colors, counts)


def merge_histograms(parts: Sequence[ColorHistogram]) -> ColorHistogram:
    """Add histograms of parts of an image; the result is exact, and the same for any order of the parts."""
    if not parts:
        return ColorHistogram(np.empty(0, np.uint32), np.empty(0, np.int64))
    if len(parts) == 1:
        return parts[0]
    colors, counts = sum_by_key(
        np.concatenate([part.colors for part in parts]), np.concatenate([part.counts for part in parts])[:, None]
    )
    return ColorHistogram(colors, counts[:, 0])


def unpack_colors(colors: np.ndarray) -> Pixels:
    """Colors uint8 (n, 3) of packed colors uint32 (n,), 0xRRGGBB."""
    return np.stack([colors >> 16, colors >> 8, colors], axis=1).astype(np.uint8)


def pack_colors(colors: Pixels) -> np.ndarray:
    """Packed colors uint32 (n,), 0xRRGGBB, of colors uint8 (n, 3)."""
    return colors.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)


def sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add the values of equal keys.

    Parameters
    ----------
    keys : uint32 (n,)
        Below 2^24, in any order.
    values : int64 (n, m)

    Returns
    -------
    keys : uint32 (d,)
        Distinct, ascending.
    sums : int64 (d, m)
    """
    return _sum_by_key(kernel_input(keys), kernel_input(values))


def kernel_input(array: np.ndarray) -> np.ndarray:
    """The array, copied if it is not contiguous and writable: for every other layout a kernel would be recompiled."""
    return np.require(array, requirements=["C", "W"])


def count_distinct(keys: np.ndarray, mask: int) -> int:
    """The number of distinct values of ``keys & mask``, for keys uint32 (n,) below 2^24."""
    return int(_mark(kernel_input(keys), np.uint32(mask), np.zeros(1 << 19, np.uint32)))


@njit(cache=True, nogil=True)
def _mark(keys: np.ndarray, mask: np.uint32, marks: np.ndarray) -> int:
    """Set the bits of all ``keys & mask`` in marks uint32 (2^19,), one bit a color; returns how many were not set."""
    distinct = 0
    for key in keys:
        key &= mask
        bit = np.uint32(1) << (key & np.uint32(31))
        word = key >> np.uint32(5)
        if not marks[word] & bit:
            marks[word] |= bit
            distinct += 1
    return distinct


@njit(cache=True, nogil=True)
def _rank(marks: np.ndarray, distinct: int) -> tuple[np.ndarray, np.ndarray]:
    """The marked keys uint32 (distinct,), ascending, and the number of marks before each word, int32 (2^19,)."""
    ranks, keys = np.empty(len(marks), np.int32), np.empty(distinct, np.uint32)
    rank = 0
    for word in range(len(marks)):
        ranks[word] = rank
        bits = marks[word]
        bit = 0
        while bits:
            if bits & np.uint32(1):
                keys[rank] = np.uint32(word * 32 + bit)
                rank += 1
            bits >>= np.uint32(1)
            bit += 1
    return keys, ranks


@njit(cache=True, nogil=True)
def _row(key: np.uint32, marks: np.ndarray, ranks: np.ndarray) -> np.int64:
    """The row of a marked key: the number of marks before its word and below its bit (a population count)."""
    word = key >> np.uint32(5)
    below = np.int64(marks[word]) & ((1 << np.int64(key & np.uint32(31))) - 1)
    below = below - ((below >> 1) & 0x55555555)
    below = (below & 0x33333333) + ((below >> 2) & 0x33333333)
    below = (below + (below >> 4)) & 0x0F0F0F0F
    return np.int64(ranks[word]) + (((below * 0x01010101) & 0xFFFFFFFF) >> 24)


@njit(cache=True, nogil=True)
def _sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """See ``sum_by_key``."""
    marks = np.zeros(1 << 19, np.uint32)
    distinct = _mark(keys, np.uint32(0xFFFFFFFF), marks)
    sorted_keys, ranks = _rank(marks, distinct)
    sums = np.zeros((distinct, values.shape[1]), np.int64)
    for i in range(len(keys)):
        row = _row(keys[i], marks, ranks)
        for column in range(values.shape[1]):
            sums[row, column] += values[i, column]
    return sorted_keys, sums


@njit(cache=True, nogil=True)
def _count(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct colors uint32 (n,) and counts int64 (n,) of pixels uint8 (m, 3)."""
    # A bit for each of 2^24 colors (2 MB, which stays in cache) and the rank of each word of bits give every color its
    # row. This needs neither sorting nor a table of counts as large as the color cube.
    marks = np.zeros(1 << 19, np.uint32)
    distinct = 0
    for i in range(len(pixels)):
        color = (np.uint32(pixels[i, 0]) << 16) | (np.uint32(pixels[i, 1]) << 8) | np.uint32(pixels[i, 2])
        bit = np.uint32(1) << np.uint32(color & 31)
        if not marks[color >> 5] & bit:
            marks[color >> 5] |= bit
            distinct += 1
    colors, ranks = _rank(marks, distinct)
    counts = np.zeros(distinct, np.int64)
    for i in range(len(pixels)):
        color = (np.uint32(pixels[i, 0]) << 16) | (np.uint32(pixels[i, 1]) << 8) | np.uint32(pixels[i, 2])
        counts[_row(np.uint32(color), marks, ranks)] += 1
    return colors, counts
