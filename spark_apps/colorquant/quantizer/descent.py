"""The last rounds of K-Means of every solution: over the exact histogram, with centroids that are 8-bit colors."""

from collections.abc import Callable

import numpy as np

from colorquant.kmeans import MergeableSums
from colorquant.pixels import Pixels
from colorquant.quantizer.solution import Solution

#: The largest number of rounds over the exact histogram, those before the descent included.
MAX_ROUNDS = 6
#: Rounds with real-valued centroids, which adapt the result of a search on coarse cells to the exact histogram.
EXACT_ROUNDS = 2


def descend(
    centroids: np.ndarray,
    sums_of: Callable[[np.ndarray], MergeableSums],
    moved: Callable[[MergeableSums, np.ndarray], np.ndarray],
    as_palette: Callable[[np.ndarray], Pixels],
    iterations: int,
) -> Solution:
    """K-Means until the inertia does not fall or the rounds are used up.

    Parameters
    ----------
    centroids : (k, d)
        Coordinates of 8-bit colors.
    sums_of : the ``partial_sums`` of centroids over the histogram of the whole image.
    moved : the centroids of the next round, coordinates of 8-bit colors again.
    as_palette : the colors uint8 (k, 3 or 4) at centroids.
    iterations : int
        Rounds so far, the first one of this function included.
    """
    sums = sums_of(centroids)
    inertia, converged = sums.inertia(centroids), False
    while not converged and iterations < MAX_ROUNDS:
        after = moved(sums, centroids)
        if np.array_equal(after, centroids):
            converged = True
            break
        after_sums = sums_of(after)
        iterations += 1
        after_inertia = after_sums.inertia(after)
        converged = after_inertia >= inertia
        if not converged:
            centroids, sums, inertia = after, after_sums, after_inertia
    return Solution.of(as_palette(centroids), sums, inertia, iterations, converged)
