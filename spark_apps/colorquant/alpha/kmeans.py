"""The steps of K-Means over a histogram with alpha: assign and sum (map), merge (reduce), update.

Coordinates and centroids are whole numbers below 2^18, so squared distances are whole numbers below 2^53, which
float64 holds exactly: no result depends on how the histogram was split, or on the processor.
"""

import numpy as np
from numba import njit

from colorquant.alpha.premultiplied import UNIT, WEIGHTS, coordinates, squared_norms
from colorquant.colors import ColorHistogram
from colorquant.kmeans import MergeableSums


class AlphaSums(MergeableSums):
    """Sums of ``premultiplied.coordinates``."""

    def inertia(self, centroids: np.ndarray) -> float:
        """As of the base class, in squared levels, for coordinates int64 (k, 4)."""
        # Python's integers: the sums need more than 64 bits.
        factors = (centroids * np.array(WEIGHTS)).ravel()
        cross = sum(int(factor) * int(each) for factor, each in zip(factors, self.sums.ravel(), strict=True))
        norms = sum(int(count) * int(norm) for count, norm in zip(self.counts, squared_norms(centroids), strict=True))
        return (self.squares - 2 * cross + norms) / UNIT**2


def rounded_means(sums: MergeableSums, centroids: np.ndarray) -> np.ndarray:
    """The update step: the clusters' means, rounded, int64 (k, 4); an empty cluster keeps its centroid int64 (4,)."""
    filled = sums.counts > 0
    moved = centroids.copy()
    counts = sums.counts[filled, None]
    moved[filled] = (2 * sums.sums[filled] + counts) // (2 * counts)
    return moved


def partial_sums(histogram: ColorHistogram, centroids: np.ndarray) -> AlphaSums:
    """Assign the colors of a histogram, or of a part of one, to their nearest centroids and sum them up.

    Parameters
    ----------
    histogram : ColorHistogram
        Of packed RGBA colors.
    centroids : int64 (k, 4)
        Coordinates; ties go to the lower index.

    Returns
    -------
    AlphaSums
    """
    positions = coordinates(histogram.colors)
    labels, _ = assign(positions, centroids)
    sums, counts = _summed(positions, histogram.counts, labels, len(centroids))
    norms = squared_norms(positions)
    # In two parts, which fit in 64 bits: a norm has 35 bits, and the counts of a large image have 30.
    high, low = (norms >> 16) * histogram.counts, (norms & 0xFFFF) * histogram.counts
    return AlphaSums(sums, counts, (int(high.sum()) << 16) + int(low.sum()))


@njit(cache=True, nogil=True)
def _summed(positions: np.ndarray, weights: np.ndarray, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The clusters' sums of positions, int64 (k, 4), and of weights, int64 (k,)."""
    sums, counts = np.zeros((k, 4), np.int64), np.zeros(k, np.int64)
    for i in range(len(labels)):
        weight, label = weights[i], labels[i]
        counts[label] += weight
        for axis in range(4):
            sums[label, axis] += weight * positions[i, axis]
    return sums, counts


def assign(positions: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Assign positions int64 (n, 4) to centroids int64 (k, 4).

    Returns
    -------
    labels : uint16 (n,)
        Index of the nearest centroid; ties go to the lower index.
    distances : float64 (n,)
        Squared.
    """
    columns = np.ascontiguousarray(positions.T, dtype=np.float64)
    labels, distances, _ = assign_columns(columns, np.ascontiguousarray(centroids, dtype=np.float64))
    return labels, distances


@njit(cache=True, nogil=True)
def assign_columns(columns: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels uint16 (n,), and the squared distances float64 (n,) to the nearest centroid and to the second nearest.

    Parameters
    ----------
    columns : float64 (4, n)
    centroids : float64 (k, 4)
    """
    n = columns.shape[1]
    labels = np.zeros(n, np.uint16)
    first, second = np.full(n, np.inf), np.full(n, np.inf)
    for begin in range(0, n, 256):
        end = min(begin + 256, n)
        a, b, c, d = columns[0, begin:end], columns[1, begin:end], columns[2, begin:end], columns[3, begin:end]
        nearest, runner_up, label = first[begin:end], second[begin:end], labels[begin:end]
        for j in range(len(centroids)):
            ca, cb, cc, cd = centroids[j, 0], centroids[j, 1], centroids[j, 2], centroids[j, 3]
            for i in range(end - begin):
                distance = (a[i] - ca) ** 2 + (b[i] - cb) ** 2 + (c[i] - cc) ** 2 + 3 * (d[i] - cd) ** 2
                runner_up[i] = min(runner_up[i], max(nearest[i], distance))
                label[i] = np.uint16(j) if distance < nearest[i] else label[i]
                nearest[i] = min(nearest[i], distance)
    return labels, first, second
