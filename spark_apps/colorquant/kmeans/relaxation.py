"""Stochastic relaxation: rounds of Lloyd with noise that fades, which escape from poor local optima.

Zeger, Vaisey & Gersho (1992), "Globally optimal vector quantizer design by stochastic relaxation". A round costs no
more than one of Lloyd, and moves all centroids at once. Every step goes beyond the mean of its cluster
(over-relaxation), because the cluster's boundary follows and its mean moves on.
"""

from concurrent.futures import Executor

import numpy as np

from colorquant.kmeans.assignment import assign, moved
from colorquant.kmeans.points import GRID, Points

OVERSHOOT = 0.5


def relax(
    points: Points,
    centroids: np.ndarray,
    rounds: int,
    temperature: float,
    random: np.random.Generator,
    pool: Executor | None = None,
) -> np.ndarray:
    """Centroids near another local minimum of the inertia, mostly a lower one.

    Parameters
    ----------
    points : Points
    centroids : float32 (3, k)
        Grid units.
    rounds : int
    temperature : float
        Energy of a centroid's noise in the first round, as part of the mean inertia of a cluster. At 0.07 centroids
        move by about a fifth of their cluster's radius; at 1 they end far from where they began.
    random : Generator
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    float32 (3, k)
    """
    energy = None
    for turn in range(rounds):
        assignment = assign(points, centroids, pool=pool)
        if energy is None:
            energy = temperature * assignment.inertia / centroids.shape[1]
        # Only operations that are rounded the same everywhere: no powers, no exponentials.
        heat = energy * ((rounds - turn) / rounds) ** 2
        noise = np.sqrt(heat / (2 * np.maximum(assignment.sums[:, 3], 1)))
        means = moved(assignment.sums, centroids)
        steps = OVERSHOOT * (means - centroids) + noise * random.standard_normal(centroids.shape)
        centroids = np.clip(np.floor(means + steps + 0.5), 0, 255 * GRID).astype(np.float32)
    return centroids
