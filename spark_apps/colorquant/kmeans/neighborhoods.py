"""Neighborhoods: small K-Means problems of a few clusters near each other, with all other clusters fixed."""

from typing import NamedTuple

import numpy as np
from numba import njit

from colorquant.kmeans.blocks import find_nearest
from colorquant.kmeans.clusters import Clusters
from colorquant.kmeans.points import BLOCK, GRID

NEIGHBORS = 8
SETTLE_ROUNDS = 5


class Partition(NamedTuple):
    """An assignment as the neighborhoods use it.

    Attributes
    ----------
    clusters : Clusters
    errors : int64 (k,)
        The part of each cluster in the inertia.
    centroids : float32 (3, k)
        Grid units.
    offsets : float64 (k, 3)
        Of ``split_offsets``.
    """

    clusters: Clusters
    errors: np.ndarray
    centroids: np.ndarray
    offsets: np.ndarray

    @property
    def plain(self) -> tuple:
        """The same as plain tuples, for the call of a kernel; ``partition_of`` gives them their names again."""
        return tuple(self.clusters), self.errors, self.centroids, self.offsets


class Region(NamedTuple):
    """Some of k clusters, and memory for work on them. How many there are is passed along with it, as ``size``.

    Attributes
    ----------
    members : int64 (k,)
        The first ``size`` are the clusters' indexes.
    inside : uint8 (k,)
        1 for each cluster among them.
    distances : float32 (k,)
        Memory for squared distances.
    trial : float32 (3, k + 1)
        Memory for centroids that are tried.
    """

    members: np.ndarray
    inside: np.ndarray
    distances: np.ndarray
    trial: np.ndarray


@njit(cache=True, nogil=True)
def partition_of(plain):  # type: ignore[no-untyped-def]
    """The ``Partition`` of its plain tuples."""
    clusters, errors, centroids, offsets = plain
    return Partition(Clusters(*clusters), errors, centroids, offsets)


@njit(cache=True, nogil=True)
def empty_region(k):  # type: ignore[no-untyped-def]
    """A region without clusters."""
    return Region(
        np.empty(k, np.int64), np.zeros(k, np.uint8), np.empty(k, np.float32), np.empty((3, k + 1), np.float32)
    )


@njit(cache=True, nogil=True)
def add_neighborhood(centroids, center, region, size):  # type: ignore[no-untyped-def]
    """Add a cluster and its ``NEIGHBORS`` nearest to a region, if they are not in it; returns its new size.

    Parameters
    ----------
    centroids : float32 (3, k)
    center : int
        Index of the cluster.
    region : Region
    size : int
        Before; 0 begins a new region.
    """
    members, inside, distances, _ = region
    if size == 0:
        inside[:] = 0
    k = centroids.shape[1]
    for c in range(k):
        dx, dy, dz = (
            centroids[0, c] - centroids[0, center],
            centroids[1, c] - centroids[1, center],
            centroids[2, c] - centroids[2, center],
        )
        distances[c] = dx * dx + dy * dy + dz * dz
    distances[center] = -1
    for _ in range(min(NEIGHBORS + 1, k)):
        nearest, least = 0, np.float32(2**29)
        for c in range(k):
            if distances[c] < least:
                nearest, least = c, distances[c]
        distances[nearest] = np.float32(2**30)
        if not inside[nearest]:
            inside[nearest] = 1
            members[size] = nearest
            size += 1
    return size


@njit(cache=True, nogil=True)
def settle(clusters, region, size, k, rounds):  # type: ignore[no-untyped-def]
    """K-Means of the first k trial centroids over the points of a region.

    Parameters
    ----------
    clusters : Clusters
    region : Region
        ``trial[:, :k]`` are moved.
    size, k : int
    rounds : int

    Returns
    -------
    int64
        The inertia of the points in the end.
    """
    coordinates, all_moments, starts = clusters
    members, trial = region.members, region.trial
    best = np.empty(BLOCK, np.uint32)
    sums = np.empty((k, 4), np.int64)
    error = np.int64(0)
    for turn in range(rounds + 1):
        last = turn == rounds
        sums[:] = 0
        error = np.int64(0)
        for r in range(size):
            begin, end = starts[members[r]], starts[members[r] + 1]
            for at in range(begin, end, BLOCK):
                find_nearest(coordinates, at, trial, k, best)
                moments = all_moments[at : at + BLOCK]
                # What follows the cluster's end in its last block belongs to others.
                if last:
                    for j in range(min(BLOCK, end - at)):
                        error += moments[j, 3] * np.int64(best[j] >> np.uint32(8))
                else:
                    for j in range(min(BLOCK, end - at)):
                        c = best[j] & np.uint32(255)
                        for a in range(4):
                            sums[c, a] += moments[j, a]
        if not last:
            for c in range(k):
                weight = sums[c, 3]
                if weight > 0:
                    for a in range(3):
                        trial[a, c] = np.float32((2 * sums[c, a] + weight) // (2 * weight))
    return error


@njit(cache=True, nogil=True)
def change_of(partition, split, removed, region, size):  # type: ignore[no-untyped-def]
    """By how much the inertia of a region changes if one cluster is split and one is removed.

    Parameters
    ----------
    partition : Partition
    split, removed : int
        Clusters of the region; -1: none.
    region : Region
        ``trial`` receives the centroids that result.
    size : int

    Returns
    -------
    int64
        Negative where the inertia falls. All other clusters keep their points.
    """
    clusters, errors, centroids, offsets = partition
    members, trial = region.members, region.trial
    before = np.int64(0)
    k = 0
    for r in range(size):
        c = members[r]
        before += errors[c]
        if c == removed:
            continue
        for half in range(2 if c == split else 1):
            for a in range(3):
                position = centroids[a, c]
                if c == split:
                    shifted = position + offsets[c, a] * (1 - 2 * half)
                    position = np.float32(min(max(np.floor(shifted + 0.5), 0.0), 255.0 * GRID))
                trial[a, k] = position
            k += 1
    return settle(clusters, region, size, k, SETTLE_ROUNDS) - before
