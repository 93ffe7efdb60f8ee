"""The four nearest centroids of every point."""

from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

from colorquant.kmeans.blocks import all_candidates, corner, find_nearest_four, no_candidates, select
from colorquant.kmeans.points import BLOCK, SUPER, Points
from colorquant.kmeans.threads import over_ranges

FOUR = 4


class Neighbors(NamedTuple):
    """The nearest centroids of every point, nearest first; of equally near ones the lower index first.

    Attributes
    ----------
    names : uint8 (n, 4)
        Indexes of the centroids.
    distances : int32 (n, 4)
        Squared, in grid units; ``2 ** 24 - 1`` where there are fewer than four centroids.
    """

    names: np.ndarray
    distances: np.ndarray


def nearest_four(points: Points, centroids: np.ndarray, pool: Executor | None = None) -> Neighbors:
    """Find them with the filter of ``assignment``.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k), k <= 256
        Whole numbers, in grid units.
    pool : Executor, optional
        Threads; the result does not depend on them.
    """
    n, runs = points.coordinates.shape[1], points.super_lows.shape[1]
    neighbors = Neighbors(np.empty((n, FOUR), np.uint8), np.empty((n, FOUR), np.int32))
    over_ranges(pool, partial(_find, tuple(points), centroids, tuple(neighbors)), runs)
    return neighbors


@njit(cache=True, nogil=True)
def _find(points, centroids, neighbors, first, last):  # type: ignore[no-untyped-def]
    """Write the ``neighbors`` of the points of the runs from ``first`` to ``last``."""
    coordinates, _, lows, highs, super_lows, super_highs, _, _, _ = points
    names, distances = neighbors
    k = centroids.shape[1]
    everything, bounds = all_candidates(centroids), np.empty((2, k), np.int32)
    of_run, of_block = no_candidates(k), no_candidates(k)
    words = np.empty((FOUR, BLOCK), np.uint32)
    for run in range(first, last):
        near = select(corner(super_lows, run), corner(super_highs, run), everything, k, FOUR, bounds, of_run)
        for b in range(run * SUPER, min(lows.shape[1], (run + 1) * SUPER)):
            count = select(corner(lows, b), corner(highs, b), of_run, near, FOUR, bounds, of_block)
            begin = b * BLOCK
            find_nearest_four(coordinates, begin, of_block, count, words)
            for j in range(BLOCK):
                for a in range(FOUR):
                    names[begin + j, a] = np.uint8(of_block[3, words[a, j] & np.uint32(255)])
                    distances[begin + j, a] = np.int32(words[a, j] >> np.uint32(8))
