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

from colorquant.kmeans.assignment import Assignment, assign, lloyd
from colorquant.kmeans.clusters import clusters_of, split_offsets
from colorquant.kmeans.neighborhoods import add_neighborhood, change_of
from colorquant.kmeans.points import Points

NEIGHBORS = 8
LLOYD_ROUNDS = 2
# The part of the clusters that is looked at as the ones to split, and as the ones to remove.
EXAMINED = 0.3
# A cached gain or loss stands until its cheap estimate changes by this part.
STALE = 0.02


def improve_by_swaps(points: Points, centroids: np.ndarray, passes: int, pool: Executor | None = None) -> np.ndarray:
    """Swap until no swap helps.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k)
        Grid units.
    passes : int
        Most passes; each costs a few rounds of Lloyd over all points.
    pool : Executor, optional
        Threads to examine swaps with; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
        Those of the lowest inertia on the way.
    """
    k = centroids.shape[1]
    if k == 1:
        return lloyd(points, centroids, 1)
    known = _Known(np.zeros(k), np.zeros(k), np.full(k, -1.0), np.full(k, -1.0))
    best, least = centroids, None
    for _ in range(passes):
        centroids = lloyd(points, centroids, LLOYD_ROUNDS, 1e-5, pool)
        assignment = assign(points, centroids, detailed=True, pool=pool)
        if least is None or assignment.inertia < least:
            best, least = centroids, assignment.inertia
        centroids = centroids.copy()
        if _swap_pass(points, assignment, centroids, known, pool) == 0:
            break
    else:
        if least is None or assign(points, centroids, pool=pool).inertia < least:
            best = centroids
    return best


@dataclass(frozen=True, eq=False)
class _Known:
    """Gains and losses found so far, and the estimates they were found at."""

    gains: np.ndarray
    losses: np.ndarray
    gain_estimates: np.ndarray
    loss_estimates: np.ndarray


def _swap_pass(
    points: Points, assignment: Assignment, centroids: np.ndarray, known: _Known, pool: Executor | None
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
    shared = (clusters.coordinates, clusters.moments, clusters.starts, assignment.errors, centroids, offsets)
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
def _examine(  # type: ignore[no-untyped-def]
    questions, answers, coordinates, moments, starts, errors, centroids, offsets
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
        change = change_of(
            coordinates, moments, starts, errors, centroids, offsets, split, removed, region, size, places
        )
        answers[i] = change if c < 0 else -change


@njit(cache=True, nogil=True)
def _swap(  # type: ignore[no-untyped-def]
    splits, removals, gains, losses, touched, coordinates, moments, starts, errors, centroids, offsets
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
            change = change_of(
                coordinates, moments, starts, errors, centroids, offsets, split, removed, region, size, places
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
