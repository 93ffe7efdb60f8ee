"""The global search for centroids: split up to k, swap until no swap helps, kick and repeat.

An iterated local search (Lourenco, Martin & Stutzle 2003). The kick is a breath of breathing k-means (Fritzke
2020): some centroids are added where the error is, and as many removed where they are useless.
"""

from concurrent.futures import Executor

import numpy as np

from colorquant.assignment import assign, lloyd
from colorquant.points import GRID, LEAF, Points
from colorquant.swaps import improve_by_swaps, split_offsets

MAX_CENTROIDS = 256
# Neighboring points are merged as long as this many points a cluster remain, and this many in all; the result is
# improved on points half as coarse.
POINTS_PER_CLUSTER = 45
LEAST_POINTS = 3000
PASSES = 30
FINE_PASSES = 5
# A kick costs the more, and gains the less, the larger k.
MOST_KICKS = 4
KICKS_TIMES_CENTROIDS = 256
KICK_PART = 0.1
KICK_ROUNDS = 4
KICK_NOISE = 0.5


def search(points: Points, k: int, seed: int = 0, kicks: int | None = None, pool: Executor | None = None) -> np.ndarray:
    """Centroids with a low inertia over weighted points.

    Parameters
    ----------
    points : Points
    k : int
        1 to 256, at most the number of points.
    seed : int
        Decides on the kicks.
    kicks : int, optional
        How often to shake the best solution and search on; by default 4, and fewer above k = 64.
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
        In grid units.
    """
    group = LEAF
    while group > 1 and points.count < group * max(LEAST_POINTS, POINTS_PER_CLUSTER * k):
        group //= 2
    summary = points.coarsened(group) if group > 1 else points
    random = np.random.default_rng(seed)
    best, least = improve_by_swaps(summary, split_up(summary, k, pool=pool), PASSES, pool=pool)
    if kicks is None:
        kicks = min(MOST_KICKS, KICKS_TIMES_CENTROIDS // k)
    for _ in range(kicks if k > 1 else 0):
        kicked = _kick(summary, best, random, pool)
        centroids, inertia = improve_by_swaps(summary, kicked, PASSES, pool=pool)
        if inertia < least:
            best, least = centroids, inertia
    if group > 1:
        finer = points.coarsened(group // 2) if group > 2 else points
        best, _ = improve_by_swaps(finer, best, FINE_PASSES, pool=pool)
    return best


def split_up(points: Points, k: int, rounds: int = 2, pool: Executor | None = None) -> np.ndarray:
    """Centroids float32 (3, k), by splitting the worst third of the clusters again and again.

    After Linde, Buzo & Gray (1980), but clusters of large variance only, across their principal axis.
    """
    total = points.block_moments.sum(axis=0)
    centroids = ((2 * total[:3] + total[3]) // (2 * total[3])).astype(np.float32)[:, None]
    while (now := centroids.shape[1]) < k:
        centroids = _grow(points, centroids, min(k - now, max(1, now // 2)), None, pool)
        centroids = lloyd(points, centroids, rounds, pool=pool)
    return centroids


def _kick(points: Points, centroids: np.ndarray, random: np.random.Generator, pool: Executor | None) -> np.ndarray:
    k = centroids.shape[1]
    size = max(1, int(k * KICK_PART))
    steps = (_grow, _shrink) if k + size <= MAX_CENTROIDS else (_shrink, _grow)
    for change in steps:
        centroids = lloyd(points, change(points, centroids, size, random, pool), KICK_ROUNDS, pool=pool)
    return centroids


def _noise(k: int, random: np.random.Generator | None) -> np.ndarray:
    return np.ones(k) if random is None else np.exp(KICK_NOISE * random.standard_normal(k))


def _grow(
    points: Points, centroids: np.ndarray, size: int, random: np.random.Generator | None, pool: Executor | None
) -> np.ndarray:
    gains, offsets = split_offsets(assign(points, centroids, detailed=True, pool=pool))
    split = np.argsort(-gains * _noise(len(gains), random), kind="stable")[:size]
    shifts = offsets[split].T
    grown = np.concatenate([centroids, centroids[:, split] - shifts], axis=1)
    grown[:, split] += shifts
    # Half of a lopsided cluster may come to lie out of the cube, where distances need not fit in 24 bits.
    return np.clip(np.floor(grown + 0.5), 0, 255 * GRID).astype(np.float32)


def _shrink(
    points: Points, centroids: np.ndarray, size: int, random: np.random.Generator | None, pool: Executor | None
) -> np.ndarray:
    """Remove centroids of low utility, but not two neighbors at once, as one would have to stand in for the other."""
    utilities = assign(points, centroids, detailed=True, pool=pool).utilities * _noise(centroids.shape[1], random)
    order = np.argsort(utilities, kind="stable")
    removed, frozen = np.zeros(len(order), bool), np.zeros(len(order), bool)
    for c in order:
        if removed.sum() == size:
            break
        if frozen[c]:
            continue
        removed[c] = True
        distances = ((centroids - centroids[:, c : c + 1]) ** 2).sum(axis=0)
        distances[removed] = np.inf
        frozen[np.argmin(distances)] = True
    spare = [c for c in order if not removed[c]]
    removed[spare[: size - int(removed.sum())]] = True
    return centroids[:, ~removed]
