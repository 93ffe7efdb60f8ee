"""Assignment of blocks of points to their nearest centroids: exact, and the inner loop of everything.

The filtering idea of Kanungo et al. (2002), on two levels of flat boxes instead of a tree: a centroid whose least
distance to a box exceeds another's greatest distance cannot be the nearest of any point in the box. What is left
(about ten of 256 centroids) is compared with all points of the block in vector registers. Nothing is carried from
call to call, so centroids may move, appear and vanish at will.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numba import njit

from colorquant.kmeans.points import BLOCK, SUPER, Points

FAR = np.int32(2**30)
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
        Increase of the inertia if the centroid vanished and nothing moved (Fritzke 1997). Zero unless asked for.
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
    runs = points.super_lows.shape[1]
    if pool is None or len(labels) * centroids.shape[1] < PARALLEL_WORK:
        sums = _assign_runs(points, centroids, detailed, labels, 0, runs)
    else:
        other = pool.submit(_assign_runs, points, centroids, detailed, labels, runs // 2, runs)
        sums = _assign_runs(points, centroids, detailed, labels, 0, runs // 2) + other.result()
    moments, spreads, utilities = sums[:, :4], sums[:, 4:10], sums[:, 10]
    at = centroids.T.astype(np.int64)
    inertia = points.squares - 2 * int((at * moments[:, :3]).sum()) + int((moments[:, 3] * (at * at).sum(axis=1)).sum())
    return Assignment(labels, moments, spreads, utilities, inertia)


def _assign_runs(
    points: Points, centroids: np.ndarray, detailed: bool, labels: np.ndarray, first: int, last: int
) -> np.ndarray:
    sums = np.zeros((centroids.shape[1], 11), np.int64)
    _assign(
        points.coordinates,
        points.moments,
        points.lows,
        points.highs,
        points.super_lows,
        points.super_highs,
        points.block_moments,
        centroids,
        detailed,
        labels,
        first,
        last,
        sums,
    )
    return sums


def moved(sums: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Cluster means at the nearest place of the grid, float32 (3, k); empty clusters stay."""
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
    """Rounds of Lloyd (1982) until nothing moves or a round gains less than a part of the inertia."""
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
def select(low, high, x, y, z, k, rank, names, least, most, kept, kept_x, kept_y, kept_z):  # type: ignore[no-untyped-def]
    """Keep the centroids that may be among the ``rank`` nearest of a point in a box; returns how many."""
    bound = FAR
    zero = np.float32(0)
    low_x, low_y, low_z = low
    high_x, high_y, high_z = high
    for c in range(k):
        below_x, above_x = low_x - x[c], x[c] - high_x
        below_y, above_y = low_y - y[c], y[c] - high_y
        below_z, above_z = low_z - z[c], z[c] - high_z
        near_x, near_y, near_z = (
            max(max(below_x, above_x), zero),
            max(max(below_y, above_y), zero),
            max(max(below_z, above_z), zero),
        )
        least[c] = np.int32(near_x * near_x + near_y * near_y + near_z * near_z)
        far_x, far_y, far_z = min(below_x, above_x), min(below_y, above_y), min(below_z, above_z)
        farthest = np.int32(far_x * far_x + far_y * far_y + far_z * far_z)
        most[c] = farthest
        bound = min(bound, farthest)
    for _ in range(1, rank):
        # The least greatest distance beyond the last; looser than needed where several tie, never too tight.
        beyond = FAR
        for c in range(k):
            beyond = min(beyond, most[c] if most[c] > bound else FAR)
        bound = beyond
    # Unsigned positions spare the check for negative indices; adding a condition spares a branch.
    count, one, none = np.uint64(0), np.uint64(1), np.uint64(0)
    for c in range(np.uint64(k)):
        kept[count] = names[c]
        kept_x[count], kept_y[count], kept_z[count] = x[c], y[c], z[c]
        count += one if least[c] <= bound else none
    return np.int64(count)


@njit(cache=True, nogil=True)
def _assign(  # type: ignore[no-untyped-def]
    coordinates, moments, lows, highs, super_lows, super_highs, block_moments, centroids, detailed,
    labels, first, last, sums,
):  # fmt: skip
    k = centroids.shape[1]
    rank = 2 if detailed else 1
    names = np.arange(k).astype(np.uint8)
    least, most = np.empty(k, np.int32), np.empty(k, np.int32)
    # One more than k: the selection writes before it knows whether it keeps.
    ids1, ids2 = np.empty(k + 1, np.uint8), np.empty(k + 1, np.uint8)
    x1, y1, z1 = np.empty(k + 1, np.float32), np.empty(k + 1, np.float32), np.empty(k + 1, np.float32)
    x2, y2, z2 = np.empty(k + 1, np.float32), np.empty(k + 1, np.float32), np.empty(k + 1, np.float32)
    best, second = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    blocks = lows.shape[1]
    for s in range(first, last):
        low = (super_lows[0, s], super_lows[1, s], super_lows[2, s])
        high = (super_highs[0, s], super_highs[1, s], super_highs[2, s])
        near = select(
            low, high, centroids[0], centroids[1], centroids[2], k, rank, names, least, most, ids1, x1, y1, z1
        )
        for b in range(s * SUPER, min(blocks, (s + 1) * SUPER)):
            low = (lows[0, b], lows[1, b], lows[2, b])
            high = (highs[0, b], highs[1, b], highs[2, b])
            count = select(low, high, x1, y1, z1, near, rank, ids1, least, most, ids2, x2, y2, z2)
            begin = b * BLOCK
            label = labels[begin : begin + BLOCK]
            if count == 1 and not detailed:
                c = ids2[0]
                label[:] = c
                for a in range(4):
                    sums[c, a] += block_moments[b, a]
                continue
            x = coordinates[0, begin : begin + BLOCK]
            y = coordinates[1, begin : begin + BLOCK]
            z = coordinates[2, begin : begin + BLOCK]
            moment = moments[begin : begin + BLOCK]
            # Distance (24 bits) and candidate (8 bits) in one word: the minimum of words is the nearest of
            # the lowest index, with one vector instruction.
            best[:] = np.uint32(0xFFFFFFFF)
            second[:] = np.uint32(0xFFFFFFFF)
            for t in range(count):
                cx, cy, cz = x2[t], y2[t], z2[t]
                if detailed:
                    for j in range(BLOCK):
                        dx, dy, dz = x[j] - cx, y[j] - cy, z[j] - cz
                        word = np.uint32(
                            (np.uint32(np.int32(dx * dx + dy * dy + dz * dz)) << np.uint32(8)) | np.uint32(t)
                        )
                        second[j] = min(second[j], max(best[j], word))
                        best[j] = min(best[j], word)
                else:
                    for j in range(BLOCK):
                        dx, dy, dz = x[j] - cx, y[j] - cy, z[j] - cz
                        word = np.uint32(
                            (np.uint32(np.int32(dx * dx + dy * dy + dz * dz)) << np.uint32(8)) | np.uint32(t)
                        )
                        best[j] = min(best[j], word)
            for j in range(BLOCK):
                t = best[j] & np.uint32(255)
                c = ids2[t]
                label[j] = c
                sums[c, 0] += moment[j, 0]
                sums[c, 1] += moment[j, 1]
                sums[c, 2] += moment[j, 2]
                sums[c, 3] += moment[j, 3]
                if detailed:
                    weight = moment[j, 3]
                    dx, dy, dz = np.int64(x[j] - x2[t]), np.int64(y[j] - y2[t]), np.int64(z[j] - z2[t])
                    sums[c, 4] += weight * dx * dx
                    sums[c, 5] += weight * dx * dy
                    sums[c, 6] += weight * dx * dz
                    sums[c, 7] += weight * dy * dy
                    sums[c, 8] += weight * dy * dz
                    sums[c, 9] += weight * dz * dz
                    gap = np.int64(second[j] >> np.uint32(8)) - np.int64(best[j] >> np.uint32(8))
                    sums[c, 10] += weight * gap
