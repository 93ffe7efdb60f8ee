"""The steps of K-Means (Lloyd 1982) over a color histogram: assign and sum (map), merge (reduce), update.

Everything that is merged is an exact integer, and a color's label depends only on the color and the centroids, so
results do not depend on how the histogram was split. Distances are exact too: centroids lie on a grid of 1/8, where
squared distances times 64 are integers below 2^24, which float32 holds exactly.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from colorquant.colors import ColorHistogram, kernel_input
from colorquant.kmeans.blocks import all_candidates, find_nearest, no_candidates, select
from colorquant.kmeans.points import BLOCK, GRID


@dataclass(frozen=True, eq=False)
class MergeableSums(ABC):
    """Sums over the pixels of the clusters of one assignment; exact, and merged in any order with ``+``.

    Attributes
    ----------
    sums : int64 (k, d)
        Sums over the pixels of each cluster, of each of the d coordinates of a color.
    counts : int64 (k,)
        Pixels of each cluster.
    squares : int
        Sum over all pixels of the squared norm of the color.
    """

    sums: np.ndarray
    counts: np.ndarray
    squares: int

    def __add__(self, other: Self) -> Self:
        return type(self)(self.sums + other.sums, self.counts + other.counts, self.squares + other.squares)

    @abstractmethod
    def inertia(self, centroids: np.ndarray) -> float:
        """Sum over pixels of the squared distance to the centroid of their cluster.

        Parameters
        ----------
        centroids : (k, d)
            Those that the colors were assigned to.
        """


class ClusterSums(MergeableSums):
    """Sums of the three channels."""

    def inertia(self, centroids: np.ndarray) -> int:
        """As of the base class: exact, for whole colors, integers (k, 3)."""
        entries = centroids.astype(np.int64)
        cross = int((entries * self.sums).sum())
        return self.squares - 2 * cross + int((self.counts * (entries * entries).sum(axis=1)).sum())


def partial_sums(histogram: ColorHistogram, centroids: np.ndarray) -> ClusterSums:
    """Assign the colors of a histogram, or of a part of one, to their nearest centroids and sum them up.

    Parameters
    ----------
    histogram : ColorHistogram
        Any part of the image's histogram.
    centroids : (k, 3), k <= 256
        A palette, or real-valued centroids, which are taken at the nearest 1/8.

    Returns
    -------
    ClusterSums
        Ties go to the lower index.
    """
    sums, counts, squares = _assign_and_sum(
        kernel_input(histogram.colors), kernel_input(histogram.counts), _on_grid(centroids)
    )
    return ClusterSums(sums, counts, int(squares))


def update(sums: MergeableSums, centroids: np.ndarray) -> np.ndarray:
    """The update step: the means of the clusters, float64 (k, d); an empty cluster keeps its centroid."""
    filled = sums.counts > 0
    means = np.array(centroids, dtype=np.float64)
    means[filled] = sums.sums[filled] / sums.counts[filled, None]
    return means


def nearest(colors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Assign packed colors.

    Parameters
    ----------
    colors : uint32 (n,)
        0xRRGGBB.
    centroids : (k, 3), k <= 256
        As of ``partial_sums``.

    Returns
    -------
    uint8 (n,)
        Index of the nearest centroid of each color; ties go to the lower index.
    """
    return _nearest(kernel_input(colors), _on_grid(centroids))


def _on_grid(centroids: np.ndarray) -> np.ndarray:
    """Centroids (k, 3) in channels as float32 (3, k) in grid units, rounded to whole numbers.

    Always in one layout, because kernels would be compiled for each one.
    """
    return np.floor(np.asarray(centroids, dtype=np.float64).T * GRID + 0.5).astype(np.float32, order="C")


@njit(cache=True, nogil=True)
def _nearest(colors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Labels uint8 (n,) of packed colors uint32 (n,) by centroids float32 (3, k) in grid units."""
    k = centroids.shape[1]
    labels = np.empty(len(colors), np.uint8)
    best = np.empty(BLOCK, np.uint32)
    block = np.zeros((3, BLOCK), np.float32)
    everything, near, bounds = all_candidates(centroids), no_candidates(k), np.empty((2, k), np.int32)
    for start in range(0, len(colors), BLOCK):
        size = min(BLOCK, len(colors) - start)
        low, high = _unpack_block(colors[start : start + size], block)
        # Neighbors in the histogram are mostly similar colors, so few centroids come near a block.
        count = select(low, high, everything, k, 1, bounds, near)
        find_nearest(block, 0, near, count, best)
        for j in range(size):
            labels[start + j] = np.uint8(near[3, best[j] & np.uint32(255)])
    return labels


@njit(cache=True, nogil=True)
def _unpack_block(colors, block):  # type: ignore[no-untyped-def]
    """Write the grid coordinates of at most BLOCK packed colors to float32 (3, BLOCK); returns their bounding box."""
    low_r, low_g, low_b = np.int32(255), np.int32(255), np.int32(255)
    high_r, high_g, high_b = np.int32(0), np.int32(0), np.int32(0)
    for j in range(len(colors)):
        color = np.int32(colors[j])
        r, g, b = color >> np.int32(16), color >> np.int32(8) & np.int32(255), color & np.int32(255)
        low_r, low_g, low_b = min(low_r, r), min(low_g, g), min(low_b, b)
        high_r, high_g, high_b = max(high_r, r), max(high_g, g), max(high_b, b)
        block[0, j], block[1, j], block[2, j] = np.float32(GRID * r), np.float32(GRID * g), np.float32(GRID * b)
    low = (np.float32(GRID * low_r), np.float32(GRID * low_g), np.float32(GRID * low_b))
    high = (np.float32(GRID * high_r), np.float32(GRID * high_g), np.float32(GRID * high_b))
    return low, high


@njit(cache=True, nogil=True)
def _assign_and_sum(
    colors: np.ndarray, counts: np.ndarray, centroids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.int64]:
    """The fields of ``ClusterSums``: sums int64 (k, 3), counts int64 (k,), squares."""
    k = centroids.shape[1]
    sums, sizes = np.zeros((k, 3), np.int64), np.zeros(k, np.int64)
    squares = np.int64(0)
    labels = _nearest(colors, centroids)
    for i in range(len(colors)):
        weight, label = counts[i], labels[i]
        red = np.int64(colors[i] >> 16)
        green = np.int64((colors[i] >> 8) & 255)
        blue = np.int64(colors[i] & 255)
        sums[label, 0] += weight * red
        sums[label, 1] += weight * green
        sums[label, 2] += weight * blue
        sizes[label] += weight
        squares += weight * (red * red + green * green + blue * blue)
    return sums, sizes, squares
