"""Clusters: the points of an assignment, sorted by cluster, and how to split each cluster in two."""

from typing import NamedTuple

import numpy as np
from numba import njit

from colorquant.kmeans.assignment import Assignment
from colorquant.kmeans.points import BLOCK, Points


class Clusters(NamedTuple):
    """The points of an assignment, sorted by cluster.

    Attributes
    ----------
    coordinates : float32 (3, n + BLOCK)
        Those of cluster c are from ``starts[c]`` to ``starts[c + 1]``; the last BLOCK are zero, so that a block which
        begins in a cluster always has its full length.
    moments : int64 (n + BLOCK, 4)
        Of the same points.
    starts : int64 (k + 1,)
    """

    coordinates: np.ndarray
    moments: np.ndarray
    starts: np.ndarray


def clusters_of(points: Points, labels: np.ndarray, k: int) -> Clusters:
    """Sort the points by their labels, uint8 (n,), of k clusters."""
    n = len(labels)
    clusters = Clusters(np.zeros((3, n + BLOCK), np.float32), np.zeros((n + BLOCK, 4), np.int64), np.zeros(k + 1, int))
    _sort_by_label(points.coordinates, points.moments, labels, *clusters)
    return clusters


def split_offsets(assignment: Assignment) -> tuple[np.ndarray, np.ndarray]:
    """How to split each cluster in two across its longest principal axis.

    Parameters
    ----------
    assignment : Assignment
        A detailed one.

    Returns
    -------
    gains : float64 (k,)
        Estimated decrease of the inertia, that of a normal distribution cut at its mean.
    offsets : float64 (k, 3)
        From the centroid to the mean of one half, in grid units; the other half's is opposite.
    """
    gains, offsets = np.zeros(len(assignment.sums)), np.zeros((len(assignment.sums), 3))
    _split_offsets(np.ascontiguousarray(assignment.spreads), np.ascontiguousarray(assignment.sums), gains, offsets)
    return gains, offsets


@njit(cache=True, nogil=True)
def _sort_by_label(  # type: ignore[no-untyped-def]
    coordinates, moments, labels, sorted_coordinates, sorted_moments, starts
):
    """Write what ``Clusters`` says, by a counting sort; points of one cluster stay in their order."""
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
    """Write gains and offsets, by power iteration on the second moments from the axis of the largest variance."""
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
