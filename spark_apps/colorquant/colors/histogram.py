"""The color histogram: the distinct colors of an image and how often each occurs.

K-Means on the weighted distinct colors is exactly K-Means on the pixels, and a histogram is never larger
than 2^24 rows, so nothing after this module sees a pixel again until the remap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit


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


def count_colors(pixels: np.ndarray) -> ColorHistogram:
    """Count the colors of some pixels in one pass.

    Parameters
    ----------
    pixels : uint8 (..., 3)
        Any block of pixels: an image, a band of rows; empty blocks are fine.
    """
    colors, counts = _count(kernel_input(pixels).reshape(-1, 3))
    return ColorHistogram(colors, counts)


def merge_histograms(parts: Sequence[ColorHistogram]) -> ColorHistogram:
    """Add histograms of parts of an image: exact, and the same in any order."""
    if not parts:
        return ColorHistogram(np.empty(0, np.uint32), np.empty(0, np.int64))
    if len(parts) == 1:
        return parts[0]
    colors, counts = sum_by_key(
        np.concatenate([part.colors for part in parts]), np.concatenate([part.counts for part in parts])[:, None]
    )
    return ColorHistogram(colors, counts[:, 0])


def unpack_colors(colors: np.ndarray) -> np.ndarray:
    """Packed uint32 0xRRGGBB (n,) to uint8 (n, 3)."""
    return np.stack([colors >> 16, colors >> 8, colors], axis=1).astype(np.uint8)


def sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys, ascending, and the sums of their values.

    Parameters
    ----------
    keys : uint32 (n,)
        Below 2^24, in any order.
    values : int64 (n, m)

    Returns
    -------
    keys : uint32 (d,)
    sums : int64 (d, m)
    """
    return _sum_by_key(kernel_input(keys), kernel_input(values))


def kernel_input(array: np.ndarray) -> np.ndarray:
    """The array, copied only if it is not contiguous and writable: a kernel is compiled anew for each such kind."""
    return np.require(array, requirements=["C", "W"])


def count_distinct(keys: np.ndarray, mask: int) -> int:
    """How many distinct values ``keys & mask`` has; keys uint32 below 2^24."""
    return int(_mark(kernel_input(keys), np.uint32(mask), np.zeros(1 << 19, np.uint32)))


@njit(cache=True, nogil=True)
def _mark(keys: np.ndarray, mask: np.uint32, marks: np.ndarray) -> int:
    """Set the bit of every masked key; returns how many are set."""
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
    """The marked keys, ascending, and how many are marked before each word."""
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
    """The row of a marked key: the marks before its word, and those below its bit (a population count)."""
    word = key >> np.uint32(5)
    below = np.int64(marks[word]) & ((1 << np.int64(key & np.uint32(31))) - 1)
    below = below - ((below >> 1) & 0x55555555)
    below = (below & 0x33333333) + ((below >> 2) & 0x33333333)
    below = (below + (below >> 4)) & 0x0F0F0F0F
    return np.int64(ranks[word]) + (((below * 0x01010101) & 0xFFFFFFFF) >> 24)


@njit(cache=True, nogil=True)
def _sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    # A bit for each of 2^24 colors (2 MB, it stays in cache) and the rank of each word of bits give every color
    # its row: no sorting, and no table of counts as large as the color cube.
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
