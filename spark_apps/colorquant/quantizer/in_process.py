"""The quantizer: from pixels in this process to a palette and an index map."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any, TypeVar

import numpy as np

from colorquant.arithmetic import ceil_div
from colorquant.colors import Cells, ColorHistogram
from colorquant.kmeans import MergeableSums
from colorquant.limits import MAX_COLORS
from colorquant.perception import DirectSearch, flat_colors, important_cells, remap_directly
from colorquant.pixels import Pixels
from colorquant.quantizer.color_models import color_model
from colorquant.quantizer.solution import Remapping
from colorquant.quantizer.solver import solve
from colorquant.remap import BAND_ROWS, Dither, RateModel, bands_of, look_up, remap_band
from colorquant.settings import Settings

T = TypeVar("T")

THREADS = 2
BANDS = 4
PARALLEL_PIXELS = 1 << 20
# Dithered and with alpha, a pixel takes up to 20 bytes while it is remapped.
REMAP_PIXELS = 1 << 21


@dataclass(frozen=True, eq=False)
class QuantizedImage:
    """An indexed image.

    Attributes
    ----------
    palette : uint8 (k', 3), or (k', 4) with alpha
    indexes : uint8 (H, W)
        The index map.
    inertia, iterations, converged : as of ``Solution``
        The inertia is that of the nearest entries, also where dithering or a rate chose others.
    unique_colors : int
        Number of distinct colors of the original.
    """

    palette: Pixels
    indexes: Pixels
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

    Raises
    ------
    ValueError
        If the pixels are not a non-empty array of that type and shape.
    """

    def __init__(self, pixels: Pixels, pool: Executor | None = None) -> None:
        # Compiled kernels do not check their input: with a wrong shape they would read beyond its end.
        _check_pixels(pixels)
        self.pixels = pixels
        self.model = color_model(pixels)
        self._map = map if pool is None or pixels.size < PARALLEL_PIXELS * 3 else pool.map
        self._bands = np.array_split(pixels, BANDS if self._map is not map else 1)

    @cached_property
    def histogram(self) -> ColorHistogram:
        """The histogram of the whole image."""
        return self.model.merge_histograms(list(self._map(self.model.count_colors, self._bands)))

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""
        return len(self.histogram)

    @cached_property
    def _cells(self) -> Cells:
        return self.model.coarse_cells(self.histogram)

    def cells(self) -> Cells:
        """The finest cells within the limit, made once for all k."""
        return self._cells

    @cached_property
    def _flat_colors(self) -> ColorHistogram:
        return self.model.merge_histograms(list(self._map(flat_colors, self._rows())))

    def flat_colors(self) -> ColorHistogram:
        """``perception.flat_colors`` of the whole image, made once for all k."""
        return self._flat_colors

    @cached_property
    def _important_cells(self) -> Cells:
        return self.fold_bands(important_cells, lambda one, other: self.model.merge_cells([one, other]))

    def important_cells(self) -> Cells:
        """``perception.important_cells`` of the whole image, made once for all k."""
        return self._important_cells

    def partial_sums(self, centroids: np.ndarray) -> MergeableSums:
        """One round of K-Means over the whole histogram, with centroids (k, d): assign and sum."""
        return self.model.partial_sums(self.histogram, centroids)

    def remap(self, palette: Pixels, remapping: Remapping = None) -> Pixels:
        """Index map uint8 (H, W): the nearest entries of a palette (k, 3 or 4), those of a rate model, or dithered."""
        if isinstance(remapping, DirectSearch):
            search = partial(remap_directly, palette=palette, search=remapping)
            return np.concatenate(list(self._map(search, self._rows())))
        if self.model.index_table is None or isinstance(remapping, Dither):
            rows = max(1, REMAP_PIXELS // (self.pixels.shape[1] * BAND_ROWS)) * BAND_ROWS
            parts = [self.pixels[top : top + rows] for top in range(0, len(self.pixels), rows)]
            return np.concatenate([self.model.remap(part, palette, remapping) for part in parts])
        table = self.model.index_table(self.histogram.colors, palette)
        indexes = np.concatenate(list(self._map(partial(look_up, table=table), self._bands)))
        if not isinstance(remapping, RateModel):
            return indexes
        choose = partial(remap_band, palette=palette, model=remapping)
        return np.concatenate(list(self._map(choose, bands_of(self.pixels), bands_of(indexes))))

    def fold_bands(self, function: Callable[[Pixels], T], merge: Callable[[T, T], T]) -> T:
        """The merged values of a function of bands that begin at multiples of 64 rows."""
        return reduce(merge, self._map(function, self._rows()))

    def _rows(self) -> list[Pixels]:
        """The bands of the threads, cut at multiples of 64 rows."""
        cuts = [
            BAND_ROWS * len(part)
            for part in np.array_split(np.arange(ceil_div(len(self.pixels), BAND_ROWS)), len(self._bands))
        ]
        return [part for part in np.split(self.pixels, np.cumsum(cuts)[:-1]) if len(part)]

    def describe(self) -> dict[str, Any]:
        """Spark's part of a result record: none, since Spark does nothing here."""
        return {}


def quantize(
    pixels: Pixels,
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
        Of the random numbers. The same arguments always give the same result.
    color_space : {"rgb", "oklab"}
        Where the error is minimized: "rgb" for the least mean squared error, "oklab" for a smaller visible one.
    rate : float
        How much error a saved bit of the file may cost, from 0 to 1000: above 0, neighbors share an entry where that is
        nearly as near as the nearest (see ``rate_aware``). 0.1 is a good value.
    dither : {"none", "blue-noise", "direct-search"}
        Whether neighboring pixels mix entries, by ordered dithering (see ``dither``; the rate has no effect then) or as
        it looks best (see ``direct_search``).
    objective : {"squared-error", "perceptual"}
        What the palette minimizes: with "perceptual" the error that people see (see ``perception``), in whatever color
        space; best with the dithering "direct-search".

    Returns
    -------
    QuantizedImage

    Raises
    ------
    ValueError
        If the pixels are not a non-empty uint8 (H, W, 3) or (H, W, 4) array, or another argument is out of range.
    """
    _check_k(k)
    settings = Settings(seed=int(seed), color_space=color_space, rate=rate, dither=dither, objective=objective)
    with ThreadPoolExecutor(THREADS) as pool:
        source = PixelSource(pixels, pool)
        solution = solve(source, k, settings, pool)
        indexes = source.remap(solution.palette, solution.remapping(settings, pixels.shape[1]))
    return QuantizedImage(
        solution.palette,
        indexes,
        solution.inertia,
        solution.iterations,
        solution.converged,
        source.unique_colors,
    )


def _check_pixels(pixels: Pixels) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be a uint8 array, not {getattr(pixels, 'dtype', type(pixels).__name__)}")
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"pixels must have the shape (height, width, 3) or (height, width, 4), not {pixels.shape}")
    if pixels.size == 0:
        raise ValueError(f"pixels must not be empty, but have the shape {pixels.shape}")


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MAX_COLORS:
        raise ValueError(f"k must be an integer from 1 to {MAX_COLORS}, not {k!r}")
