"""The solver: from what is known of an image's colors, wherever they are, to a palette of a low error."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from colorquant.alpha_histogram import AlphaCells
from colorquant.alpha_quantizer import solve_alpha
from colorquant.annealing import anneal
from colorquant.assignment import assign, lloyd
from colorquant.cells import Cells
from colorquant.color_model import Remapping
from colorquant.direct_search import DirectSearch
from colorquant.dither import Dither
from colorquant.histogram import unpack_colors
from colorquant.kmeans import ClusterSums, update
from colorquant.oklab import grid_from_rgb, rgb_from_grid
from colorquant.perceptual import REFIT_ROUNDS, BandedColors, fit_palette
from colorquant.points import GRID, Points, points_at, points_of
from colorquant.rate_aware import RateModel, rate_model
from colorquant.search import search
from colorquant.settings import Settings

MAX_ROUNDS = 6
# Rounds with real-valued centroids that take the search on cells to the exact histogram.
EXACT_ROUNDS = 2
SWEEPS = 12
LLOYD_ROUNDS = 20
# The direct search's price for a rate of 1, in energies (see ``direct_search``) of a mean squared error of 1. A rate of
# 0.1 makes files 8 % smaller for 0.4 points of SSIMULACRA2 on photographs.
PRICE_OF_ERROR = 30_000


class ColorSource(BandedColors, Protocol):
    """What the solver needs of an image, which may be in this process or distributed."""

    def cells(self) -> Cells:
        """The finest cells within ``cells.CELL_LIMIT``; exact colors where these are few enough."""

    def partial_sums(self, centroids: np.ndarray) -> Any:
        """``partial_sums`` of the color model over the histogram of the whole image: ``ClusterSums``, ``AlphaSums``."""


@dataclass(frozen=True, eq=False)
class Solution:
    """A palette and its cost.

    Attributes
    ----------
    palette : uint8 (k', 3), or (k', 4) where pixels are transparent
        1 <= k' <= k, distinct, every entry the nearest of some pixel.
    counts : int64 (k',)
        Pixels that each entry is the nearest of.
    inertia : int
        Sum over pixels of the squared distance to the nearest entry; exact. The mean squared error is this
        divided by the number of pixels.
    iterations : int
        Rounds over the exact histogram.
    converged : bool
        Whether the last round changed nothing.
    """

    palette: np.ndarray
    counts: np.ndarray
    inertia: int
    iterations: int
    converged: bool

    def rate_model(self, rate: float, width: int) -> RateModel | None:
        """What `rate_aware` needs to know of an image ``width`` pixels wide; None where the rate does not count."""
        if rate == 0:
            return None
        return rate_model(self.counts, self.inertia / int(self.counts.sum()), rate, width)

    def remapping(self, settings: Settings, width: int, origin: tuple[int, int] = (0, 0)) -> Remapping:
        """How pixels of an image ``width`` pixels wide go to the palette's entries, or of its part from a place on.

        Parameters
        ----------
        origin : row and column of the first pixel
        """
        if settings.dither == "blue-noise":
            return Dither(*origin)
        if self.inertia > 0 and (eye := eye_of(settings)):
            price = settings.rate * self.inertia / int(self.counts.sum()) * PRICE_OF_ERROR
            return replace(eye, price=round(price))
        return self.rate_model(settings.rate, width)


def eye_of(settings: Settings) -> DirectSearch | None:
    """How pixels go to entries by the eye's model; None where the settings ask for something else."""
    if settings.dither == "direct-search" or settings.objective == "perceptual":
        return DirectSearch(blurred=settings.dither == "direct-search")
    return None


def palette_eye(settings: Settings) -> DirectSearch | None:
    """What ``solve`` takes for the objective of the settings."""
    return eye_of(settings) if settings.objective == "perceptual" else None


def solve(
    source: ColorSource,
    k: int,
    seed: int = 0,
    color_space: str = "rgb",
    pool: Executor | None = None,
    eye: DirectSearch | None = None,
) -> Solution:
    """Find a palette of at most ``k`` colors with a low inertia; deterministic to the byte.

    Parameters
    ----------
    source : ColorSource
    k : int
        1 to 256.
    seed : int
    color_space : {"rgb", "oklab"}
        Where the error is minimized: "rgb" for the least mean squared error, "oklab" for a smaller visible one. Images
        with alpha have a space of their own (``premultiplied``).
    pool : Executor, optional
        Threads for the search; the result does not depend on them.
    eye : DirectSearch, optional
        For the perceptual objective, whatever the color space: how pixels will go to entries. Without effect on
        images with alpha.
    """
    cells = source.cells()
    if isinstance(cells, AlphaCells):
        return Solution(*solve_alpha(cells, source.partial_sums, k, seed))
    if cells.exact and len(cells) <= k:
        return Solution(unpack_colors(cells.keys), cells.counts, 0, 0, True)
    if eye is not None:
        palette = fit_palette(source, int(cells.counts.sum()), k, seed, eye, pool)
        return _solution(palette, source.partial_sums(palette), REFIT_ROUNDS, False)
    if color_space == "oklab":
        return _solve_in_oklab(source, cells, k, seed, pool)
    points = points_of(cells)
    random = np.random.default_rng(seed)
    centroids = search(points, k, random, pool)
    if not cells.exact:
        for _ in range(EXACT_ROUNDS):
            real = update(source.partial_sums(centroids.T / GRID), centroids.T / GRID)
            centroids = np.floor(real.T * GRID + 0.5).astype(np.float32)
    palette = anneal(points, centroids, SWEEPS, random, pool)
    if cells.exact:
        # The points are the histogram: nothing to ask the source any more.
        return _descend(palette, partial(_sums_of_colors, points), 1)
    return _descend(palette, source.partial_sums, EXACT_ROUNDS + 1)


def _solve_in_oklab(source: ColorSource, cells: Cells, k: int, seed: int, pool: Executor | None) -> Solution:
    """Centroids in Oklab, as whole sRGB colors; pixels still go to the nearest entry in RGB."""
    points = points_at(grid_from_rgb(cells.means), cells.counts)
    centroids = lloyd(points, search(points, k, np.random.default_rng(seed), pool), LLOYD_ROUNDS, 1e-4, pool=pool)
    palette = np.unique(_rounded(rgb_from_grid(centroids.T)), axis=0)
    sums = _sums_of_colors(points_of(cells), palette) if cells.exact else source.partial_sums(palette)
    # The rounds were those in Oklab: whether the error in RGB could fall further is not asked.
    return _solution(palette, sums, 1, False)


def _sums_of_colors(colors: Points, palette: np.ndarray) -> ClusterSums:
    """``kmeans.partial_sums`` of points that are whole colors, several times faster."""
    found = assign(colors, GRID * np.ascontiguousarray(palette.T, np.float32))
    return ClusterSums(found.sums[:, :3] // GRID, found.sums[:, 3], colors.squares // GRID**2)


def _solution(palette: np.ndarray, sums: ClusterSums, iterations: int, converged: bool) -> Solution:
    used = sums.counts > 0
    return Solution(palette[used], sums.counts[used], sums.inertia(palette), iterations, converged)


def _descend(palette: np.ndarray, sums_of: Callable[[np.ndarray], ClusterSums], iterations: int) -> Solution:
    """K-Means in whole colors until the inertia does not fall or the rounds are used up."""
    sums = sums_of(palette)
    inertia, converged = sums.inertia(palette), False
    while not converged and iterations < MAX_ROUNDS:
        moved = _rounded(update(sums, palette))
        if np.array_equal(moved, palette):
            converged = True
            break
        moved_sums = sums_of(moved)
        iterations += 1
        moved_inertia = moved_sums.inertia(moved)
        converged = moved_inertia >= inertia
        if not converged:
            palette, sums, inertia = moved, moved_sums, moved_inertia
    return _solution(palette, sums, iterations, converged)


def _rounded(centroids: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(centroids + 0.5), 0, 255).astype(np.uint8)
