"""The global search for centroids: split up to k, swap by a summary of the points, and relax by all of them."""

from concurrent.futures import Executor

import numpy as np

from colorquant.kmeans.assignment import assign, lloyd
from colorquant.kmeans.clusters import split_offsets
from colorquant.kmeans.points import GRID, MOST_COARSE, Points
from colorquant.kmeans.relaxation import relax
from colorquant.kmeans.swaps import improve_by_swaps

# Neighboring points are merged as long as this many points a cluster remain, and this many in all.
POINTS_PER_CLUSTER = 90
LEAST_POINTS = 3000
SWAP_PASSES = 5
RELAXATION_ROUNDS = 30
RELAXATION_TEMPERATURE = 0.07
SPLIT_ROUNDS = 2
SETTLING_ROUNDS = 2
# Up to so many centroids there are two ways, each in a thread: one image in 24 is stuck at k = 16 otherwise. With more,
# the second way finds little in its time.
MOST_SHAKEN = 128
SHAKING_TEMPERATURE = 1.0
SHAKING_ROUNDS = 20


def search_centroids(points: Points, k: int, random: np.random.Generator, pool: Executor | None = None) -> np.ndarray:
    """Centroids with a low inertia over weighted points.

    Parameters
    ----------
    points : Points
    k : int
        1 to 256, at most the number of points.
    random : Generator
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
        In grid units.
    """
    group = MOST_COARSE
    while group > 1 and points.count < group * max(LEAST_POINTS, POINTS_PER_CLUSTER * k):
        group //= 2
    summary = points.coarsened(group) if group > 1 else points
    start = improve_by_swaps(summary, split_up(summary, k, pool=pool), SWAP_PASSES, pool=pool)
    if k > MOST_SHAKEN:
        return _relaxed(points, start, random, pool)
    one, other = random.spawn(2)

    def shaken() -> np.ndarray:
        loose = relax(summary, start, SHAKING_ROUNDS, SHAKING_TEMPERATURE, other)
        return _relaxed(points, improve_by_swaps(summary, loose, SWAP_PASSES), other)

    ways = (lambda: _relaxed(points, start, one), shaken)
    found = (pool.map if pool else map)(lambda way: way(), ways)
    return min(found, key=lambda places: assign(points, places).inertia)


def _relaxed(
    points: Points, centroids: np.ndarray, random: np.random.Generator, pool: Executor | None = None
) -> np.ndarray:
    """Relaxed by all points and settled; never worse than where it started."""
    relaxed = relax(points, centroids, RELAXATION_ROUNDS, RELAXATION_TEMPERATURE, random, pool)
    settled = [lloyd(points, places, SETTLING_ROUNDS, pool=pool) for places in (relaxed, centroids)]
    return min(settled, key=lambda places: assign(points, places, pool=pool).inertia)


def split_up(points: Points, k: int, rounds: int = SPLIT_ROUNDS, pool: Executor | None = None) -> np.ndarray:
    """Centroids float32 (3, k), by splitting the worst third of the clusters again and again.

    After Linde, Buzo & Gray (1980), but clusters of large variance only, across their principal axis.
    """
    total = points.block_moments.sum(axis=0)
    centroids = ((2 * total[:3] + total[3]) // (2 * total[3])).astype(np.float32)[:, None]
    while (now := centroids.shape[1]) < k:
        gains, offsets = split_offsets(assign(points, centroids, detailed=True, pool=pool))
        split = np.argsort(-gains, kind="stable")[: min(k - now, max(1, now // 2))]
        shifts = offsets[split].T
        grown = np.concatenate([centroids, centroids[:, split] - shifts], axis=1)
        grown[:, split] += shifts
        # Half of a lopsided cluster may come to lie out of the cube, where distances need not fit in 24 bits.
        centroids = np.clip(np.floor(grown + 0.5), 0, 255 * GRID).astype(np.float32)
        centroids = lloyd(points, centroids, rounds, pool=pool)
    return centroids
