"""Neighborhoods: small K-Means problems of a few clusters near each other, with everything else fixed."""

import numpy as np
from numba import njit

from colorquant.kmeans.points import BLOCK, GRID

SETTLE_ROUNDS = 5


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
def settle(coordinates, moments, starts, region, size, places, k, rounds):  # type: ignore[no-untyped-def]
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
                        mean = (2 * sums[c, a] + weight) // (2 * weight)
                        places[a, c] = np.float32(mean)
    return error


@njit(cache=True, nogil=True)
def change_of(  # type: ignore[no-untyped-def]
    coordinates, moments, starts, errors, centroids, offsets, split, removed, region, size, places
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
                    place = np.float32(min(max(np.floor(shifted + 0.5), 0.0), 255.0 * GRID))
                places[a, k] = place
            k += 1
    return settle(coordinates, moments, starts, region, size, places, k, SETTLE_ROUNDS) - before
