"""The solver: from the colors of an image, wherever they are counted, to a palette with a low error."""

from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from colorquant.colors import Cells, unpack_colors
from colorquant.kmeans import (
    GRID,
    ClusterSums,
    MergeableSums,
    Points,
    anneal,
    assign,
    grid_from_rgb,
    lloyd,
    points_at,
    points_of,
    rgb_from_grid,
    search_centroids,
    update,
    weights_of,
)
from colorquant.perception import BandedColors, fit_palette, keep_colors
from colorquant.pixels import Pixels
from colorquant.quantizer.descent import EXACT_ROUNDS, MAX_ROUNDS, descend
from colorquant.quantizer.solution import Solution, eye_of, kept_colors, rounds_of
from colorquant.settings import Settings

if TYPE_CHECKING:
    from colorquant.quantizer.color_models import ColorModel

# Of annealing.
SWEEPS = 12
# The largest number of rounds in Oklab.
LLOYD_ROUNDS = 20


DEFAULTS = Settings()


class ColorSource(BandedColors, Protocol):
    """The colors of an image as the solver uses them; the image may be in this process or distributed.

    Each method does for the histogram of the whole image what the color model's function of that name does.
    """

    @property
    def model(self) -> "ColorModel":
        """The color model of the image."""

    def cells(self) -> Cells:
        """The finest cells within the model's limit; exact colors where these are few enough."""

    def without(self, colors: np.ndarray) -> "ColorSource":
        """The same colors without some, packed uint32 (m,)."""

    def partial_sums(self, centroids: np.ndarray) -> MergeableSums:
        """One round of K-Means: sums over the clusters of centroids (k, d)."""


def solve(source: ColorSource, k: int, settings: Settings = DEFAULTS, pool: Executor | None = None) -> Solution:
    """Find a palette of at most ``k`` colors with a low error; deterministic to the byte.

    Parameters
    ----------
    source : ColorSource
    k : int
        1 to 256.
    settings : Settings
        Of which ``seed``, ``objective``, ``color_space`` and ``keep`` count, and with the perceptual objective
        ``dither``. Images with alpha have a color space of their own (``alpha.premultiplied``).
    pool : Executor, optional
        Threads; the result does not depend on them.

    Returns
    -------
    Solution
        Colors that are to be kept come first.

    Raises
    ------
    InvalidSetting
        More colors are to be kept than k.
    """
    kept = kept_colors(settings, source.model.channels)
    if not len(kept):
        return source.model.solve(source, k, settings, pool)
    settings.check_k(k)
    return _solve_around(source, k, kept, settings, pool)


def _solve_around(source: ColorSource, k: int, kept: Pixels, settings: Settings, pool: Executor | None) -> Solution:
    """``solve`` with colors uint8 (m, 3 or 4) that stay: a palette of k - m for the other colors, then both together.

    So the error of the others is at most that of their own palette of k - m: an entry more raises no error.
    """
    model, palette = source.model, kept
    rest = source.without(model.pack(kept))
    if len(kept) < k and len(rest.cells()):
        found = model.solve(rest, k - len(kept), settings, pool).palette
        palette = np.vstack([kept, found[~np.isin(model.pack(found), model.pack(kept))]])
    stays = np.arange(len(palette)) < len(kept)
    centroids = model.positions(palette)

    def moved(sums: MergeableSums, before: np.ndarray) -> np.ndarray:
        after = np.where(stays[:, None], palette, model.colors_at(update(sums, before)))
        return model.positions(after)

    # What is found in another color space, or by the model of the eye, stays as it is.
    in_rgb = settings.objective == "squared-error" and settings.color_space == "rgb"
    solution = descend(centroids, source.partial_sums, moved, model.colors_at, 1 if in_rgb else MAX_ROUNDS)
    unused = kept[~np.isin(model.pack(kept), model.pack(solution.palette))]
    counts = np.concatenate([np.zeros(len(unused), np.int64), solution.counts])
    return replace(solution, palette=np.vstack([unused, solution.palette]), counts=counts)


def impose(source: ColorSource, palette: Pixels) -> tuple[Solution, Pixels]:
    """What a given palette costs an image.

    Parameters
    ----------
    source : ColorSource
    palette : uint8 (k, 3 or 4)

    Returns
    -------
    solution : Solution
        Of the entries that the image can use, in their order, whether a pixel has them or not: all, or of an image
        without alpha those that are opaque; there may be none.
    entries : uint8 (k',)
        Which entries these are.
    """
    channels = source.model.channels
    entries = np.arange(len(palette), dtype=np.uint8)
    if palette.shape[1] == 4 and channels == 3:
        entries = entries[palette[:, 3] == 255]
    elif palette.shape[1] == 3 and channels == 4:
        palette = np.column_stack([palette, np.full(len(palette), 255, np.uint8)])
    usable = np.ascontiguousarray(palette[entries, :channels])
    if not len(usable):
        return Solution(usable, np.zeros(0, np.int64), 0, 0, True), entries
    positions = source.model.positions(usable)
    sums = source.partial_sums(positions)
    return Solution(usable, sums.counts, round(sums.inertia(positions)), 0, True), entries


def solve_rgb(source: ColorSource, k: int, settings: Settings, pool: Executor | None) -> Solution:
    """``solve`` for images without alpha."""
    cells = source.cells()
    if cells.exact and len(cells) <= k:
        return Solution(unpack_colors(cells.keys), cells.counts, 0, 0, True)
    if settings.objective == "perceptual":
        rounds, pixels = rounds_of(settings), int(cells.counts.sum())
        palette = fit_palette(source, pixels, k, settings.seed, eye_of(settings), rounds, pool)
        sums = source.partial_sums(palette)
        return Solution(palette, sums.counts, round(sums.inertia(palette)), rounds, False)
    if settings.color_space == "oklab":
        return _solve_in_oklab(source, cells, k, settings.seed, pool)
    points = points_of(cells)
    random = np.random.default_rng(settings.seed)
    centroids = search_centroids(points, k, random, pool)
    if not cells.exact:
        for _ in range(EXACT_ROUNDS):
            real = update(source.partial_sums(centroids.T / GRID), centroids.T / GRID)
            centroids = np.floor(real.T * GRID + 0.5).astype(np.float32)
    palette = anneal(points, centroids, SWEEPS, random, pool)
    # Exact cells are the histogram: the source has nothing to add, unless their weights were too large for points.
    is_whole = cells.exact and points.weight == int(cells.counts.sum())
    sums_of = partial(_sums_of_colors, points) if is_whole else source.partial_sums
    solution = descend(palette, sums_of, _moved, _identity, 1 if cells.exact else EXACT_ROUNDS + 1)
    kept = keep_colors(solution.palette, solution.counts, source.flat_colors(), cells)
    if np.array_equal(kept.palette, solution.palette):
        return solution
    return descend(kept.palette, sums_of, lambda sums, before: kept.restored(_moved(sums, before)), _identity, 1)


def _solve_in_oklab(source: ColorSource, cells: Cells, k: int, seed: int, pool: Executor | None) -> Solution:
    """Centroids in Oklab, rounded to 8-bit sRGB colors; pixels are still assigned to the nearest entry in RGB."""
    points = points_at(grid_from_rgb(cells.means), weights_of(cells))
    start = search_centroids(points, k, np.random.default_rng(seed), pool)
    centroids = lloyd(points, start, LLOYD_ROUNDS, 1e-4, pool=pool)
    palette = np.unique(_rounded(rgb_from_grid(centroids.T)), axis=0)
    is_whole = cells.exact and points.weight == int(cells.counts.sum())
    sums_of = partial(_sums_of_colors, points_of(cells)) if is_whole else source.partial_sums
    sums = sums_of(palette)
    found = Solution.of(palette, sums, sums.inertia(palette), 1, False)
    palette = keep_colors(found.palette, found.counts, source.flat_colors(), cells).palette
    sums = sums_of(palette)
    # The rounds were those in Oklab; whether more in RGB would lower the error there does not matter.
    return Solution.of(palette, sums, sums.inertia(palette), 1, False)


def _sums_of_colors(colors: Points, palette: Pixels) -> ClusterSums:
    """``kmeans.partial_sums`` of points that are 8-bit colors, several times faster."""
    found = assign(colors, GRID * np.ascontiguousarray(palette.T, np.float32))
    return ClusterSums(found.sums[:, :3] // GRID, found.sums[:, 3], colors.squares // GRID**2)


def _moved(sums: MergeableSums, palette: Pixels) -> Pixels:
    return _rounded(update(sums, palette))


def _rounded(centroids: np.ndarray) -> Pixels:
    return np.clip(np.floor(centroids + 0.5), 0, 255).astype(np.uint8)


def _identity(palette: Pixels) -> Pixels:
    return palette
