"""The color histogram: the distinct colors of an image and how often each occurs.

K-Means on the weighted distinct colors is exactly K-Means on the pixels, and a histogram is never larger
than 2^24 rows, so nothing after this module sees a pixel again until the remap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

# Below this many pixels sorting beats a table of all 2^24 colors, whose pages must be cleared and scanned.
SORT_LIMIT = 1 << 21
PAGE_BITS = 12


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
    flat = pixels.reshape(-1, 3)
    if len(flat) > SORT_LIMIT:
        colors, counts = _count_in_table(kernel_input(flat))
        return ColorHistogram(colors, counts)
    ordered = pack_colors(flat)
    ordered.sort()
    differs = np.ones(len(ordered), bool)
    differs[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(differs)
    return ColorHistogram(ordered[starts], np.diff(np.append(starts, len(ordered))).astype(np.int64))


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


def pack_colors(pixels: np.ndarray) -> np.ndarray:
    """uint8 (..., 3) to packed uint32 0xRRGGBB (n,)."""
    flat = pixels.reshape(-1, 3)
    packed = flat[:, 0].astype(np.uint32)
    packed <<= 8
    packed |= flat[:, 1]
    packed <<= 8
    packed |= flat[:, 2]
    return packed


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
def _sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # A bit for each of 2^24 keys (2 MB, it stays in cache) and the rank of each word of bits give every key its
    # row: no sorting.
    marks = np.zeros(1 << 19, np.uint32)
    distinct = _mark(keys, np.uint32(0xFFFFFFFF), marks)
    ranks = np.empty(1 << 19, np.int32)
    sorted_keys = np.empty(distinct, np.uint32)
    rank = 0
    for word in range(len(marks)):
        ranks[word] = rank
        if marks[word]:
            for bit in range(32):
                if marks[word] >> np.uint32(bit) & np.uint32(1):
                    sorted_keys[rank] = np.uint32(word * 32 + bit)
                    rank += 1
    sums = np.zeros((distinct, values.shape[1]), np.int64)
    for i in range(len(keys)):
        word = keys[i] >> np.uint32(5)
        row = ranks[word]
        below = marks[word] & ((np.uint32(1) << (keys[i] & np.uint32(31))) - np.uint32(1))
        while below:
            below &= below - np.uint32(1)
            row += 1
        for column in range(values.shape[1]):
            sums[row, column] += values[i, column]
    return sorted_keys, sums


@njit(cache=True, nogil=True)
def _count_in_table(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    table = np.zeros(1 << 24, np.int32)
    touched = np.zeros(1 << (24 - PAGE_BITS), np.uint8)
    distinct = 0
    for i in range(len(flat)):
        color = (np.uint32(flat[i, 0]) << 16) | (np.uint32(flat[i, 1]) << 8) | np.uint32(flat[i, 2])
        if table[color] == 0:
            touched[color >> PAGE_BITS] = 1
            distinct += 1
        table[color] += 1
    colors = np.empty(distinct, np.uint32)
    counts = np.empty(distinct, np.int64)
    at = 0
    for page in range(len(touched)):
        if touched[page]:
            for packed in range(page << PAGE_BITS, (page + 1) << PAGE_BITS):
                if table[packed]:
                    colors[at] = packed
                    counts[at] = table[packed]
                    at += 1
    return colors, counts
