"""The centroid search for images with alpha: k-means++ seeds, then breathing k-means (Fritzke 2020, arXiv 2006.15666).

A breath adds centroids where the error is greatest and removes those that matter least; when a breath no longer helps,
the next one is smaller. Where the image has fully transparent pixels, one centroid stays at full transparency, so that
empty areas do not get a tint.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from colorquant.alpha.kmeans import assign_columns

_MIN_BREATH = 1
_BREATH_PART = 0.12
_ROUNDS = 6
_LAST_ROUNDS = 20
_TOLERANCE = 1e-4


def search_centroids(positions: np.ndarray, weights: np.ndarray, k: int, seed: int, pinned: bool) -> np.ndarray:
    """Centroids with a low inertia over weighted points.

    Parameters
    ----------
    positions : int64 (n, 4), n >= k
    weights : int64 (n,)
    seed : int
    pinned : bool
        Whether the first point is full transparency, and the first centroid stays there.

    Returns
    -------
    int64 (at most k, 4)
    """
    random = np.random.default_rng(seed)
    columns, mass = np.ascontiguousarray(positions.T, dtype=np.float64), weights.astype(np.float64)
    best = _lloyd(columns, mass, _seeds(columns, mass, k, random, pinned), pinned, _ROUNDS)
    breath = max(_MIN_BREATH, int(k * _BREATH_PART))
    while breath >= _MIN_BREATH and k > 1 + pinned:
        larger = _lloyd(columns, mass, _grown(columns, mass, best, breath, random), pinned, _ROUNDS)
        smaller = _lloyd(columns, mass, _shrunk(mass, larger, k, pinned), pinned, _ROUNDS)
        if smaller.inertia < best.inertia * (1 - _TOLERANCE):
            best = smaller
        else:
            breath //= 2
    return _lloyd(columns, mass, best.centroids, pinned, _LAST_ROUNDS).centroids.astype(np.int64)


class _Fit(NamedTuple):
    """Centroids float64 (k, 4), and of each point the nearest of them, and the squared distances to two.

    As of ``assign_columns``; the inertia is over weighted points.
    """

    centroids: np.ndarray
    labels: np.ndarray
    first: np.ndarray
    second: np.ndarray
    inertia: float


def _seeds(columns: np.ndarray, mass: np.ndarray, k: int, random: np.random.Generator, pinned: bool) -> np.ndarray:
    """Greedy k-means++ (Arthur & Vassilvitskii 2007): of some candidates the one that lowers the error most."""
    first = 0 if pinned else int(_drawn(mass, random, 1)[0])
    chosen = [first]
    distances = _distances(columns, columns[:, first])
    for _ in range(k - 1):
        error = distances * mass
        if not error.any():
            break
        best = _best_seed(columns, mass, distances, _drawn(error, random, 2 + int(np.log(k))))
        chosen.append(int(best))
        distances = np.minimum(distances, _distances(columns, columns[:, best]))
    return np.ascontiguousarray(columns[:, chosen].T) * ([[0]] + [[1]] * (len(chosen) - 1) if pinned else 1.0)


def _drawn(chances: np.ndarray, random: np.random.Generator, size: int) -> np.ndarray:
    """Indexes int64 (size,), drawn with probabilities proportional to chances (n,)."""
    sums = np.cumsum(chances)
    return np.minimum(np.searchsorted(sums, random.random(size) * sums[-1]), len(chances) - 1)


@njit(cache=True, nogil=True)
def _best_seed(columns: np.ndarray, mass: np.ndarray, distances: np.ndarray, candidates: np.ndarray) -> int:
    """The candidate that leaves the least error; of equal ones the first."""
    best, least = candidates[0], np.inf
    for candidate in candidates:
        error = 0.0
        a, b, c, d = columns[:, candidate]
        for i in range(len(mass)):
            distance = (columns[0, i] - a) ** 2 + (columns[1, i] - b) ** 2 + (columns[2, i] - c) ** 2
            error += min(distances[i], distance + 3 * (columns[3, i] - d) ** 2) * mass[i]
        if error < least:
            best, least = candidate, error
    return best


@njit(cache=True, nogil=True)
def _error(distances: np.ndarray, mass: np.ndarray) -> float:
    """The sum in order: the rounding of numpy's own sum, and of a dot product, depends on the processor."""
    total = 0.0
    for i in range(len(mass)):
        total += distances[i] * mass[i]
    return total


def _distances(columns: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Squared distances float64 (n,) of points float64 (4, n) from one, float64 (4,)."""
    squares = (columns - point[:, None]) ** 2
    return squares[0] + squares[1] + squares[2] + 3 * squares[3]


def _lloyd(columns: np.ndarray, mass: np.ndarray, centroids: np.ndarray, pinned: bool, rounds: int) -> _Fit:
    """Rounds of K-Means until the error hardly falls; centroids in whole numbers."""
    last = np.inf
    while True:
        labels, first, second = assign_columns(columns, centroids)
        inertia = _error(first, mass)
        if rounds == 0 or inertia >= last * (1 - _TOLERANCE):
            return _Fit(centroids, labels, first, second, inertia)
        last, rounds = inertia, rounds - 1
        moved = _means(columns, mass, labels, centroids)
        if pinned:
            moved[0] = centroids[0]
        centroids = moved


def _grown(columns: np.ndarray, mass: np.ndarray, fit: _Fit, breath: int, random: np.random.Generator) -> np.ndarray:
    """Add a point of each of the ``breath`` clusters of the largest errors as a centroid."""
    errors = np.bincount(fit.labels, fit.first * mass, minlength=len(fit.centroids))
    added = []
    for worst in np.argsort(-errors, kind="stable")[:breath]:
        members = np.flatnonzero(fit.labels == worst)
        error = fit.first[members] * mass[members]
        if error.any():
            added.append(columns[:, members[_drawn(error, random, 1)[0]]])
    return np.vstack([fit.centroids, *added])


def _shrunk(mass: np.ndarray, fit: _Fit, k: int, pinned: bool) -> np.ndarray:
    """Remove centroids until k are left, first those whose points lie nearest to another, but no two neighbors."""
    centroids = fit.centroids
    surplus = len(centroids) - k
    removed: set[int] = set()
    frozen = {0} if pinned else set()
    utilities = np.bincount(fit.labels, (fit.second - fit.first) * mass, minlength=len(centroids))
    order = [int(c) for c in np.argsort(utilities, kind="stable")]
    for c in order:
        if len(removed) < surplus and c not in frozen:
            removed.add(c)
            apart = _distances(centroids.T, centroids[c])
            apart[list(removed)] = np.inf
            frozen.add(int(np.argmin(apart)))
    for c in order:
        if len(removed) < surplus and c not in removed and not (pinned and c == 0):
            removed.add(c)
    return np.ascontiguousarray(np.delete(centroids, list(removed), axis=0))


@njit(cache=True, nogil=True)
def _means(columns: np.ndarray, mass: np.ndarray, labels: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The clusters' means, rounded, float64 (k, 4); an empty cluster keeps its centroid."""
    # Sums of whole numbers below 2^53 are exact in any order.
    k = len(centroids)
    sums, counts = np.zeros((k, 4)), np.zeros(k)
    for i in range(columns.shape[1]):
        weight, label = mass[i], labels[i]
        counts[label] += weight
        for axis in range(4):
            sums[label, axis] += weight * columns[axis, i]
    moved = centroids.copy()
    for c in range(k):
        if counts[c] > 0:
            for axis in range(4):
                moved[c, axis] = np.floor(sums[c, axis] / counts[c] + 0.5)
    return moved
