"""The global search for centroids: split up to k, swap, then shake and swap again, and keep what is better.

An iterated local search (Lourenco, Martin & Stutzle 2003), whose local search are swaps and whose shake is a
relaxation. It goes by a summary, in which neighboring points are merged; a last relaxation goes by all points.
"""

from concurrent.futures import Executor
from functools import partial

import numpy as np

from colorquant.assignment import assign, lloyd
from colorquant.clusters import split_offsets
from colorquant.points import GRID, MOST_COARSE, Points
from colorquant.relaxation import relax
from colorquant.swaps import improve_by_swaps

# Neighboring points are merged as long as this many points a cluster remain, and this many in all.
POINTS_PER_CLUSTER = 90
LEAST_POINTS = 3000
SWAP_PASSES = 5
# Two chains of shakes go on from the same solution, each on its own; that they are two does not depend on threads.
CHAINS = 2
MOST_SHAKES = 3
SHAKES_TIMES_CENTROIDS = 256
SHAKE_ROUNDS = 15
SHAKE_SWAP_PASSES = 3
# The fewer clusters there are, the hotter a shake must be to change which of them are where.
SHAKE_TEMPERATURE = 0.1
SHAKE_TEMPERATURE_TIMES_CENTROIDS = 5
MOST_RELAXATION_ROUNDS = 60
ROUNDS_TIMES_CENTROIDS = 30 * 256
RELAXATION_TEMPERATURE = 0.07
SPLIT_ROUNDS = 2
SETTLING_ROUNDS = 2


def search(points: Points, k: int, random: np.random.Generator, pool: Executor | None = None) -> np.ndarray:
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
    found = improve_by_swaps(summary, split_up(summary, k, pool=pool), SWAP_PASSES, pool=pool)
    chains = (pool.map if pool else map)(partial(_chain, summary, found), random.spawn(CHAINS))
    centroids, _ = min(chains, key=lambda chain: chain[1])
    rounds = min(MOST_RELAXATION_ROUNDS, ROUNDS_TIMES_CENTROIDS // k)
    relaxed = relax(points, centroids, rounds, RELAXATION_TEMPERATURE, random, pool)
    settled = [lloyd(points, places, SETTLING_ROUNDS, pool=pool) for places in (relaxed, centroids)]
    return min(settled, key=lambda places: assign(points, places, pool=pool).inertia)


def _chain(points: Points, found: tuple[np.ndarray, int], random: np.random.Generator) -> tuple[np.ndarray, int]:
    """Centroids and their inertia, shaken and improved a few times from the best so far. In one thread."""
    best, least = found
    k = best.shape[1]
    temperature = max(SHAKE_TEMPERATURE, SHAKE_TEMPERATURE_TIMES_CENTROIDS / k)
    for _ in range(min(MOST_SHAKES, SHAKES_TIMES_CENTROIDS // k) if k > 1 else 0):
        shaken = relax(points, best, SHAKE_ROUNDS, temperature, random)
        centroids, inertia = improve_by_swaps(points, shaken, SHAKE_SWAP_PASSES)
        if inertia < least:
            best, least = centroids, inertia
    return best, least


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
