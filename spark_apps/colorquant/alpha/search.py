"""The centroid search for images with alpha: k-means++ seeds, then breathing k-means (Fritzke 2020, arXiv 2006.15666).

A breath adds centroids where the error is greatest and removes those that matter least; when a breath no longer helps,
the next one is smaller. Where the image has fully transparent pixels, one centroid stays at full transparency, so that
empty areas do not get a tint.
"""

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
    centroids, least = _lloyd(columns, mass, _seeds(columns, mass, k, random, pinned), pinned, _ROUNDS)
    breath = max(_MIN_BREATH, int(k * _BREATH_PART))
    while breath >= _MIN_BREATH and k > 1 + pinned:
        larger, _ = _lloyd(columns, mass, _grown(columns, mass, centroids, breath, random), pinned, _ROUNDS)
        smaller, inertia = _lloyd(columns, mass, _shrunk(columns, mass, larger, k, pinned), pinned, _ROUNDS)
        if inertia < least * (1 - _TOLERANCE):
            centroids, least = smaller, inertia
        else:
            breath //= 2
    centroids, _ = _lloyd(columns, mass, centroids, pinned, _LAST_ROUNDS)
    return centroids.astype(np.int64)


def _seeds(columns: np.ndarray, mass: np.ndarray, k: int, random: np.random.Generator, pinned: bool) -> np.ndarray:
    """Greedy k-means++ (Arthur & Vassilvitskii 2007): of some candidates the one that lowers the error most."""
    first = 0 if pinned else int(_drawn(mass, random, 1)[0])
    chosen = [first]
    distances = _distances(columns, columns[:, first])
    for _ in range(k - 1):
        error = distances * mass
        if not error.any():
            break
        candidates = _drawn(error, random, 2 + int(np.log(k)))
        trials = [np.minimum(distances, _distances(columns, columns[:, c])) for c in candidates]
        best = int(np.argmin([_total(trial * mass) for trial in trials]))
        chosen.append(int(candidates[best]))
        distances = trials[best]
    return np.ascontiguousarray(columns[:, chosen].T) * ([[0]] + [[1]] * (len(chosen) - 1) if pinned else 1.0)


def _drawn(chances: np.ndarray, random: np.random.Generator, size: int) -> np.ndarray:
    """Indexes int64 (size,), drawn with probabilities proportional to chances (n,)."""
    sums = np.cumsum(chances)
    return np.minimum(np.searchsorted(sums, random.random(size) * sums[-1]), len(chances) - 1)


def _total(values: np.ndarray) -> float:
    """The sum in order: the rounding of numpy's own sum, and of a dot product, depends on the processor."""
    return float(np.cumsum(values)[-1])


def _distances(columns: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Squared distances float64 (n,) of points float64 (4, n) from one, float64 (4,)."""
    squares = (columns - point[:, None]) ** 2
    return squares[0] + squares[1] + squares[2] + 3 * squares[3]


def _lloyd(
    columns: np.ndarray, mass: np.ndarray, centroids: np.ndarray, pinned: bool, rounds: int
) -> tuple[np.ndarray, float]:
    """Rounds of K-Means until the error hardly falls; centroids in whole numbers, and their error."""
    last = np.inf
    for _ in range(rounds):
        labels, distances, _ = assign_columns(columns, centroids)
        inertia = _total(distances * mass)
        if inertia >= last * (1 - _TOLERANCE):
            break
        last = inertia
        moved = _means(columns, mass, labels, centroids)
        if pinned:
            moved[0] = centroids[0]
        centroids = moved
    _, distances, _ = assign_columns(columns, centroids)
    return centroids, _total(distances * mass)


def _grown(
    columns: np.ndarray, mass: np.ndarray, centroids: np.ndarray, breath: int, random: np.random.Generator
) -> np.ndarray:
    """Add a point of each of the ``breath`` clusters of the largest errors as a centroid."""
    labels, distances, _ = assign_columns(columns, centroids)
    errors = np.bincount(labels, distances * mass, minlength=len(centroids))
    added = []
    for worst in np.argsort(-errors, kind="stable")[:breath]:
        members = np.flatnonzero(labels == worst)
        error = distances[members] * mass[members]
        if error.any():
            added.append(columns[:, members[_drawn(error, random, 1)[0]]])
    return np.vstack([centroids, *added])


def _shrunk(columns: np.ndarray, mass: np.ndarray, centroids: np.ndarray, k: int, pinned: bool) -> np.ndarray:
    """Remove centroids until k are left, first those whose points lie nearest to another, but no two neighbors."""
    surplus = len(centroids) - k
    removed: set[int] = set()
    frozen = {0} if pinned else set()
    labels, first, second = assign_columns(columns, centroids)
    utilities = np.bincount(labels, (second - first) * mass, minlength=len(centroids))
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
