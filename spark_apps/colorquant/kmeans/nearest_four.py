"""The four nearest centroids of every point, and which points each centroid may win or lose by small moves."""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numba import njit

from colorquant.kmeans.assignment import select
from colorquant.kmeans.points import BLOCK, SUPER, Points

FOUR = 4


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The nearest centroids of every point, nearest first.

    Attributes
    ----------
    names : uint8 (n, 4)
    distances : int32 (n, 4)
        Squared, in grid units; ``2 ** 24 - 1`` where there are fewer than four centroids.
    """

    names: np.ndarray
    distances: np.ndarray


def nearest_four(points: Points, centroids: np.ndarray, pool: Executor | None = None) -> Neighbors:
    """Find them as `assignment.assign` does.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k), k <= 256
        Grid units.
    pool : Executor, optional
        Threads; the result does not depend on them.
    """
    n, runs = points.coordinates.shape[1], points.super_lows.shape[1]
    neighbors = Neighbors(np.empty((n, FOUR), np.uint8), np.empty((n, FOUR), np.int32))

    def find(first: int, last: int) -> None:
        _find(
            points.coordinates,
            points.lows,
            points.highs,
            points.super_lows,
            points.super_highs,
            centroids,
            first,
            last,
            neighbors.names,
            neighbors.distances,
        )

    other = pool.submit(find, runs // 2, runs) if pool else None
    find(0, runs // 2)
    if other:
        other.result()
    else:
        find(runs // 2, runs)
    return neighbors


@njit(cache=True, nogil=True)
def _find(  # type: ignore[no-untyped-def]
    coordinates, lows, highs, super_lows, super_highs, centroids, first, last, all_names, distances
):
    k = centroids.shape[1]
    names = np.arange(k).astype(np.uint8)
    least, most = np.empty(k, np.int32), np.empty(k, np.int32)
    ids1, ids2 = np.empty(k + 1, np.uint8), np.zeros(256, np.uint8)
    x1, y1, z1 = np.empty(k + 1, np.float32), np.empty(k + 1, np.float32), np.empty(k + 1, np.float32)
    x2, y2, z2 = np.empty(k + 1, np.float32), np.empty(k + 1, np.float32), np.empty(k + 1, np.float32)
    words = np.empty((FOUR, BLOCK), np.uint32)
    one, two, three, four = words[0], words[1], words[2], words[3]
    for s in range(first, last):
        low = (super_lows[0, s], super_lows[1, s], super_lows[2, s])
        high = (super_highs[0, s], super_highs[1, s], super_highs[2, s])
        near = select(
            low, high, centroids[0], centroids[1], centroids[2], k, FOUR, names, least, most, ids1, x1, y1, z1
        )
        for b in range(s * SUPER, min(lows.shape[1], (s + 1) * SUPER)):
            low = (lows[0, b], lows[1, b], lows[2, b])
            high = (highs[0, b], highs[1, b], highs[2, b])
            count = select(low, high, x1, y1, z1, near, FOUR, ids1, least, most, ids2, x2, y2, z2)
            begin = b * BLOCK
            x = coordinates[0, begin : begin + BLOCK]
            y = coordinates[1, begin : begin + BLOCK]
            z = coordinates[2, begin : begin + BLOCK]
            words[:] = np.uint32(0xFFFFFFFF)
            for t in range(count):
                cx, cy, cz = x2[t], y2[t], z2[t]
                for j in range(BLOCK):
                    dx, dy, dz = x[j] - cx, y[j] - cy, z[j] - cz
                    # Distance (24 bits) and candidate (8 bits), put into its place among the four least.
                    word = np.uint32((np.uint32(np.int32(dx * dx + dy * dy + dz * dz)) << np.uint32(8)) | np.uint32(t))
                    after = max(one[j], word)
                    one[j] = min(one[j], word)
                    beyond = max(two[j], after)
                    two[j] = min(two[j], after)
                    after = max(three[j], beyond)
                    three[j] = min(three[j], beyond)
                    four[j] = min(four[j], after)
            for j in range(BLOCK):
                for a in range(FOUR):
                    all_names[begin + j, a] = ids2[words[a, j] & np.uint32(255)]
                    distances[begin + j, a] = np.int32(words[a, j] >> np.uint32(8))
