"""Whole colors: the 8-bit palette optimized as such, not as rounded centroids.

Rounding costs a quarter of a squared level a pixel (3 channels of variance 1/12), 1 to 2 % of the error at 256
colors. Boundaries can give way: every entry tries its 26 neighbors in the color cube, with the colors around
reassigned, and moves where the error falls.
"""

from concurrent.futures import Executor

import numpy as np
from numba import njit

from colorquant.assignment import assign, lloyd
from colorquant.points import BLOCK, GRID, Points
from colorquant.swaps import NEIGHBORS, add_neighborhood, clusters_of

LLOYD_ROUNDS = 20
NUDGE_ROUNDS = 2


def polish(
    points: Points, centroids: np.ndarray, rounds: int = NUDGE_ROUNDS, pool: Executor | None = None
) -> np.ndarray:
    """Round centroids to whole colors and descend from there.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k)
        Grid units.
    rounds : int
        Most rounds of nudges.
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    uint8 (k, 3)
        A palette of an inertia that is at most that of the rounded centroids.
    """
    whole = lloyd(points, GRID * np.floor(centroids / GRID + np.float32(0.5)), LLOYD_ROUNDS, step=GRID, pool=pool)
    whole = _fill_empty(points, whole)
    assignment = assign(points, whole)
    for _ in range(rounds):
        nudged = whole.copy()
        clusters = clusters_of(points, assignment.labels, whole.shape[1])
        weights = np.ascontiguousarray(clusters.moments[:, 3])
        if _nudge(clusters.coordinates, weights, clusters.starts, nudged) == 0:
            break
        nudged = lloyd(points, nudged, 3, step=GRID, pool=pool)
        after = assign(points, nudged)
        if after.inertia >= assignment.inertia:
            break
        whole, assignment = nudged, after
    return np.ascontiguousarray((_fill_empty(points, whole) / GRID).T.astype(np.uint8))


def _fill_empty(points: Points, whole: np.ndarray) -> np.ndarray:
    """Put entries that no point is nearest to where the error is greatest."""
    for _ in range(whole.shape[1]):
        assignment = assign(points, whole)
        empty = np.flatnonzero(assignment.sums[:, 3] == 0)
        if not len(empty):
            break
        differences = points.coordinates - whole[:, assignment.labels]
        errors = (differences.astype(np.int64) ** 2).sum(axis=0) * points.moments[:, 3]
        worst = np.argsort(-errors, kind="stable")[: len(empty)]
        worst = worst[errors[worst] > 0]
        if not len(worst):
            break
        whole = whole.copy()
        whole[:, empty[: len(worst)]] = GRID * np.floor(points.coordinates[:, worst] / GRID + np.float32(0.5))
    return whole


@njit(cache=True, nogil=True)
def _nudge(coordinates, weights, starts, centroids):  # type: ignore[no-untyped-def]
    """Move entries by at most one level a channel where that lowers the error; returns how many moved."""
    k = centroids.shape[1]
    distances, inside = np.empty(k, np.float32), np.empty(k, np.uint8)
    region = np.empty(k, np.int64)
    near, near_weights = np.empty((3, len(weights)), np.float32), np.empty(len(weights), np.int64)
    others = np.empty(len(weights), np.int32)
    moved = 0
    for c in range(k):
        inside[:] = 0
        size = add_neighborhood(centroids, c, NEIGHBORS, distances, inside, region, 0)
        count = _gather(coordinates, weights, starts, region, size, centroids, near, near_weights, others)
        x, y, z = centroids[0, c], centroids[1, c], centroids[2, c]
        least = np.int64(2**62)
        best = 13
        for turn in range(27):
            # The middle of the 27, no move, goes first, so that a move must be better.
            move = 13 if turn == 0 else (turn - 1 if turn <= 13 else turn)
            nx = x + np.float32(GRID * (move // 9 - 1))
            ny = y + np.float32(GRID * (move // 3 % 3 - 1))
            nz = z + np.float32(GRID * (move % 3 - 1))
            if min(nx, min(ny, nz)) < 0 or max(nx, max(ny, nz)) > 255 * GRID:
                continue
            error = np.int64(0)
            for j in range(count):
                dx, dy, dz = near[0, j] - nx, near[1, j] - ny, near[2, j] - nz
                error += near_weights[j] * np.int64(min(others[j], np.int32(dx * dx + dy * dy + dz * dz)))
            if error < least:
                least, best = error, move
        if best != 13:
            centroids[0, c] = x + np.float32(GRID * (best // 9 - 1))
            centroids[1, c] = y + np.float32(GRID * (best // 3 % 3 - 1))
            centroids[2, c] = z + np.float32(GRID * (best % 3 - 1))
            moved += 1
    return moved


@njit(cache=True, nogil=True)
def _gather(  # type: ignore[no-untyped-def]
    coordinates, weights, starts, region, size, centroids, near, near_weights, others
):
    """Collect the points that the first centroid of a region may win by a nudge, and their distances to others."""
    count = np.uint64(0)
    one, none = np.uint64(1), np.uint64(0)
    reach = np.float32(1.75 * GRID)
    other = np.empty(BLOCK, np.int32)
    own = np.empty(BLOCK, np.float32)
    for r in range(size):
        begin, end = starts[region[r]], starts[region[r] + 1]
        for at in range(begin, end, BLOCK):
            x, y, z = (
                coordinates[0, at : at + BLOCK],
                coordinates[1, at : at + BLOCK],
                coordinates[2, at : at + BLOCK],
            )
            weight = weights[at : at + BLOCK]
            other[:] = 2**30
            for t in range(1, size):
                cx, cy, cz = centroids[0, region[t]], centroids[1, region[t]], centroids[2, region[t]]
                for j in range(BLOCK):
                    dx, dy, dz = x[j] - cx, y[j] - cy, z[j] - cz
                    other[j] = min(other[j], np.int32(dx * dx + dy * dy + dz * dz))
            cx, cy, cz = centroids[0, region[0]], centroids[1, region[0]], centroids[2, region[0]]
            for j in range(BLOCK):
                dx, dy, dz = x[j] - cx, y[j] - cy, z[j] - cz
                own[j] = max(np.sqrt(dx * dx + dy * dy + dz * dz) - reach, np.float32(0))
            for j in range(np.uint64(min(BLOCK, end - at))):
                near[0, count], near[1, count], near[2, count] = x[j], y[j], z[j]
                near_weights[count] = weight[j]
                others[count] = other[j]
                count += one if own[j] * own[j] < np.float32(other[j]) else none
    return np.int64(count)
