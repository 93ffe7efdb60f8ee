"""The solver of images with alpha: the steps of ``solver``, in the four dimensions of ``alpha.premultiplied``."""

from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from colorquant.alpha import coordinates, nearest_colors, pack, partial_sums, rounded_means, search_centroids, unpack
from colorquant.colors import ColorHistogram
from colorquant.kmeans import MergeableSums
from colorquant.perception import fit_alpha_palette, keep_colors
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
        pixels = int(cells.counts.sum())
        palette = fit_alpha_palette(source, pixels, k, settings.seed, eye_of(settings), rounds)
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

    # Exact cells are the histogram: the source has nothing to add.
    sums_of = partial(partial_sums, ColorHistogram(cells.keys, cells.counts)) if cells.exact else source.partial_sums
    for _ in range(0 if cells.exact else EXACT_ROUNDS):
        centroids = moved(sums_of(centroids), centroids)
    rounds = 1 if cells.exact else EXACT_ROUNDS + 1
    solution = descend(_at_colors(centroids), sums_of, moved_to_colors, nearest_colors, rounds)
    kept = keep_colors(solution.palette, solution.counts, source.flat_colors(), cells)
    if np.array_equal(kept.palette, solution.palette):
        return solution

    def moved_but_kept(sums: MergeableSums, centroids: np.ndarray) -> np.ndarray:
        return coordinates(pack(kept.restored(nearest_colors(moved(sums, centroids)))))

    return descend(coordinates(pack(kept.palette)), sums_of, moved_but_kept, nearest_colors, 1)


def _at_colors(centroids: np.ndarray) -> np.ndarray:
    """Coordinates int64 (k, 4) of the 8-bit colors nearest to centroids (k, 4)."""
    return coordinates(pack(nearest_colors(centroids)))
