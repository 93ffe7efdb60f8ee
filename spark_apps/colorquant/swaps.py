"""Swaps: take a centroid from where it matters least, put it where it helps most, settle the neighborhoods.

What a swap gains is found by solving two small K-Means problems, around the cluster that is split and around the
one that vanishes, with everything else fixed (the local repartition of Franti & Kivijarvi 2000, but with chosen
instead of random swaps, as Patane & Russo 2001 choose by utility). A swap is made only if the error of the union
of both neighborhoods falls, so the inertia never rises.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numba import njit

from colorquant.assignment import Assignment, assign, lloyd
from colorquant.points import BLOCK, Points

NEIGHBORS = 8
SETTLE_ROUNDS = 5
LLOYD_ROUNDS = 2
# The part of the clusters that is looked at as the ones to split, and as the ones to remove.
EXAMINED = 0.3
# A cached gain or loss stands until its cheap estimate changes by this part.
STALE = 0.02


@dataclass(frozen=True, eq=False)
class Clusters:
    """The points of an assignment, cluster by cluster.

    ``coordinates`` float32 (3, n + BLOCK) and ``moments`` int64 (n + BLOCK, 4) hold those of cluster c from
    ``starts[c]`` to ``starts[c + 1]``; the padding lets blocks run over the end.
    """

    coordinates: np.ndarray
    moments: np.ndarray
    starts: np.ndarray


def clusters_of(points: Points, labels: np.ndarray, k: int) -> Clusters:
    """Sort the points by their label."""
    n = len(labels)
    clusters = Clusters(np.zeros((3, n + BLOCK), np.float32), np.zeros((n + BLOCK, 4), np.int64), np.zeros(k + 1, int))
    _sort_by_label(points.coordinates, points.moments, labels, clusters.coordinates, clusters.moments, clusters.starts)
    return clusters


def improve_by_swaps(
    points: Points, centroids: np.ndarray, passes: int, step: int = 1, pool: Executor | None = None
) -> tuple[np.ndarray, int]:
    """Swap until no swap helps.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k)
        Grid units, multiples of ``step``.
    passes : int
        Most passes; each costs a few rounds of Lloyd over all points.
    step : int
        Where centroids may lie: 1 on the grid, ``GRID`` on whole colors.
    pool : Executor, optional
        Threads to examine swaps with; the result does not depend on them.

    Returns
    -------
    centroids : float32 (3, k)
    inertia : int
        In grid units.
    """
    k = centroids.shape[1]
    if k == 1:
        centroids = lloyd(points, centroids, 1, step=step)
        return centroids, assign(points, centroids).inertia
    known = _Known(np.zeros(k), np.zeros(k), np.full(k, -1.0), np.full(k, -1.0))
    best, least = centroids, None
    for _ in range(passes):
        centroids = lloyd(points, centroids, LLOYD_ROUNDS, 1e-5, step, pool)
        assignment = assign(points, centroids, detailed=True, pool=pool)
        if least is None or assignment.inertia < least:
            best, least = centroids, assignment.inertia
        centroids = centroids.copy()
        if _swap_pass(points, assignment, centroids, known, step, pool) == 0:
            break
    else:
        inertia = assign(points, centroids).inertia
        if least is None or inertia < least:
            best, least = centroids, inertia
    return best, int(least or 0)


@dataclass(frozen=True, eq=False)
class _Known:
    """Gains and losses found so far, and the estimates they were found at."""

    gains: np.ndarray
    losses: np.ndarray
    gain_estimates: np.ndarray
    loss_estimates: np.ndarray


def split_offsets(assignment: Assignment) -> tuple[np.ndarray, np.ndarray]:
    """How to split each cluster in two across its longest principal axis.

    Returns
    -------
    gains : float64 (k,)
        Estimated decrease of the inertia, that of a normal distribution cut at its mean.
    offsets : float64 (k, 3)
        From the centroid to the two halves' means, plus and minus.
    """
    gains, offsets = np.zeros(len(assignment.sums)), np.zeros((len(assignment.sums), 3))
    _split_offsets(np.ascontiguousarray(assignment.spreads), np.ascontiguousarray(assignment.sums), gains, offsets)
    return gains, offsets


def _swap_pass(
    points: Points, assignment: Assignment, centroids: np.ndarray, known: _Known, step: int, pool: Executor | None
) -> int:
    k = centroids.shape[1]
    clusters = clusters_of(points, assignment.labels, k)
    gains, offsets = split_offsets(assignment)
    utilities = assignment.utilities.astype(np.float64)
    examined = min(k, int(k * EXAMINED) + 3)
    to_split = np.argsort(-gains, kind="stable")[:examined]
    to_remove = np.argsort(utilities, kind="stable")[:examined]
    stale_gains = to_split[np.abs(gains - known.gain_estimates)[to_split] > STALE * gains[to_split]]
    stale_losses = to_remove[np.abs(utilities - known.loss_estimates)[to_remove] > STALE * utilities[to_remove]]
    questions = np.concatenate([stale_gains, -1 - stale_losses])
    answers = np.zeros(len(questions))
    shared = (clusters.coordinates, clusters.moments, clusters.starts, assignment.errors, centroids, offsets, step)
    if pool is None or len(questions) < 8:
        _examine(questions, answers, *shared)
    else:
        # Interleaved, because the first questions are the larger clusters.
        halves = [questions[0::2].copy(), questions[1::2].copy()]
        results = [np.zeros(len(half)) for half in halves]
        jobs = [pool.submit(_examine, half, result, *shared) for half, result in zip(halves, results, strict=True)]
        for turn, job in enumerate(jobs):
            job.result()
            answers[turn::2] = results[turn]
    known.gains[stale_gains], known.losses[stale_losses] = np.split(answers, [len(stale_gains)])
    known.gain_estimates[stale_gains] = gains[stale_gains]
    known.loss_estimates[stale_losses] = utilities[stale_losses]
    splits = to_split[np.argsort(-known.gains[to_split], kind="stable")]
    removals = to_remove[np.argsort(known.losses[to_remove], kind="stable")]
    touched = np.zeros(k, np.uint8)
    swapped = _swap(splits, removals, known.gains, known.losses, touched, *shared)
    known.gain_estimates[touched > 0] = -1
    known.loss_estimates[touched > 0] = -1
    return int(swapped)


@njit(cache=True, nogil=True)
def _sort_by_label(  # type: ignore[no-untyped-def]
    coordinates, moments, labels, sorted_coordinates, sorted_moments, starts
):
    for label in labels:
        starts[label + 1] += 1
    for c in range(1, len(starts)):
        starts[c] += starts[c - 1]
    ends = starts.copy()
    for i in range(len(labels)):
        label = labels[i]
        at = ends[label]
        ends[label] += 1
        for a in range(3):
            sorted_coordinates[a, at] = coordinates[a, i]
        for a in range(4):
            sorted_moments[at, a] = moments[i, a]


@njit(cache=True, nogil=True)
def _split_offsets(spreads, sums, gains, offsets):  # type: ignore[no-untyped-def]
    for i in range(len(sums)):
        rr, rg, rb = float(spreads[i, 0]), float(spreads[i, 1]), float(spreads[i, 2])
        gg, gb, bb = float(spreads[i, 3]), float(spreads[i, 4]), float(spreads[i, 5])
        if rr + gg + bb <= 0:
            continue
        if rr >= gg and rr >= bb:
            x, y, z = rr, rg, rb
        elif gg >= bb:
            x, y, z = rg, gg, gb
        else:
            x, y, z = rb, gb, bb
        variance = 0.0
        for _ in range(12):
            norm = np.sqrt(x * x + y * y + z * z)
            x, y, z = x / norm, y / norm, z / norm
            u, v, w = rr * x + rg * y + rb * z, rg * x + gg * y + gb * z, rb * x + gb * y + bb * z
            variance = u * x + v * y + w * z
            x, y, z = u, v, w
        # A normal distribution cut at its mean: halves' means 0.8 deviations off, 2 / pi of the variance gone.
        length = 0.8 * np.sqrt(variance / sums[i, 3]) / np.sqrt(x * x + y * y + z * z)
        offsets[i, 0], offsets[i, 1], offsets[i, 2] = x * length, y * length, z * length
        gains[i] = 0.64 * variance


@njit(cache=True, nogil=True)
def _settle(coordinates, moments, starts, region, size, places, k, rounds, step):  # type: ignore[no-untyped-def]
    """K-Means of ``places[:, :k]`` over the points of clusters ``region[:size]``; the final error."""
    best = np.empty(BLOCK, np.uint32)
    sums = np.empty((k, 4), np.int64)
    error = np.int64(0)
    for turn in range(rounds + 1):
        last = turn == rounds
        sums[:] = 0
        error = np.int64(0)
        for r in range(size):
            begin, end = starts[region[r]], starts[region[r] + 1]
            for at in range(begin, end, BLOCK):
                x = coordinates[0, at : at + BLOCK]
                y = coordinates[1, at : at + BLOCK]
                z = coordinates[2, at : at + BLOCK]
                moment = moments[at : at + BLOCK]
                best[:] = np.uint32(0xFFFFFFFF)
                for t in range(k):
                    cx, cy, cz = places[0, t], places[1, t], places[2, t]
                    for j in range(BLOCK):
                        dx, dy, dz = x[j] - cx, y[j] - cy, z[j] - cz
                        word = np.uint32(
                            (np.uint32(np.int32(dx * dx + dy * dy + dz * dz)) << np.uint32(8)) | np.uint32(t)
                        )
                        best[j] = min(best[j], word)
                if last:
                    for j in range(min(BLOCK, end - at)):
                        error += moment[j, 3] * np.int64(best[j] >> np.uint32(8))
                else:
                    for j in range(min(BLOCK, end - at)):
                        c = best[j] & np.uint32(255)
                        sums[c, 0] += moment[j, 0]
                        sums[c, 1] += moment[j, 1]
                        sums[c, 2] += moment[j, 2]
                        sums[c, 3] += moment[j, 3]
        if not last:
            for c in range(k):
                weight = sums[c, 3]
                if weight > 0:
                    for a in range(3):
                        mean = step * ((2 * sums[c, a] + step * weight) // (2 * step * weight))
                        places[a, c] = np.float32(mean)
    return error


@njit(cache=True, nogil=True)
def add_neighborhood(centroids, center, neighbors, distances, inside, region, size):  # type: ignore[no-untyped-def]
    """Append a centroid and its nearest neighbors to a region, where they are not in it; the new size."""
    k = centroids.shape[1]
    for c in range(k):
        dx, dy, dz = (
            centroids[0, c] - centroids[0, center],
            centroids[1, c] - centroids[1, center],
            centroids[2, c] - centroids[2, center],
        )
        distances[c] = dx * dx + dy * dy + dz * dz
    distances[center] = -1
    for _ in range(min(neighbors + 1, k)):
        nearest, least = 0, np.float32(2**29)
        for c in range(k):
            if distances[c] < least:
                nearest, least = c, distances[c]
        distances[nearest] = np.float32(2**30)
        if not inside[nearest]:
            inside[nearest] = 1
            region[size] = nearest
            size += 1
    return size


@njit(cache=True, nogil=True)
def _change(  # type: ignore[no-untyped-def]
    coordinates, moments, starts, errors, centroids, offsets, step, split, removed, region, size, places
):
    """Error of a region after less before its centroid ``split`` is split and ``removed`` is removed (-1: none)."""
    before = np.int64(0)
    k = 0
    for r in range(size):
        c = region[r]
        before += errors[c]
        if c == removed:
            continue
        for half in range(2 if c == split else 1):
            for a in range(3):
                place = centroids[a, c]
                if c == split:
                    shifted = place + offsets[c, a] * (1 - 2 * half)
                    place = np.float32(min(max(step * np.floor(shifted / step + 0.5), 0.0), 2040.0))
                places[a, k] = place
            k += 1
    return _settle(coordinates, moments, starts, region, size, places, k, SETTLE_ROUNDS, step) - before


@njit(cache=True, nogil=True)
def _examine(  # type: ignore[no-untyped-def]
    questions, answers, coordinates, moments, starts, errors, centroids, offsets, step
):
    """What splitting cluster c gains (question c) and what removing it loses (question -1 - c)."""
    k = centroids.shape[1]
    distances, inside = np.empty(k, np.float32), np.empty(k, np.uint8)
    region, places = np.empty(k, np.int64), np.empty((3, k + 1), np.float32)
    for i in range(len(questions)):
        c = questions[i]
        split, removed = (c, -1) if c >= 0 else (-1, -1 - c)
        inside[:] = 0
        size = add_neighborhood(centroids, max(split, removed), NEIGHBORS, distances, inside, region, 0)
        change = _change(
            coordinates, moments, starts, errors, centroids, offsets, step, split, removed, region, size, places
        )
        answers[i] = change if c < 0 else -change


@njit(cache=True, nogil=True)
def _swap(  # type: ignore[no-untyped-def]
    splits, removals, gains, losses, touched, coordinates, moments, starts, errors, centroids, offsets, step
):
    """Make the swaps that help, best first, in regions that do not overlap; returns how many."""
    k = centroids.shape[1]
    distances, inside = np.empty(k, np.float32), np.empty(k, np.uint8)
    region, places = np.empty(k, np.int64), np.empty((3, k + 1), np.float32)
    swapped = 0
    for split in splits:
        if touched[split]:
            continue
        failures = 0
        for removed in removals:
            if failures == 2 or losses[removed] >= gains[split]:
                break
            if removed == split or touched[removed]:
                continue
            inside[:] = 0
            size = add_neighborhood(centroids, split, NEIGHBORS, distances, inside, region, 0)
            size = add_neighborhood(centroids, removed, NEIGHBORS, distances, inside, region, size)
            free = True
            for r in range(size):
                free = free and not touched[region[r]]
            if not free:
                continue
            change = _change(
                coordinates, moments, starts, errors, centroids, offsets, step, split, removed, region, size, places
            )
            if change >= 0:
                failures += 1
                continue
            for r in range(size):
                touched[region[r]] = 1
                for a in range(3):
                    centroids[a, region[r]] = places[a, r]
            swapped += 1
            break
    return swapped
