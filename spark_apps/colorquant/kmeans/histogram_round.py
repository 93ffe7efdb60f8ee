"""The steps of K-Means (Lloyd 1982) over a color histogram: assign and sum (map), merge (reduce), update.

Everything that is merged is an exact integer, and every color's decision depends on nothing but the color and
the centroids, so results do not depend on how the histogram was split. Distances are exact too: centroids lie
on a grid of 1/8, where squared distances times 64 are integers below 2^24, which float32 holds exactly.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from colorquant.colors import ColorHistogram, kernel_input
from colorquant.kmeans.assignment import select
from colorquant.kmeans.points import BLOCK, GRID


@dataclass(frozen=True, eq=False)
class MergeableSums:
    """What one assignment of colors to centroids adds up to; exact, mergeable in any order with ``+``.

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


class ClusterSums(MergeableSums):
    """Sums of the three channels."""

    def inertia(self, palette: np.ndarray) -> int:
        """Sum over pixels of the squared distance to the entry of their cluster, exact.

        Parameters
        ----------
        palette : integers (k, 3)
            The palette that the colors were assigned to.
        """
        entries = palette.astype(np.int64)
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
    k = len(centroids)
    sums, counts, squares = _assign_and_sum(
        kernel_input(histogram.colors), kernel_input(histogram.counts), _on_grid(centroids)
    )
    return ClusterSums(sums.reshape(k, 3), counts, int(squares))


def update(sums: ClusterSums, centroids: np.ndarray) -> np.ndarray:
    """New centroids float64 (k, 3): the means of the clusters; an empty cluster keeps its centroid."""
    filled = sums.counts > 0
    means = np.array(centroids, dtype=np.float64)
    means[filled] = sums.sums[filled] / sums.counts[filled, None]
    return means


def nearest(colors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Index uint8 (n,) of the nearest centroid of each packed color; ties go to the lower index."""
    return _nearest(kernel_input(colors), _on_grid(centroids))


def _on_grid(centroids: np.ndarray) -> np.ndarray:
    return np.floor(np.asarray(centroids, dtype=np.float64) * GRID + 0.5).astype(np.float32)


@njit(cache=True, nogil=True)
def _nearest(colors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    k = len(centroids)
    labels = np.empty(len(colors), np.uint8)
    best = np.empty(BLOCK, np.uint32)
    x, y, z = np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.float32)
    centers = np.ascontiguousarray(centroids.T)
    names, kept = np.arange(k).astype(np.uint8), np.empty(k + 1, np.uint8)
    least, most = np.empty(k, np.int32), np.empty(k, np.int32)
    near_x, near_y, near_z = np.empty(k + 1, np.float32), np.empty(k + 1, np.float32), np.empty(k + 1, np.float32)
    for start in range(0, len(colors), BLOCK):
        size = min(BLOCK, len(colors) - start)
        low_r, low_g, low_b = np.int32(255), np.int32(255), np.int32(255)
        high_r, high_g, high_b = np.int32(0), np.int32(0), np.int32(0)
        for j in range(size):
            color = np.int32(colors[start + j])
            r, g, b = color >> np.int32(16), color >> np.int32(8) & np.int32(255), color & np.int32(255)
            low_r, low_g, low_b = min(low_r, r), min(low_g, g), min(low_b, b)
            high_r, high_g, high_b = max(high_r, r), max(high_g, g), max(high_b, b)
            x[j], y[j], z[j] = np.float32(GRID * r), np.float32(GRID * g), np.float32(GRID * b)
        # Colors in their order lie close together: most centroids cannot be the nearest of any in the block.
        low = (np.float32(GRID * low_r), np.float32(GRID * low_g), np.float32(GRID * low_b))
        high = (np.float32(GRID * high_r), np.float32(GRID * high_g), np.float32(GRID * high_b))
        count = select(
            low, high, centers[0], centers[1], centers[2], k, 1, names, least, most, kept, near_x, near_y, near_z
        )
        best[:] = np.uint32(0xFFFFFFFF)
        # Distance (24 bits) and candidate (8 bits) in one word, as in assignment.py.
        for t in range(count):
            cx, cy, cz = near_x[t], near_y[t], near_z[t]
            for j in range(BLOCK):
                dx, dy, dz = x[j] - cx, y[j] - cy, z[j] - cz
                word = np.uint32((np.uint32(np.int32(dx * dx + dy * dy + dz * dz)) << np.uint32(8)) | np.uint32(t))
                best[j] = min(best[j], word)
        for j in range(size):
            labels[start + j] = kept[best[j] & np.uint32(255)]
    return labels


@njit(cache=True, nogil=True)
def _assign_and_sum(
    colors: np.ndarray, counts: np.ndarray, centroids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.int64]:
    sums = np.zeros((len(centroids), 3), np.int64)
    sizes = np.zeros(len(centroids), np.int64)
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
