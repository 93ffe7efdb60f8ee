"""The quantizer: from pixels, wherever they are, to a palette and an index map."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from colorquant.alpha_histogram import AlphaCells
from colorquant.alpha_kmeans import AlphaSums
from colorquant.alpha_quantizer import solve_alpha
from colorquant.annealing import anneal
from colorquant.assignment import lloyd
from colorquant.cells import Cells
from colorquant.color_model import RGBA, Remapping, color_model
from colorquant.dither import MASK_SIDE, Dither
from colorquant.histogram import ColorHistogram, unpack_colors
from colorquant.kmeans import ClusterSums, nearest, partial_sums, update
from colorquant.oklab import grid_from_rgb, rgb_from_grid
from colorquant.points import GRID, points_at, points_of
from colorquant.rate_aware import RateModel, bands_of, rate_model, remap_band
from colorquant.remap import index_table, look_up
from colorquant.search import search
from colorquant.settings import Settings

MAX_COLORS = 256
MAX_ROUNDS = 6
# Rounds with real-valued centroids that take the search on cells to the exact histogram.
EXACT_ROUNDS = 2
# The more entries, the longer a sweep.
MOST_SWEEPS = 16
SWEEPS_TIMES_COLORS = 12 * 256
LLOYD_ROUNDS = 20
THREADS = 2
BANDS = 4
PARALLEL_PIXELS = 1 << 20
# Dithered and with alpha, a pixel takes up to 20 bytes while it is remapped.
REMAP_PIXELS = 1 << 21


class ColorSource(Protocol):
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

    def remapping(self, settings: Settings, width: int) -> Remapping:
        """How pixels of an image ``width`` pixels wide go to the palette's entries."""
        return self.rate_model(settings.rate, width) if settings.dither == "none" else Dither()


@dataclass(frozen=True, eq=False)
class QuantizedImage:
    """An indexed image: the palette and what is known of it as in ``Solution``, and the index map uint8 (H, W).

    ``inertia`` is that of the nearest entries, also where a rate-aware remap took others.
    """

    palette: np.ndarray
    indexes: np.ndarray
    inertia: int
    iterations: int
    converged: bool
    unique_colors: int


class PixelSource:
    """A ``ColorSource`` over pixels in this process.

    Parameters
    ----------
    pixels : uint8 (H, W, 3), or (H, W, 4) with alpha
    pool : Executor, optional
        Threads that large images are split over; the result does not depend on them.
    """

    def __init__(self, pixels: np.ndarray, pool: Executor | None = None) -> None:
        _check_pixels(pixels)  # The compiled kernels trust their input: a wrong shape would read beyond it.
        self.pixels = pixels
        self._model = color_model(pixels)
        self._map = map if pool is None or pixels.size < PARALLEL_PIXELS * 3 else pool.map
        self._bands = np.array_split(pixels, BANDS if self._map is not map else 1)

    @cached_property
    def histogram(self) -> ColorHistogram:
        """The histogram of the whole image."""
        return self._model.merge_histograms(list(self._map(self._model.count_colors, self._bands)))

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""
        return len(self.histogram)

    @cached_property
    def _cells(self) -> Cells:
        cells: Cells = self._model.coarse_cells(self.histogram)
        return cells

    def cells(self) -> Cells:
        """The finest cells within the limit, made once for all k."""
        return self._cells

    def partial_sums(self, centroids: np.ndarray) -> ClusterSums | AlphaSums:
        """Assign the whole histogram and sum."""
        sums: ClusterSums | AlphaSums = self._model.partial_sums(self.histogram, centroids)
        return sums

    def remap(self, palette: np.ndarray, remapping: Remapping = None) -> np.ndarray:
        """Index map uint8 (H, W): the nearest entries, those that a rate model prefers, or dithered."""
        if self._model is RGBA or isinstance(remapping, Dither):
            rows = max(1, REMAP_PIXELS // (self.pixels.shape[1] * MASK_SIDE)) * MASK_SIDE
            parts = [self.pixels[top : top + rows] for top in range(0, len(self.pixels), rows)]
            return np.concatenate([self._model.remap(part, palette, remapping) for part in parts])
        colors = self.histogram.colors
        table = index_table(colors, nearest(colors, palette))
        indexes = np.concatenate(list(self._map(partial(look_up, table=table), self._bands)))
        if remapping is None:
            return indexes
        choose = partial(remap_band, palette=palette, model=remapping)
        return np.concatenate(list(self._map(choose, bands_of(self.pixels), bands_of(indexes))))

    def describe(self) -> dict[str, Any]:
        """What a result record says of Spark: there is none."""
        return {}


def solve(
    source: ColorSource,
    k: int,
    seed: int = 0,
    color_space: str = "rgb",
    pool: Executor | None = None,
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
    """
    cells = source.cells()
    if isinstance(cells, AlphaCells):
        return Solution(*solve_alpha(cells, source.partial_sums, k, seed))
    if cells.exact and len(cells) <= k:
        return Solution(unpack_colors(cells.keys), cells.counts, 0, 0, True)
    if color_space == "oklab":
        return _solve_in_oklab(source, cells, k, seed, pool)
    points = points_of(cells)
    random = np.random.default_rng(seed)
    centroids = search(points, k, random, pool)
    if not cells.exact:
        for _ in range(EXACT_ROUNDS):
            real = update(source.partial_sums(centroids.T / GRID), centroids.T / GRID)
            centroids = np.floor(real.T * GRID + 0.5).astype(np.float32)
    palette = anneal(points, centroids, min(MOST_SWEEPS, SWEEPS_TIMES_COLORS // k), random, pool)
    return _descend(palette, _sums_of(source, cells), 1 if cells.exact else EXACT_ROUNDS + 1)


def _solve_in_oklab(source: ColorSource, cells: Cells, k: int, seed: int, pool: Executor | None) -> Solution:
    """Centroids in Oklab, as whole sRGB colors; pixels still go to the nearest entry in RGB."""
    points = points_at(grid_from_rgb(cells.means), cells.counts)
    centroids = lloyd(points, search(points, k, np.random.default_rng(seed), pool), LLOYD_ROUNDS, 1e-4, pool=pool)
    palette = np.unique(_rounded(rgb_from_grid(centroids.T)), axis=0)
    # The rounds were those in Oklab: whether the error in RGB could fall further is not asked.
    return _solution(palette, _sums_of(source, cells)(palette), 1, False)


def _sums_of(source: ColorSource, cells: Cells) -> Callable[[np.ndarray], ClusterSums]:
    """``partial_sums`` of the whole image; where the cells are its histogram, without asking the source."""
    return partial(partial_sums, ColorHistogram(cells.keys, cells.counts)) if cells.exact else source.partial_sums


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


def quantize(
    pixels: np.ndarray,
    k: int,
    seed: int = 0,
    color_space: str = "rgb",
    rate: float = 0.0,
    dither: str = "none",
) -> QuantizedImage:
    """Reduce an image to a palette of at most ``k`` colors.

    Parameters
    ----------
    pixels : uint8 (H, W, 3), or RGBA (H, W, 4), whose palette is then RGBA too
    k : int
        Palette size, 1 to 256. An image with at most ``k`` distinct colors is kept exactly.
    seed : int
        The same arguments give the same bytes.
    color_space : {"rgb", "oklab"}
        Where the error is minimized: "rgb" for the least mean squared error, "oklab" for a smaller visible one.
    rate : float
        What a bit of the file may cost in error, from 0 to 100: above 0, neighbors share an entry where it is nearly
        as near (see `rate_aware`). 0.1 is a good value.
    dither : {"none", "blue-noise"}
        Whether to mix neighboring pixels by ordered dithering (see `dither`); the rate has no effect then.

    Raises
    ------
    ValueError
        If the pixels are not a non-empty uint8 (H, W, 3) or (H, W, 4) array, or another argument is out of range.
    """
    _check_k(k)
    settings = Settings(color_space=color_space, rate=rate, dither=dither)
    with ThreadPoolExecutor(THREADS) as pool:
        source = PixelSource(pixels, pool)
        solution = solve(source, k, seed, color_space, pool=pool)
        indexes = source.remap(solution.palette, solution.remapping(settings, pixels.shape[1]))
    return QuantizedImage(
        solution.palette,
        indexes,
        solution.inertia,
        solution.iterations,
        solution.converged,
        source.unique_colors,
    )


def _check_pixels(pixels: np.ndarray) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be a uint8 array, not {getattr(pixels, 'dtype', type(pixels).__name__)}")
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"pixels must have the shape (height, width, 3) or (height, width, 4), not {pixels.shape}")
    if pixels.size == 0:
        raise ValueError(f"pixels must not be empty, but have the shape {pixels.shape}")


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MAX_COLORS:
        raise ValueError(f"k must be an integer from 1 to {MAX_COLORS}, not {k!r}")


def _rounded(centroids: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(centroids + 0.5), 0, 255).astype(np.uint8)
