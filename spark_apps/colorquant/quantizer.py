"""The quantizer: from pixels in this process to a palette and an index map."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any, TypeVar

import numpy as np

from colorquant.alpha_kmeans import AlphaSums
from colorquant.cells import Cells
from colorquant.color_model import RGBA, Remapping, color_model
from colorquant.direct_search import DirectSearch, remap_directly
from colorquant.dither import MASK_SIDE, Dither
from colorquant.histogram import ColorHistogram
from colorquant.kmeans import ClusterSums, nearest
from colorquant.rate_aware import RateModel, bands_of, remap_band
from colorquant.remap import index_table, look_up
from colorquant.settings import Settings
from colorquant.solver import palette_eye, solve

T = TypeVar("T")

MAX_COLORS = 256
THREADS = 2
BANDS = 4
PARALLEL_PIXELS = 1 << 20
# Dithered and with alpha, a pixel takes up to 20 bytes while it is remapped.
REMAP_PIXELS = 1 << 21


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
        if isinstance(remapping, DirectSearch) and self._model is not RGBA:
            search = partial(remap_directly, palette=palette, search=remapping)
            return np.concatenate(list(self._map(search, self._rows())))
        if self._model is RGBA or isinstance(remapping, Dither):
            rows = max(1, REMAP_PIXELS // (self.pixels.shape[1] * MASK_SIDE)) * MASK_SIDE
            parts = [self.pixels[top : top + rows] for top in range(0, len(self.pixels), rows)]
            return np.concatenate([self._model.remap(part, palette, remapping) for part in parts])
        colors = self.histogram.colors
        table = index_table(colors, nearest(colors, palette))
        indexes = np.concatenate(list(self._map(partial(look_up, table=table), self._bands)))
        if not isinstance(remapping, RateModel):
            return indexes
        choose = partial(remap_band, palette=palette, model=remapping)
        return np.concatenate(list(self._map(choose, bands_of(self.pixels), bands_of(indexes))))

    def fold_bands(self, function: Callable[[np.ndarray], T], merge: Callable[[T, T], T]) -> T:
        """The merged values of a function of bands that begin at multiples of 64 rows."""
        return reduce(merge, self._map(function, self._rows()))

    def _rows(self) -> list[np.ndarray]:
        """The bands of the threads, cut at multiples of 64 rows."""
        cuts = [
            MASK_SIDE * len(part)
            for part in np.array_split(np.arange(-(-len(self.pixels) // MASK_SIDE)), len(self._bands))
        ]
        return [part for part in np.split(self.pixels, np.cumsum(cuts)[:-1]) if len(part)]

    def describe(self) -> dict[str, Any]:
        """What a result record says of Spark: there is none."""
        return {}


def quantize(
    pixels: np.ndarray,
    k: int,
    seed: int = 0,
    color_space: str = "rgb",
    rate: float = 0.0,
    dither: str = "none",
    objective: str = "squared-error",
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
    dither : {"none", "blue-noise", "direct-search"}
        Whether to mix neighboring pixels, by ordered dithering (see `dither`) or as it looks best (see
        `direct_search`); the rate has no effect on "blue-noise".
    objective : {"squared-error", "perceptual"}
        What the palette is made for: "perceptual" for the least error that an eye sees (see `perceptual`), whatever
        the color space; best with "direct-search".

    Raises
    ------
    ValueError
        If the pixels are not a non-empty uint8 (H, W, 3) or (H, W, 4) array, or another argument is out of range.
    """
    _check_k(k)
    settings = Settings(color_space=color_space, rate=rate, dither=dither, objective=objective)
    with ThreadPoolExecutor(THREADS) as pool:
        source = PixelSource(pixels, pool)
        solution = solve(source, k, seed, color_space, pool, palette_eye(settings))
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
