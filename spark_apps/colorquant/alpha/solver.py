"""The quantizer of images with alpha: the same steps as ``quantizer``, in four dimensions."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from colorquant.alpha.histogram import AlphaCells
from colorquant.alpha.kmeans import AlphaSums, partial_sums
from colorquant.alpha.premultiplied import coordinates, nearest_colors, pack, unpack
from colorquant.alpha.search import search
from colorquant.colors import ColorHistogram

EXACT_ROUNDS = 2
MAX_ROUNDS = 6


class AlphaSolution(NamedTuple):
    """A palette uint8 (k', 4) and its cost: the fields of ``solver.Solution``.

    The inertia is the sum over pixels of the squared distance of ``premultiplied``, rounded.
    """

    palette: np.ndarray
    counts: np.ndarray
    inertia: int
    iterations: int
    converged: bool


def solve_alpha(cells: AlphaCells, sums_of: Callable[[np.ndarray], AlphaSums], k: int, seed: int) -> AlphaSolution:
    """Find a palette of at most ``k`` colors with alpha that has a low inertia.

    Where the image has fully transparent pixels, full transparency is one of the colors.

    Parameters
    ----------
    cells : AlphaCells
        Of the whole image.
    sums_of : ``alpha_kmeans.partial_sums`` over the histogram of the whole image.
    """
    if cells.exact and len(cells) <= k:
        return AlphaSolution(unpack(cells.keys), cells.counts, 0, 0, True)
    pinned = k > 1 and cells.keys[0] == 0
    counts = cells.counts[:, None]
    centroids = search((2 * cells.sums + counts) // (2 * counts), cells.counts, k, seed, pinned)
    if cells.exact:
        # The cells are the histogram: nothing to ask the source any more.
        sums_of = partial(partial_sums, ColorHistogram(cells.keys, cells.counts))
        return _descend(nearest_colors(centroids), sums_of, pinned, 1)
    for _ in range(EXACT_ROUNDS):
        centroids = _moved(sums_of(centroids), centroids, pinned)
    return _descend(nearest_colors(centroids), sums_of, pinned, EXACT_ROUNDS + 1)


def _descend(
    palette: np.ndarray, sums_of: Callable[[np.ndarray], AlphaSums], pinned: bool, iterations: int
) -> AlphaSolution:
    """K-Means in 8-bit colors until the inertia does not fall or the rounds are used up."""
    centroids = coordinates(pack(palette))
    sums = sums_of(centroids)
    inertia, converged = sums.inertia(centroids), False
    while not converged and iterations < MAX_ROUNDS:
        moved_palette = nearest_colors(_moved(sums, centroids, pinned))
        moved = coordinates(pack(moved_palette))
        moved_sums = sums_of(moved)
        iterations += 1
        moved_inertia = moved_sums.inertia(moved)
        converged = moved_inertia >= inertia
        if not converged:
            palette, centroids, sums, inertia = moved_palette, moved, moved_sums, moved_inertia
    filled = sums.counts > 0
    return AlphaSolution(palette[filled], sums.counts[filled], round(inertia), iterations, converged)


def _moved(sums: AlphaSums, centroids: np.ndarray, pinned: bool) -> np.ndarray:
    means = sums.means(centroids)
    if pinned:
        means[0] = 0
    return means
