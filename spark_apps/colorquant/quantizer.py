"""The quantizer: from pixels, wherever they are, to a palette and an index map."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from colorquant.cells import Cells, coarse_cells
from colorquant.histogram import ColorHistogram, count_colors, merge_histograms, unpack_colors
from colorquant.kmeans import ClusterSums, nearest, partial_sums, update
from colorquant.remap import remap_colors
from colorquant.search import search

MAX_COLORS = 256
MAX_ROUNDS = 6


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
        Most rounds of K-Means over the exact histogram, where cells are coarser than that.
    """

    rounds: int = MAX_ROUNDS


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
    bands : list of uint8 (h, w, 3)
        Bands of rows of one image, in order.
    """

    def __init__(self, bands: list[np.ndarray]) -> None:
        self.bands = bands

    @cached_property
    def histogram(self) -> ColorHistogram:
        """The histogram of the whole image."""
        return merge_histograms([count_colors(band) for band in self.bands])

    def cells(self) -> Cells:
        """The finest cells within the limit."""
        return coarse_cells(self.histogram)

    def partial_sums(self, centroids: np.ndarray) -> ClusterSums:
        """Assign the whole histogram and sum."""
        return partial_sums(self.histogram, centroids)

    def remap(self, palette: np.ndarray) -> np.ndarray:
        """Index map uint8 (H, W)."""
        colors = self.histogram.colors
        labels = nearest(colors, palette)
        return np.concatenate([remap_colors(band, colors, labels) for band in self.bands])


def solve(source: ColorSource, k: int, seed: int = 0, settings: Settings | None = None) -> Solution:
    """Find a palette of at most ``k`` colors with a low inertia; deterministic to the byte.

    Parameters
    ----------
    source : ColorSource
    k : int
        1 to 256.
    seed : int
    settings : Settings, optional
    """
    settings = settings or Settings()
    cells = source.cells()
    if cells.exact and len(cells) <= k:
        return Solution(unpack_colors(cells.keys), 0, 0, True)
    palette = _rounded(search(cells, k, seed))
    sums, converged, iterations = source.partial_sums(palette), False, 1
    inertia = sums.inertia(palette)
    while not converged and iterations < settings.rounds:
        moved = _rounded(update(sums, palette))
        moved_sums = source.partial_sums(moved)
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
    _check(pixels, k)
    source = PixelSource([pixels])
    solution = solve(source, k, seed, settings)
    return QuantizedImage(
        solution.palette,
        source.remap(solution.palette),
        solution.inertia,
        solution.iterations,
        solution.converged,
        len(source.histogram),
    )


def _check(pixels: np.ndarray, k: int) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be a uint8 array, not {getattr(pixels, 'dtype', type(pixels).__name__)}")
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must have the shape (height, width, 3), not {pixels.shape}")
    if pixels.size == 0:
        raise ValueError(f"pixels must not be empty, but have the shape {pixels.shape}")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MAX_COLORS:
        raise ValueError(f"k must be an integer from 1 to {MAX_COLORS}, not {k!r}")


def _rounded(centroids: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(centroids + 0.5), 0, 255).astype(np.uint8)
