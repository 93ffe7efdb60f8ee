"""Exact assignment of points to their nearest centroids, and the rounds of Lloyd that use it.

The filtering idea of Kanungo et al. (2002, DOI 10.1109/TPAMI.2002.1017616), on two levels of flat boxes instead of a
tree: a centroid whose least distance to a box exceeds another's greatest distance cannot be the nearest of any point
in the box. The others (about ten of 256) are compared with all points of the block in vector registers. Nothing is
kept between calls, so centroids may move, appear and vanish freely.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit

from colorquant.kmeans.blocks import all_candidates, corner, find_nearest, find_nearest_two, no_candidates, select
from colorquant.kmeans.points import BLOCK, SUPER, Points
from colorquant.kmeans.threads import over_ranges

# Points times centroids from which two threads are faster than one.
PARALLEL_WORK = 1 << 20


@dataclass(frozen=True, eq=False)
class Assignment:
    """Points assigned to centroids; grid units.

    Attributes
    ----------
    labels : uint8 (n,)
        Nearest centroid of each point; ties go to the lower index.
    sums : int64 (k, 4)
        Weighted coordinate sums and weight of each cluster.
    spreads : int64 (k, 6)
        Second moments about the centroid: rr, rg, rb, gg, gb, bb. Zero unless asked for.
    utilities : int64 (k,)
        Increase of the inertia if the centroid vanished and no other moved (Fritzke 1997). Zero unless asked for.
    inertia : int
        Sum of weight times squared distance.
    """

    labels: np.ndarray
    sums: np.ndarray
    spreads: np.ndarray
    utilities: np.ndarray
    inertia: int

    @property
    def errors(self) -> np.ndarray:
        """int64 (k,): the part of each cluster in the inertia; needs ``spreads``."""
        return self.spreads[:, 0] + self.spreads[:, 3] + self.spreads[:, 5]


def assign(points: Points, centroids: np.ndarray, detailed: bool = False, pool: Executor | None = None) -> Assignment:
    """Assign every point to its nearest centroid.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k), k <= 256
        Whole numbers, in grid units.
    detailed : bool
        Whether to compute ``spreads`` and ``utilities``.
    pool : Executor, optional
        Threads to share large assignments with.
    """
    labels = np.empty(points.coordinates.shape[1], np.uint8)
    shared = pool if len(labels) * centroids.shape[1] >= PARALLEL_WORK else None
    runs = points.super_lows.shape[1]
    first, *others = over_ranges(shared, partial(_assign_runs, tuple(points), centroids, detailed, labels), runs)
    sums = sum(others, first)
    moments, spreads, utilities = sums[:, :4], sums[:, 4:10], sums[:, 10]
    positions = centroids.T.astype(np.int64)
    cross = int((positions * moments[:, :3]).sum())
    norms = int((moments[:, 3] * (positions * positions).sum(axis=1)).sum())
    return Assignment(labels, moments, spreads, utilities, points.squares - 2 * cross + norms)


def _assign_runs(
    points: tuple, centroids: np.ndarray, detailed: bool, labels: np.ndarray, first: int, last: int
) -> np.ndarray:
    """Assign the points of some runs, and sum them up; see the kernel."""
    sums = np.zeros((centroids.shape[1], 11), np.int64)
    _assign(points, centroids, detailed, labels, first, last, sums)
    return sums


def moved(sums: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The means of the clusters, rounded to the grid; an empty cluster keeps its centroid.

    Parameters
    ----------
    sums : int64 (k, 4)
        As in ``Assignment``.
    centroids : float32 (3, k)

    Returns
    -------
    float32 (3, k)
    """
    weights = sums[:, 3:]
    filled = weights[:, 0] > 0
    result = centroids.copy()
    result[:, filled] = ((2 * sums[filled, :3] + weights[filled]) // (2 * weights[filled])).T
    return result


def lloyd(
    points: Points,
    centroids: np.ndarray,
    iterations: int,
    tolerance: float = 0.0,
    pool: Executor | None = None,
) -> np.ndarray:
    """Rounds of Lloyd (1982, DOI 10.1109/TIT.1982.1056489): assign all points, move centroids to the means.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k)
        Grid units.
    iterations : int
        The largest number of rounds.
    tolerance : float
        It ends earlier where no centroid moves, or a round lowers the inertia by no more than this part of it.
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
    """
    before = None
    for _ in range(iterations):
        assignment = assign(points, centroids, pool=pool)
        if before is not None and before - assignment.inertia <= tolerance * before:
            break
        before = assignment.inertia
        after = moved(assignment.sums, centroids)
        if np.array_equal(after, centroids):
            break
        centroids = after
    return centroids


@njit(cache=True, nogil=True)
def _assign(points, centroids, detailed, labels, first, last, sums):  # type: ignore[no-untyped-def]
    """Label the points of the runs from ``first`` to ``last``, and add them to the sums of their clusters.

    ``labels`` uint8 (n,) are written, and ``sums`` int64 (k, 11) raised: four moments, six spreads, the utility.
    """
    coordinates, moments, lows, highs, super_lows, super_highs, block_moments, _, _ = points
    k = centroids.shape[1]
    rank = 2 if detailed else 1
    everything, bounds = all_candidates(centroids), np.empty((2, k), np.int32)
    of_run, of_block = no_candidates(k), no_candidates(k)
    best, second = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    for run in range(first, last):
        near = select(corner(super_lows, run), corner(super_highs, run), everything, k, rank, bounds, of_run)
        for b in range(run * SUPER, min(lows.shape[1], (run + 1) * SUPER)):
            count = select(corner(lows, b), corner(highs, b), of_run, near, rank, bounds, of_block)
            begin = b * BLOCK
            label = labels[begin : begin + BLOCK]
            if count == 1 and not detailed:
                c = np.uint8(of_block[3, 0])
                label[:] = c
                for a in range(4):
                    sums[c, a] += block_moments[b, a]
                continue
            if detailed:
                find_nearest_two(coordinates, begin, of_block, count, best, second)
            else:
                find_nearest(coordinates, begin, of_block, count, best)
            moment = moments[begin : begin + BLOCK]
            x = coordinates[0, begin : begin + BLOCK]
            y = coordinates[1, begin : begin + BLOCK]
            z = coordinates[2, begin : begin + BLOCK]
            for j in range(BLOCK):
                t = best[j] & np.uint32(255)
                c = np.uint8(of_block[3, t])
                label[j] = c
                sums[c, 0] += moment[j, 0]
                sums[c, 1] += moment[j, 1]
                sums[c, 2] += moment[j, 2]
                sums[c, 3] += moment[j, 3]
                if detailed:
                    weight = moment[j, 3]
                    dx = np.int64(x[j] - of_block[0, t])
                    dy = np.int64(y[j] - of_block[1, t])
                    dz = np.int64(z[j] - of_block[2, t])
                    sums[c, 4] += weight * dx * dx
                    sums[c, 5] += weight * dx * dy
                    sums[c, 6] += weight * dx * dz
                    sums[c, 7] += weight * dy * dy
                    sums[c, 8] += weight * dy * dz
                    sums[c, 9] += weight * dz * dz
                    sums[c, 10] += weight * np.int64((second[j] >> np.uint32(8)) - (best[j] >> np.uint32(8)))
