"""Annealing of the 8-bit palette: whole colors optimized as such, not as rounded centroids.

Rounding costs a quarter of a squared level a pixel (3 channels of variance 1/12), 1 to 2 % of the error at 256 colors.
But boundaries give way, and an entry's best place depends on how its neighbors were rounded. So every entry in turn
draws one of the 27 places within a level of its own, by the Boltzmann distribution of the exact error (the Gibbs
sampler of Geman & Geman 1984), while the temperature falls to zero (Kirkpatrick, Gelatt & Vecchi 1983).
"""

from concurrent.futures import Executor

import numpy as np
from numba import njit

from colorquant.kmeans.assignment import assign
from colorquant.kmeans.nearest_four import FOUR, nearest_four
from colorquant.kmeans.points import GRID, Points

# First and last temperature, as energy in squared levels for the pixels of a mean cluster; the first is lower where
# the error is small beside the rounding.
HOT = 0.4
COLD = 0.03
PART_OF_ERROR = 0.02
# Sweeps before the nearest centroids are found anew; what moves by this many steps is looked at.
SWEEPS_A_ROUND = 4
REACH = np.float32(GRID * 3.5)
QUENCHING_ROUNDS = 3
# Quantiles of the Gumbel distribution: the least of (energy - temperature x Gumbel) is a Boltzmann draw.
DRAWS = 1 << 12
_GUMBEL = -np.log(-np.log((np.arange(DRAWS) + 0.5) / DRAWS))


def anneal(
    points: Points, centroids: np.ndarray, sweeps: int, random: np.random.Generator, pool: Executor | None = None
) -> np.ndarray:
    """Round centroids to whole colors, and anneal.

    Parameters
    ----------
    points : Points
        At most 2 ** 31 pixels.
    centroids : float32 (3, k)
        Grid units.
    sweeps : int
    random : Generator
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    uint8 (k, 3)
        A palette of an inertia that is at most that of the rounded centroids.
    """
    k = centroids.shape[1]
    whole = rounded = GRID * np.floor(centroids / GRID + np.float32(0.5))
    inertia = assign(points, rounded, pool=pool).inertia
    energy = inertia / k
    unit = GRID**2 * points.weight / k
    hot = min(HOT * unit, PART_OF_ERROR * energy)
    cold = min(COLD * unit, hot)
    for turn in range(0, sweeps, SWEEPS_A_ROUND):
        heat = cold + (hot - cold) * ((sweeps - turn) / sweeps) ** 2
        whole = _round(points, whole, heat, turn // SWEEPS_A_ROUND % 3, random, pool)
    whole = fill_empty(points, whole, pool)
    for turn in range(QUENCHING_ROUNDS):
        before = whole
        whole = _round(points, whole, 0.0, turn % 3, random, pool)
        if np.array_equal(before, whole):
            break
    if assign(points, whole, pool=pool).inertia > inertia:
        whole = rounded
    return np.ascontiguousarray((fill_empty(points, whole, pool) / GRID).T.astype(np.uint8))


def fill_empty(points: Points, whole: np.ndarray, pool: Executor | None = None) -> np.ndarray:
    """Put entries that no point is nearest to where the error is greatest."""
    for _ in range(whole.shape[1]):
        assignment = assign(points, whole, pool=pool)
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


def _round(
    points: Points, whole: np.ndarray, heat: float, axis: int, random: np.random.Generator, pool: Executor | None
) -> np.ndarray:
    """A few sweeps over all entries, low and high half on an axis each by itself: they do not see each other move."""
    neighbors = nearest_four(points, whole, pool)
    noise = (heat * _GUMBEL).astype(np.int64)
    draws = random.integers(0, DRAWS, (SWEEPS_A_ROUND, whole.shape[1], 27), np.uint16)
    halves = np.array_split(np.argsort(whole[axis], kind="stable"), 2)

    def sweep(half: np.ndarray) -> np.ndarray:
        places = whole.copy()
        _sweep_half(
            points.coordinates, points.moments, neighbors.names, neighbors.distances, half, draws, noise, places
        )
        return places[:, half]

    result = whole.copy()
    for half, places in zip(halves, (pool.map if pool else map)(sweep, halves), strict=True):
        result[:, half] = places
    return result


@njit(cache=True, nogil=True)
def _sweep_half(coordinates, moments, names, distances, half, draws, noise, places):  # type: ignore[no-untyped-def]
    k = places.shape[1]
    starts, members, inner = _members(moments, names, distances, half, k)
    distances = distances.copy()
    for turn in range(len(draws)):
        _sweep(coordinates, moments, distances, starts, members, inner, half, draws[turn], noise, places)


@njit(cache=True, nogil=True)
def _members(moments, names, distances, half, k):  # type: ignore[no-untyped-def]
    """Points that each entry of a half may win or lose, and the sums of those that are its own whatever moves."""
    wanted = np.zeros(k, np.bool_)
    wanted[half] = True
    n = len(names)
    kept = np.zeros(n, np.uint8)
    starts, inner = np.zeros(k + 1, np.int64), np.zeros((k, 4), np.int64)
    # |b - a| <= reach for distances a <= b holds where (b^2 - a^2)^2 <= 4 reach^2 b^2.
    limit = np.float32(4) * REACH * REACH
    for i in range(n):
        if moments[i, 3] == 0:
            continue
        slots = np.uint8(0)
        for slot in range(1, FOUR):
            gap = np.float32(distances[i, slot] - distances[i, 0])
            if gap * gap <= limit * np.float32(distances[i, slot]):
                slots |= np.uint8(1 << slot)
        if slots == 0:
            if wanted[names[i, 0]]:
                for a in range(4):
                    inner[names[i, 0], a] += moments[i, a]
            continue
        slots |= np.uint8(1)
        for slot in range(FOUR):
            if slots >> slot & 1 and wanted[names[i, slot]]:
                starts[names[i, slot] + 1] += 1
                kept[i] |= np.uint8(1 << slot)
    for c in range(k):
        starts[c + 1] += starts[c]
    ends = starts.copy()
    members = np.empty(starts[k], np.uint32)
    for i in range(n):
        slots = kept[i]
        if slots:
            for slot in range(FOUR):
                if slots >> slot & 1:
                    c = names[i, slot]
                    members[ends[c]] = np.uint32(i * FOUR + slot)
                    ends[c] += 1
    return starts, members, inner


@njit(cache=True, nogil=True)
def _sweep(  # type: ignore[no-untyped-def]
    coordinates, moments, distances, starts, members, inner, half, draws, noise, places
):
    most = 1 + (starts[1:] - starts[:-1]).max()
    dx, dy, dz = np.empty(most, np.float32), np.empty(most, np.float32), np.empty(most, np.float32)
    others, weights = np.empty(most, np.int32), np.empty(most, np.uint32)
    one, none = np.uint64(1), np.uint64(0)
    # A step changes a distance by at most sqrt(3) levels.
    limit = np.float32(4 * 3 * GRID * GRID)
    for c in half:
        x, y, z = places[0, c], places[1, c], places[2, c]
        count = np.uint64(0)
        for m in range(starts[c], starts[c + 1]):
            i, slot = np.uint64(members[m] >> np.uint32(2)), np.uint64(members[m] & np.uint32(3))
            own = distances[i, slot]
            distances[i, slot] = 2**30
            other = min(min(distances[i, 0], distances[i, 1]), min(distances[i, 2], distances[i, 3]))
            distances[i, slot] = own
            dx[count], dy[count], dz[count] = coordinates[0, i] - x, coordinates[1, i] - y, coordinates[2, i] - z
            others[count], weights[count] = other, moments[i, 3]
            gap = np.float32(own - other)
            count += one if gap * abs(gap) <= limit * np.float32(own) else none
        weight = inner[c, 3]
        pull_x = inner[c, 0] - weight * np.int64(x)
        pull_y = inner[c, 1] - weight * np.int64(y)
        pull_z = inner[c, 2] - weight * np.int64(z)
        least, best_x, best_y, best_z = np.int64(2**62), 0, 0, 0
        for move in range(27):
            # The first is no move at all, so that without noise a move must be better.
            turn = (move + 13) % 27
            ix, iy, iz = GRID * (turn // 9 - 1), GRID * (turn // 3 % 3 - 1), GRID * (turn % 3 - 1)
            sx, sy, sz = np.float32(ix), np.float32(iy), np.float32(iz)
            if min(x + sx, min(y + sy, z + sz)) < 0 or max(x + sx, max(y + sy, z + sz)) > 255 * GRID:
                continue
            error = np.uint64(0)
            for j in range(count):
                ex, ey, ez = dx[j] - sx, dy[j] - sy, dz[j] - sz
                distance = np.uint32(min(others[j], np.int32(ex * ex + ey * ey + ez * ez)))
                error += np.uint64(weights[j]) * np.uint64(distance)
            energy = np.int64(error) + weight * (ix * ix + iy * iy + iz * iz)
            energy -= 2 * (pull_x * ix + pull_y * iy + pull_z * iz) + noise[draws[c, move]]
            if energy < least:
                least, best_x, best_y, best_z = energy, ix, iy, iz
        if best_x == 0 and best_y == 0 and best_z == 0:
            continue
        x, y, z = x + np.float32(best_x), y + np.float32(best_y), z + np.float32(best_z)
        places[0, c], places[1, c], places[2, c] = x, y, z
        for m in range(starts[c], starts[c + 1]):
            i, slot = np.uint64(members[m] >> np.uint32(2)), np.uint64(members[m] & np.uint32(3))
            ex, ey, ez = coordinates[0, i] - x, coordinates[1, i] - y, coordinates[2, i] - z
            distances[i, slot] = np.int32(ex * ex + ey * ey + ez * ez)
