"""The quantizer: from pixels, wherever they are, to a palette and an index map."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from colorquant.assignment import lloyd
from colorquant.cells import Cells, coarse_cells
from colorquant.histogram import ColorHistogram, count_colors, merge_histograms, unpack_colors
from colorquant.kmeans import ClusterSums, nearest, partial_sums, update
from colorquant.oklab import grid_from_rgb, rgb_from_grid
from colorquant.points import GRID, points_at, points_of
from colorquant.polish import polish
from colorquant.remap import index_table, look_up
from colorquant.search import search

MAX_COLORS = 256
MAX_ROUNDS = 6
COLOR_SPACES = ("rgb", "oklab")
# Rounds with real-valued centroids that take the search on cells to the exact histogram.
EXACT_ROUNDS = 2
LLOYD_ROUNDS = 20
THREADS = 2
BANDS = 4
PARALLEL_PIXELS = 1 << 20


class ColorSource(Protocol):
    """What the solver needs of an image, which may be in this process or distributed."""

    def cells(self) -> Cells:
        """The finest cells within ``cells.CELL_LIMIT``; exact colors where these are few enough."""

    def partial_sums(self, centroids: np.ndarray) -> ClusterSums:
        """``kmeans.partial_sums`` over the histogram of the whole image."""


@dataclass(frozen=True)
class Settings:
    """How to solve.

    Attributes
    ----------
    rounds : int
        Most rounds of K-Means over the exact histogram.
    color_space : {"rgb", "oklab"}
        Where the error is minimized: "rgb" for the least mean squared error, "oklab" for a smaller visible one.
    kicks : int, optional
        How often the search goes on from a shaken solution: more is slower and a little better. By default 1 to 4.
    """

    rounds: int = MAX_ROUNDS
    color_space: str = "rgb"
    kicks: int | None = None

    def __post_init__(self) -> None:
        if self.color_space not in COLOR_SPACES:
            raise ValueError(f"color_space must be one of {', '.join(COLOR_SPACES)}, not {self.color_space!r}")


@dataclass(frozen=True, eq=False)
class Solution:
    """A palette and its cost.

    Attributes
    ----------
    palette : uint8 (k', 3)
        1 <= k' <= k, distinct, every entry the nearest of some pixel.
    inertia : int
        Sum over pixels of the squared distance to the nearest entry; exact. The mean squared error is this
        divided by the number of pixels.
    iterations : int
        Rounds over the exact histogram.
    converged : bool
        Whether the last round changed nothing.
    """

    palette: np.ndarray
    inertia: int
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class QuantizedImage:
    """An indexed image: ``Solution`` and the index map uint8 (H, W)."""

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
    pixels : uint8 (H, W, 3)
    pool : Executor, optional
        Threads that large images are split over; the result does not depend on them.
    """

    def __init__(self, pixels: np.ndarray, pool: Executor | None = None) -> None:
        _check_pixels(pixels)  # The compiled kernels trust their input: a wrong shape would read beyond it.
        self.pixels = pixels
        self._map = map if pool is None or pixels.size < PARALLEL_PIXELS * 3 else pool.map
        self._bands = np.array_split(pixels, BANDS if self._map is not map else 1)

    @cached_property
    def histogram(self) -> ColorHistogram:
        """The histogram of the whole image."""
        return merge_histograms(list(self._map(count_colors, self._bands)))

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""
        return len(self.histogram)

    def cells(self) -> Cells:
        """The finest cells within the limit."""
        return coarse_cells(self.histogram)

    def partial_sums(self, centroids: np.ndarray) -> ClusterSums:
        """Assign the whole histogram and sum."""
        return partial_sums(self.histogram, centroids)

    def remap(self, palette: np.ndarray) -> np.ndarray:
        """Index map uint8 (H, W)."""
        colors = self.histogram.colors
        table = index_table(colors, nearest(colors, palette))
        return np.concatenate(list(self._map(partial(look_up, table=table), self._bands)))

    def describe(self) -> dict[str, Any]:
        """What a result record says of Spark: there is none."""
        return {}


def solve(
    source: ColorSource, k: int, seed: int = 0, settings: Settings | None = None, pool: Executor | None = None
) -> Solution:
    """Find a palette of at most ``k`` colors with a low inertia; deterministic to the byte.

    Parameters
    ----------
    source : ColorSource
    k : int
        1 to 256.
    seed : int
    settings : Settings, optional
    pool : Executor, optional
        Threads for the search; the result does not depend on them.
    """
    settings = settings or Settings()
    cells = source.cells()
    if cells.exact and len(cells) <= k:
        return Solution(unpack_colors(cells.keys), 0, 0, True)
    if settings.color_space == "oklab":
        return _solve_in_oklab(source, cells, k, seed, settings, pool)
    points = points_of(cells)
    centroids = search(points, k, seed, settings.kicks, pool)
    if cells.exact:
        # The cells are the histogram: nothing to ask the source any more.
        histogram = ColorHistogram(cells.keys, cells.counts)
        palette = polish(points, lloyd(points, centroids, LLOYD_ROUNDS, 1e-4, pool=pool), pool=pool)
        return _descend(palette, partial(partial_sums, histogram), 1, settings.rounds)
    real = centroids.T / GRID
    for _ in range(EXACT_ROUNDS):
        real = update(source.partial_sums(real), real)
    palette = polish(points, np.floor(real.T * GRID + 0.5).astype(np.float32), pool=pool)
    return _descend(palette, source.partial_sums, EXACT_ROUNDS + 1, settings.rounds)


def _solve_in_oklab(
    source: ColorSource, cells: Cells, k: int, seed: int, settings: Settings, pool: Executor | None
) -> Solution:
    """Centroids in Oklab, as whole sRGB colors; pixels still go to the nearest entry in RGB."""
    points = points_at(grid_from_rgb(cells.means), cells.counts)
    centroids = lloyd(points, search(points, k, seed, settings.kicks, pool), LLOYD_ROUNDS, 1e-4, pool=pool)
    palette = np.unique(_rounded(rgb_from_grid(centroids.T)), axis=0)
    sums = source.partial_sums(palette)
    return Solution(palette[sums.counts > 0], sums.inertia(palette), 1, True)


def _descend(
    palette: np.ndarray, sums_of: Callable[[np.ndarray], ClusterSums], iterations: int, rounds: int
) -> Solution:
    """K-Means in whole colors until the inertia does not fall or the rounds are used up."""
    sums = sums_of(palette)
    inertia, converged = sums.inertia(palette), False
    while not converged and iterations < rounds:
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
    return Solution(palette[sums.counts > 0], inertia, iterations, converged)


def quantize(pixels: np.ndarray, k: int, seed: int = 0, settings: Settings | None = None) -> QuantizedImage:
    """Reduce an image to a palette of at most ``k`` colors.

    Parameters
    ----------
    pixels : uint8 (H, W, 3)
    k : int
        Palette size, 1 to 256. An image with at most ``k`` distinct colors is kept exactly.
    seed : int
        The same pixels, ``k``, seed and settings give the same bytes.
    settings : Settings, optional

    Raises
    ------
    ValueError
        If the pixels are not a non-empty uint8 (H, W, 3) array, or ``k`` is out of range.
    """
    _check_k(k)
    with ThreadPoolExecutor(THREADS) as pool:
        source = PixelSource(pixels, pool)
        solution = solve(source, k, seed, settings, pool)
        indexes = source.remap(solution.palette)
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
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must have the shape (height, width, 3), not {pixels.shape}")
    if pixels.size == 0:
        raise ValueError(f"pixels must not be empty, but have the shape {pixels.shape}")


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MAX_COLORS:
        raise ValueError(f"k must be an integer from 1 to {MAX_COLORS}, not {k!r}")


def _rounded(centroids: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(centroids + 0.5), 0, 255).astype(np.uint8)
