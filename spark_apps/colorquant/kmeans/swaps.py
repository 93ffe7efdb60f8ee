"""Swaps: remove a centroid where it matters least, split a cluster where that helps most, settle both neighborhoods.

What a swap gains is found by solving two small K-Means problems, around the cluster that is split and around the
one that is removed, with all others fixed: the local repartition of Franti & Kivijarvi (2000), but with chosen instead
of random swaps, as Patane & Russo (2001) choose by utility. A swap is made only if the inertia of the union of both
neighborhoods falls, so the inertia of all points never rises.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numba import njit

from colorquant.kmeans.assignment import Assignment, assign, lloyd
from colorquant.kmeans.clusters import clusters_of, split_offsets
from colorquant.kmeans.neighborhoods import Partition, add_neighborhood, change_of, empty_region, partition_of
from colorquant.kmeans.points import Points
from colorquant.kmeans.threads import both

LLOYD_ROUNDS = 2
# The part of all clusters that is examined as those to split, and as those to remove.
EXAMINED = 0.3
# A computed gain or loss is used again until its estimate changes by more than this part.
STALE = 0.02
# Fewer small problems than these are faster in one thread.
PARALLEL_PROBLEMS = 8


def improve_by_swaps(points: Points, centroids: np.ndarray, passes: int, pool: Executor | None = None) -> np.ndarray:
    """Swap until no swap helps.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k)
        Grid units.
    passes : int
        The largest number of passes; each costs a few rounds of Lloyd over all points.
    pool : Executor, optional
        Threads to examine swaps with; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
        The centroids of the lowest inertia among those after each pass.
    """
    k = centroids.shape[1]
    if k == 1:
        return lloyd(points, centroids, 1)
    gains, losses = _Known.nothing(k), _Known.nothing(k)
    best, least = centroids, None
    for _ in range(passes):
        centroids = lloyd(points, centroids, LLOYD_ROUNDS, 1e-5, pool)
        assignment = assign(points, centroids, detailed=True, pool=pool)
        if least is None or assignment.inertia < least:
            best, least = centroids, assignment.inertia
        centroids = centroids.copy()
        if _swap_pass(points, assignment, centroids, gains, losses, pool) == 0:
            return best
    if least is None or assign(points, centroids, pool=pool).inertia < least:
        return centroids
    return best


@dataclass(eq=False)
class _Known:
    """Changes of the inertia that were computed for clusters, and the estimates at that time; float64 (k,).

    They are used again until a cluster changes, or its estimate does.
    """

    changes: np.ndarray
    estimates: np.ndarray

    @classmethod
    def nothing(cls, k: int) -> "_Known":
        return cls(np.zeros(k), np.full(k, -1.0))

    def stale(self, examined: np.ndarray, estimates: np.ndarray) -> np.ndarray:
        """The clusters among those examined whose change must be computed."""
        return examined[np.abs(estimates - self.estimates)[examined] > STALE * estimates[examined]]

    def learn(self, clusters: np.ndarray, changes: np.ndarray, estimates: np.ndarray) -> None:
        self.changes[clusters] = changes
        self.estimates[clusters] = estimates[clusters]

    def forget(self, clusters: np.ndarray) -> None:
        self.estimates[clusters] = -1


def _swap_pass(
    points: Points,
    assignment: Assignment,
    centroids: np.ndarray,
    gains: _Known,
    losses: _Known,
    pool: Executor | None,
) -> int:
    """Make the swaps that help; ``centroids`` float32 (3, k) change. Returns how many swaps."""
    k = centroids.shape[1]
    split_estimates, offsets = split_offsets(assignment)
    utilities = assignment.utilities.astype(np.float64)
    examined = min(k, int(k * EXAMINED) + 3)
    to_split = np.argsort(-split_estimates, kind="stable")[:examined]
    to_remove = np.argsort(utilities, kind="stable")[:examined]
    partition = Partition(clusters_of(points, assignment.labels, k), assignment.errors, centroids, offsets)
    split, removed = gains.stale(to_split, split_estimates), losses.stale(to_remove, utilities)
    changes = _changes(np.concatenate([split, -1 - removed]), partition, pool)
    gains.learn(split, -changes[: len(split)], split_estimates)
    losses.learn(removed, changes[len(split) :], utilities)
    splits = to_split[np.argsort(-gains.changes[to_split], kind="stable")]
    removals = to_remove[np.argsort(losses.changes[to_remove], kind="stable")]
    touched = np.zeros(k, np.uint8)
    swapped = _swap(splits, removals, gains.changes, losses.changes, touched, partition.plain)
    for known in (gains, losses):
        known.forget(touched > 0)
    return int(swapped)


def _changes(questions: np.ndarray, partition: Partition, pool: Executor | None) -> np.ndarray:
    """Change of the inertia, float64, for each question: split cluster c (question c), or remove it (-1 - c)."""
    if pool is None or len(questions) < PARALLEL_PROBLEMS:
        return _examine(questions, partition.plain)
    # Interleaved, because the first questions are about larger clusters.
    halves = [(questions[start::2].copy(), partition.plain) for start in (0, 1)]
    changes = np.empty(len(questions))
    changes[0::2], changes[1::2] = both(pool, _examine, *halves)
    return changes


@njit(cache=True, nogil=True)
def _examine(questions, plain_partition):  # type: ignore[no-untyped-def]
    """``_changes`` of some of the questions, in one thread."""
    partition = partition_of(plain_partition)
    changes = np.empty(len(questions))
    region = empty_region(partition.centroids.shape[1])
    for i in range(len(questions)):
        c = questions[i]
        split, removed = (c, -1) if c >= 0 else (-1, -1 - c)
        size = add_neighborhood(partition.centroids, max(split, removed), region, 0)
        changes[i] = change_of(partition, split, removed, region, size)
    return changes


@njit(cache=True, nogil=True)
def _swap(splits, removals, gains, losses, touched, plain_partition):  # type: ignore[no-untyped-def]
    """Make the swaps that help, best first, in regions that do not overlap.

    Parameters
    ----------
    splits, removals : int64 (m,)
        Clusters to split, those of the largest gain first, and to remove, those of the least loss first.
    gains, losses : float64 (k,)
    touched : uint8 (k,)
        Receives 1 for each cluster that has changed.
    plain_partition : Partition
        As plain tuples; its centroids are changed.

    Returns
    -------
    int
        How many swaps were made.
    """
    partition = partition_of(plain_partition)
    centroids = partition.centroids
    region = empty_region(centroids.shape[1])
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
            size = add_neighborhood(centroids, split, region, 0)
            size = add_neighborhood(centroids, removed, region, size)
            members = region.members[:size]
            if _any_set(touched, members):
                continue
            if change_of(partition, split, removed, region, size) >= 0:
                failures += 1
                continue
            for r in range(size):
                touched[members[r]] = 1
                for a in range(3):
                    centroids[a, members[r]] = region.trial[a, r]
            swapped += 1
            break
    return swapped


@njit(cache=True, nogil=True)
def _any_set(flags, members):  # type: ignore[no-untyped-def]
    for c in members:
        if flags[c]:
            return True
    return False
