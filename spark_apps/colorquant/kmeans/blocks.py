"""Compiled kernels over one block of points, which all assignments share.

Candidates are the centroids that may be the nearest of some point in a box, float32 (4, k): three coordinates in grid
units, and the index among all centroids, ascending. One array instead of several spares Numba's reference counting.

Squared distances between grid positions are whole numbers below 2^24. So a distance (24 bits) and the column of a
candidate (8 bits) fit one uint32, here called a word: the least word is that of the nearest candidate, and of equally
near ones the first, and a vector instruction finds it.
"""

import numpy as np
from numba import njit

from colorquant.kmeans.points import BLOCK

_FAR = np.int32(2**30)
_NO_WORD = np.uint32(0xFFFFFFFF)


@njit(cache=True, nogil=True)
def all_candidates(centroids):  # type: ignore[no-untyped-def]
    """All centroids, float32 (3, k), as candidates."""
    k = centroids.shape[1]
    candidates = np.empty((4, k), np.float32)
    # By loops: Numba would take seconds to compile an assignment of a whole array.
    for c in range(k):
        for a in range(3):
            candidates[a, c] = centroids[a, c]
        candidates[3, c] = np.float32(c)
    return candidates


@njit(cache=True, nogil=True)
def no_candidates(k):  # type: ignore[no-untyped-def]
    """Memory for ``select`` to write up to k candidates to: it writes one more before it decides against it."""
    # A point with fewer than four candidates keeps words without one, whose column is 255.
    return np.zeros((4, max(k + 1, 256)), np.float32)


@njit(cache=True, nogil=True)
def select(low, high, candidates, count, rank, bounds, kept):  # type: ignore[no-untyped-def]
    """Keep the candidates that may be among the ``rank`` nearest of a point in a box.

    Parameters
    ----------
    low, high : three float32
        Corners of the box.
    candidates : float32 (4, k)
        Of which the first ``count`` are looked at.
    rank : int
    bounds : int32 (2, k)
        Memory for the least and the greatest squared distance of each candidate from the box.
    kept : float32 (4, count + 1)
        Receives the candidates that are kept, in their order.

    Returns
    -------
    int64
        How many are kept.
    """
    bound = _FAR
    zero = np.float32(0)
    low_x, low_y, low_z = low
    high_x, high_y, high_z = high
    for c in range(count):
        x, y, z = candidates[0, c], candidates[1, c], candidates[2, c]
        below_x, above_x = low_x - x, x - high_x
        below_y, above_y = low_y - y, y - high_y
        below_z, above_z = low_z - z, z - high_z
        near_x, near_y, near_z = (
            max(max(below_x, above_x), zero),
            max(max(below_y, above_y), zero),
            max(max(below_z, above_z), zero),
        )
        bounds[0, c] = np.int32(near_x * near_x + near_y * near_y + near_z * near_z)
        far_x, far_y, far_z = min(below_x, above_x), min(below_y, above_y), min(below_z, above_z)
        farthest = np.int32(far_x * far_x + far_y * far_y + far_z * far_z)
        bounds[1, c] = farthest
        bound = min(bound, farthest)
    for _ in range(1, rank):
        # The least greatest distance beyond the last; looser than needed where several tie, never too tight.
        beyond = _FAR
        for c in range(count):
            beyond = min(beyond, bounds[1, c] if bounds[1, c] > bound else _FAR)
        bound = beyond
    # Unsigned indexes need no check for negative ones; adding a condition needs no branch.
    chosen, one, none = np.uint64(0), np.uint64(1), np.uint64(0)
    for c in range(np.uint64(count)):
        for a in range(4):
            kept[a, chosen] = candidates[a, c]
        chosen += one if bounds[0, c] <= bound else none
    return np.int64(chosen)


@njit(cache=True, nogil=True)
def corner(corners, box):  # type: ignore[no-untyped-def]
    """One corner of one bounding box, of corners float32 (3, boxes)."""
    return corners[0, box], corners[1, box], corners[2, box]


@njit(cache=True, nogil=True)
def word_of(dx, dy, dz, t):  # type: ignore[no-untyped-def]
    """The word, uint32, of candidate ``t`` at these differences of coordinates."""
    return np.uint32((np.uint32(np.int32(dx * dx + dy * dy + dz * dz)) << np.uint32(8)) | np.uint32(t))


@njit(cache=True, nogil=True)
def find_nearest(coordinates, begin, candidates, count, best):  # type: ignore[no-untyped-def]
    """Write to ``best``, uint32 (BLOCK,), the word of each point's nearest candidate.

    The block begins at column ``begin`` of coordinates float32 (3, n); the first ``count`` candidates are looked at.
    """
    x = coordinates[0, begin : begin + BLOCK]
    y = coordinates[1, begin : begin + BLOCK]
    z = coordinates[2, begin : begin + BLOCK]
    best[:] = _NO_WORD
    for t in range(count):
        cx, cy, cz = candidates[0, t], candidates[1, t], candidates[2, t]
        for j in range(BLOCK):
            best[j] = min(best[j], word_of(x[j] - cx, y[j] - cy, z[j] - cz, t))


@njit(cache=True, nogil=True)
def find_nearest_two(coordinates, begin, candidates, count, best, second):  # type: ignore[no-untyped-def]
    """As ``find_nearest``, and to ``second`` the word of each point's second nearest candidate."""
    x = coordinates[0, begin : begin + BLOCK]
    y = coordinates[1, begin : begin + BLOCK]
    z = coordinates[2, begin : begin + BLOCK]
    best[:] = _NO_WORD
    second[:] = _NO_WORD
    for t in range(count):
        cx, cy, cz = candidates[0, t], candidates[1, t], candidates[2, t]
        for j in range(BLOCK):
            word = word_of(x[j] - cx, y[j] - cy, z[j] - cz, t)
            second[j] = min(second[j], max(best[j], word))
            best[j] = min(best[j], word)


@njit(cache=True, nogil=True)
def find_nearest_four(coordinates, begin, candidates, count, words):  # type: ignore[no-untyped-def]
    """As ``find_nearest``, but to words uint32 (4, BLOCK) those of each point's four nearest, ascending."""
    x = coordinates[0, begin : begin + BLOCK]
    y = coordinates[1, begin : begin + BLOCK]
    z = coordinates[2, begin : begin + BLOCK]
    one, two, three, four = words[0], words[1], words[2], words[3]
    words[:] = _NO_WORD
    for t in range(count):
        cx, cy, cz = candidates[0, t], candidates[1, t], candidates[2, t]
        for j in range(BLOCK):
            word = word_of(x[j] - cx, y[j] - cy, z[j] - cz, t)
            after = max(one[j], word)
            one[j] = min(one[j], word)
            beyond = max(two[j], after)
            two[j] = min(two[j], after)
            after = max(three[j], beyond)
            three[j] = min(three[j], beyond)
            four[j] = min(four[j], after)
