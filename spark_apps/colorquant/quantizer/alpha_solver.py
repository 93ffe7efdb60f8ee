"""The solver of images with alpha: the steps of ``solver``, in the four dimensions of ``alpha.premultiplied``."""

from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from colorquant.alpha import coordinates, nearest_colors, pack, partial_sums, rounded_means, search_centroids, unpack
from colorquant.colors import ColorHistogram
from colorquant.kmeans import MergeableSums
from colorquant.perception import fit_alpha_palette
from colorquant.quantizer.descent import EXACT_ROUNDS, descend
from colorquant.quantizer.solution import Solution, eye_of, rounds_of
from colorquant.settings import Settings

if TYPE_CHECKING:
    from colorquant.quantizer.solver import ColorSource


def solve_rgba(source: "ColorSource", k: int, settings: Settings, pool: Executor | None) -> Solution:
    """Find a palette of at most ``k`` colors with alpha; parameters as of ``solver.solve``.

    Where the image has fully transparent pixels, full transparency is one of the colors. Neither the color space
    nor the pool has an effect.
    """
    cells = source.cells()
    if cells.exact and len(cells) <= k:
        return Solution(unpack(cells.keys), cells.counts, 0, 0, True)
    if settings.objective == "perceptual":
        rounds = rounds_of(settings)
        palette = fit_alpha_palette(source, k, settings.seed, eye_of(settings), rounds)
        sums = source.partial_sums(coordinates(pack(palette)))
        inertia = sums.inertia(coordinates(pack(palette)))
        return Solution(palette, sums.counts, round(inertia), rounds, False)
    pinned = bool(k > 1 and cells.keys[0] == 0)
    counts = cells.counts[:, None]
    centroids = search_centroids((2 * cells.sums + counts) // (2 * counts), cells.counts, k, settings.seed, pinned)

    def moved(sums: MergeableSums, centroids: np.ndarray) -> np.ndarray:
        means = rounded_means(sums, centroids)
        if pinned:
            means[0] = 0
        return means

    def moved_to_colors(sums: MergeableSums, centroids: np.ndarray) -> np.ndarray:
        return _at_colors(moved(sums, centroids))

    if cells.exact:
        # The cells are the histogram: the source has nothing to add.
        sums_of = partial(partial_sums, ColorHistogram(cells.keys, cells.counts))
        return descend(_at_colors(centroids), sums_of, moved_to_colors, nearest_colors, 1)
    for _ in range(EXACT_ROUNDS):
        centroids = moved(source.partial_sums(centroids), centroids)
    return descend(_at_colors(centroids), source.partial_sums, moved_to_colors, nearest_colors, EXACT_ROUNDS + 1)


def _at_colors(centroids: np.ndarray) -> np.ndarray:
    """Coordinates int64 (k, 4) of the 8-bit colors nearest to centroids (k, 4)."""
    return coordinates(pack(nearest_colors(centroids)))
