"""Annealing of the palette: 8-bit colors are optimized as such, which is better than rounding centroids.

Rounding costs a quarter of a squared level a pixel (3 channels of variance 1/12), 1 to 2 % of the error at 256 colors.
But boundaries follow the entries, and an entry's best color depends on how its neighbors were rounded. So every entry
in turn draws one of the 27 colors within a level of its own, by the Boltzmann distribution of the exact error (the
Gibbs sampler of Geman & Geman 1984, DOI 10.1109/TPAMI.1984.4767596), while the temperature falls to zero (Kirkpatrick,
Gelatt & Vecchi 1983, DOI 10.1126/science.220.4598.671).
"""

from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numba import njit

from colorquant.kmeans.assignment import assign
from colorquant.kmeans.nearest_four import FOUR, Neighbors, nearest_four
from colorquant.kmeans.points import GRID, Points
from colorquant.kmeans.threads import both

# First and last temperature, as energy in squared levels for the pixels of a mean cluster; the first is lower where
# the error is small compared with the rounding.
HOT = 0.4
COLD = 0.03
PART_OF_ERROR = 0.02
# Sweeps until the four nearest entries of all points are found again. A point counts as an entry's own if no other is
# nearer even after moves of this length, in grid units.
SWEEPS_A_ROUND = 4
REACH = np.float32(GRID * 3.5)
QUENCHING_ROUNDS = 3
# Quantiles of the Gumbel distribution: the least of (energy - temperature x Gumbel) is a Boltzmann draw.
DRAWS = 1 << 12
_GUMBEL = -np.log(-np.log((np.arange(DRAWS) + 0.5) / DRAWS))


def anneal(
    points: Points, centroids: np.ndarray, sweeps: int, random: np.random.Generator, pool: Executor | None = None
) -> np.ndarray:
    """Round centroids to 8-bit colors, and anneal these.

    Parameters
    ----------
    points : Points
        At most 2 ** 31 pixels.
    centroids : float32 (3, k)
        Grid units.
    sweeps : int
        Over all entries, with noise; some without noise follow.
    random : Generator
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    uint8 (k, 3)
        A palette whose inertia is at most that of the rounded centroids.
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
    """Move entries that are the nearest of no point to the points of the largest errors.

    Parameters
    ----------
    points : Points
    whole : float32 (3, k)
        Whole colors, in grid units.
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
    """
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
    """A few sweeps over all entries float32 (3, k); the low and the high half on an axis do not see each other move."""
    neighbors = nearest_four(points, whole, pool)
    noise = (heat * _GUMBEL).astype(np.int64)
    draws = random.integers(0, DRAWS, (SWEEPS_A_ROUND, whole.shape[1], 27), np.uint16)

    def swept(half: np.ndarray) -> np.ndarray:
        entries = whole.copy()
        _sweep_half(tuple(points), tuple(neighbors), half, draws, noise, entries)
        return entries[:, half]

    result = whole.copy()
    low, high = np.array_split(np.argsort(whole[axis], kind="stable"), 2)
    result[:, low], result[:, high] = both(pool, swept, (low,), (high,))
    return result


class _Contested(NamedTuple):
    """Points that entries may win or lose by small moves.

    Attributes
    ----------
    starts : int64 (k + 1,)
        Those of entry c are ``members[starts[c]:starts[c + 1]]``.
    members : uint32 (m,)
        The point's index times four, plus the rank of the entry among the point's nearest.
    own : int64 (k, 4)
        Sums of ``moments`` over the points that are the entry's own, however entries move.
    """

    starts: np.ndarray
    members: np.ndarray
    own: np.ndarray


class _Gathered(NamedTuple):
    """The points that one entry may win or lose by its next move; room for as many as any entry has.

    Attributes
    ----------
    dx, dy, dz : float32 (m,)
        Coordinates minus those of the entry.
    others : int32 (m,)
        Squared distance to the nearest other entry.
    weights : uint32 (m,)
    """

    dx: np.ndarray
    dy: np.ndarray
    dz: np.ndarray
    others: np.ndarray
    weights: np.ndarray


@njit(cache=True, nogil=True)
def _sweep_half(plain_points, plain_neighbors, half, draws, noise, entries):  # type: ignore[no-untyped-def]
    """Sweeps over some entries, with all others fixed.

    Parameters
    ----------
    plain_points : Points
    plain_neighbors : Neighbors
        Of all points.
    half : int64 (h,)
        The entries that move.
    draws : uint16 (sweeps, k, 27)
        Index into ``noise`` of each sweep, entry, and move.
    noise : int64 (DRAWS,)
        Energies.
    entries : float32 (3, k)
        Those of ``half`` are changed.
    """
    points, neighbors = Points(*plain_points), Neighbors(*plain_neighbors)
    contested = _contested(points, neighbors, half, entries.shape[1])
    distances = neighbors.distances.copy()
    most = 1 + (contested.starts[1:] - contested.starts[:-1]).max()
    gathered = _Gathered(
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.int32),
        np.empty(most, np.uint32),
    )
    for turn in range(len(draws)):
        for c in half:
            entry = (entries[0, c], entries[1, c], entries[2, c])
            count = _gather(points, distances, contested, c, entry, gathered)
            move = _best_move(gathered, count, contested.own[c], entry, draws[turn, c], noise)
            if move[0] != 0 or move[1] != 0 or move[2] != 0:
                for a in range(3):
                    entries[a, c] += np.float32(move[a])
                _measure_again(points, distances, contested, c, (entries[0, c], entries[1, c], entries[2, c]))


@njit(cache=True, nogil=True)
def _contested(points, neighbors, half, k):  # type: ignore[no-untyped-def]
    """The ``_Contested`` points of the entries of a half, by neighbors at the beginning."""
    moments, names, distances = points.moments, neighbors.names, neighbors.distances
    wanted = np.zeros(k, np.bool_)
    wanted[half] = True
    n = len(names)
    kept = np.zeros(n, np.uint8)
    starts, own = np.zeros(k + 1, np.int64), np.zeros((k, 4), np.int64)
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
                    own[names[i, 0], a] += moments[i, a]
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
    return _Contested(starts, members, own)


@njit(cache=True, nogil=True)
def _gather(points, distances, contested, c, entry, gathered):  # type: ignore[no-untyped-def]
    """Gather the points that entry c, three float32, may win or lose by one move; returns how many, uint64.

    ``distances`` int32 (n, 4) are squared, to the nearest entries of each point where these are now.
    """
    coordinates, members = points.coordinates, contested.members
    dx, dy, dz, others, weights = gathered
    x, y, z = entry
    count, one, none = np.uint64(0), np.uint64(1), np.uint64(0)
    # A move changes a distance by at most sqrt(3) levels.
    limit = np.float32(4 * 3 * GRID * GRID)
    for m in range(contested.starts[c], contested.starts[c + 1]):
        i, slot = np.uint64(members[m] >> np.uint32(2)), np.uint64(members[m] & np.uint32(3))
        own = distances[i, slot]
        distances[i, slot] = 2**30
        other = min(min(distances[i, 0], distances[i, 1]), min(distances[i, 2], distances[i, 3]))
        distances[i, slot] = own
        dx[count], dy[count], dz[count] = coordinates[0, i] - x, coordinates[1, i] - y, coordinates[2, i] - z
        others[count], weights[count] = other, points.moments[i, 3]
        gap = np.float32(own - other)
        count += one if gap * abs(gap) <= limit * np.float32(own) else none
    return count


@njit(cache=True, nogil=True)
def _best_move(gathered, count, own, entry, draws, noise):  # type: ignore[no-untyped-def]
    """The move of the least energy, noise included, as three steps of -GRID, 0, or GRID.

    ``own`` int64 (4,) are the sums of the entry's own points, and ``draws`` uint16 (27,) index ``noise`` for each move.
    """
    dx, dy, dz, others, weights = gathered
    x, y, z = entry
    weight = own[3]
    pull_x = own[0] - weight * np.int64(x)
    pull_y = own[1] - weight * np.int64(y)
    pull_z = own[2] - weight * np.int64(z)
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
        energy -= 2 * (pull_x * ix + pull_y * iy + pull_z * iz) + noise[draws[move]]
        if energy < least:
            least, best_x, best_y, best_z = energy, ix, iy, iz
    return best_x, best_y, best_z


@njit(cache=True, nogil=True)
def _measure_again(points, distances, contested, c, entry):  # type: ignore[no-untyped-def]
    """Set the distances of entry c, three float32, which has moved, to the points that it may win or lose."""
    coordinates, members = points.coordinates, contested.members
    x, y, z = entry
    for m in range(contested.starts[c], contested.starts[c + 1]):
        i, slot = np.uint64(members[m] >> np.uint32(2)), np.uint64(members[m] & np.uint32(3))
        ex, ey, ez = coordinates[0, i] - x, coordinates[1, i] - y, coordinates[2, i] - z
        distances[i, slot] = np.int32(ex * ex + ey * ey + ez * ez)
