"""The centroid search: split clusters up to k, swap on a summary of the points, then relax on all of them."""

from concurrent.futures import Executor

import numpy as np

from colorquant.kmeans.assignment import assign, lloyd
from colorquant.kmeans.clusters import split_offsets
from colorquant.kmeans.points import GRID, MOST_COARSE, Points
from colorquant.kmeans.relaxation import relax
from colorquant.kmeans.swaps import improve_by_swaps
from colorquant.kmeans.threads import both

# Neighboring points are merged while at least this many points for each cluster remain, and this many in all.
POINTS_PER_CLUSTER = 90
MIN_POINTS = 3000
SWAP_PASSES = 5
RELAXATION_ROUNDS = 30
RELAXATION_TEMPERATURE = 0.07
SPLIT_ROUNDS = 2
SETTLING_ROUNDS = 2
# Up to this many centroids a second search runs in another thread, from strongly shaken centroids; without it, one
# image in 24 stays in a poor optimum at k = 16. With more centroids it finds little in the same time.
MAX_SHAKEN = 128
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
    while group > 1 and points.size < group * max(MIN_POINTS, POINTS_PER_CLUSTER * k):
        group //= 2
    summary = points.coarsened(group) if group > 1 else points
    start = improve_by_swaps(summary, split_up(summary, k, pool=pool), SWAP_PASSES, pool=pool)
    if k > MAX_SHAKEN:
        return _relaxed(points, start, random, pool)

    def search_from(shaken: bool, random: np.random.Generator) -> np.ndarray:
        return _relaxed(points, _shaken(summary, start, random) if shaken else start, random)

    one, other = random.spawn(2)
    found = both(pool, search_from, (False, one), (True, other))
    return min(found, key=lambda centroids: assign(points, centroids).inertia)


def _shaken(points: Points, centroids: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Another local minimum, far from the one that centroids are in."""
    loose = relax(points, centroids, SHAKING_ROUNDS, SHAKING_TEMPERATURE, random)
    return improve_by_swaps(points, loose, SWAP_PASSES)


def _relaxed(
    points: Points, centroids: np.ndarray, random: np.random.Generator, pool: Executor | None = None
) -> np.ndarray:
    """Centroids relaxed on all points and settled; never worse than settling those that were given."""
    relaxed = relax(points, centroids, RELAXATION_ROUNDS, RELAXATION_TEMPERATURE, random, pool)
    settled = [lloyd(points, start, SETTLING_ROUNDS, pool=pool) for start in (relaxed, centroids)]
    return min(settled, key=lambda found: assign(points, found, pool=pool).inertia)


def split_up(points: Points, k: int, rounds: int = SPLIT_ROUNDS, pool: Executor | None = None) -> np.ndarray:
    """Centroids, by splitting clusters until there are k.

    After Linde, Buzo & Gray (1980, DOI 10.1109/TCOM.1980.1094577), but each time only the half of the clusters whose
    split gains most, across their longest principal axis.

    Parameters
    ----------
    points : Points
    k : int
    rounds : int
        Of Lloyd, after each time.
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
        In grid units.
    """
    total = points.block_moments.sum(axis=0)
    centroids = ((2 * total[:3] + total[3]) // (2 * total[3])).astype(np.float32)[:, None]
    while (now := centroids.shape[1]) < k:
        gains, offsets = split_offsets(assign(points, centroids, detailed=True, pool=pool))
        split = np.argsort(-gains, kind="stable")[: min(k - now, max(1, now // 2))]
        shifts = offsets[split].T
        grown = np.concatenate([centroids, centroids[:, split] - shifts], axis=1)
        grown[:, split] += shifts
        # Half of a lopsided cluster may lie outside of the cube, where distances may need more than 24 bits.
        centroids = np.clip(np.floor(grown + 0.5), 0, 255 * GRID).astype(np.float32)
        centroids = lloyd(points, centroids, rounds, pool=pool)
    return centroids
