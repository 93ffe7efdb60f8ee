"""The global search: centroids for a bounded number of cells."""

import numpy as np

from colorquant.cells import Cells


def search(cells: Cells, k: int, seed: int = 0) -> np.ndarray:
    """Centroids float64 (k, 3) with a low inertia over the cells; the same for the same seed."""
    points, weights = cells.means, cells.counts.astype(np.float64)
    k = min(k, len(points))
    rng = np.random.default_rng(seed)
    centroids = [points[rng.choice(len(points), p=weights / weights.sum())]]
    nearest = ((points - centroids[0]) ** 2).sum(axis=1)
    while len(centroids) < k:
        gain = np.cumsum(nearest * weights)
        centroids.append(points[min(np.searchsorted(gain, rng.random() * gain[-1], "right"), len(points) - 1)])
        nearest = np.minimum(nearest, ((points - centroids[-1]) ** 2).sum(axis=1))
    return np.array(centroids)
