"""The quantizer: from pixels in this process to a palette and an index map."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any, TypeVar

import numpy as np

from colorquant.arithmetic import ceil_div
from colorquant.colors import Cells, ColorHistogram
from colorquant.limits import MAX_COLORS
from colorquant.perception import DirectSearch, flat_colors, important_cells, remap_directly
from colorquant.pixels import Pixels, as_palette
from colorquant.quantizer.color_models import color_model
from colorquant.quantizer.histogram_source import HistogramSource
from colorquant.quantizer.solution import Remapping, Solution, with_kept_colors
from colorquant.quantizer.solver import impose, solve
from colorquant.quantizer.weighted import WeightedColors, counted_by_pixels, weights_of
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


class PixelSource(HistogramSource):
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
    def histogram(self) -> ColorHistogram:  # type: ignore[override]
        """The histogram of the whole image, counted when it is first asked for."""
        return self.model.merge_histograms(list(self._map(self.model.count_colors, self._bands)))

    @cached_property
    def _flat_colors(self) -> ColorHistogram:  # type: ignore[override]
        return self.model.merge_histograms(list(self._map(flat_colors, self._rows())))

    @cached_property
    def _important_cells(self) -> Cells:
        return self.fold_bands(important_cells, lambda one, other: self.model.merge_cells([one, other]))

    def important_cells(self) -> Cells:
        """``perception.important_cells`` of the whole image, made once for all k."""
        return self._important_cells

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
    palette: str = "",
    keep: str = "",
    weights: Pixels | None = None,
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
    palette : str
        Colors that the image is mapped to in place of a palette of its own, as ``"#000000,#ffffff"``; then ``k`` has no
        effect. The result's palette has those that the image can use, in their order: of an image without alpha the
        opaque ones.
    keep : str
        Colors that the palette has exactly, as ``"#ffffff,#d62728"``.
    weights : uint8 (H, W), optional
        A grey picture: how much each pixel counts for the palette, white 64 times as much as black. No effect with a
        given palette.

    Returns
    -------
    QuantizedImage

    Raises
    ------
    ValueError
        If the pixels are not a non-empty uint8 (H, W, 3) or (H, W, 4) array, or another argument is out of range.
    """
    _check_k(k)
    settings = Settings(
        seed=int(seed),
        color_space=color_space,
        rate=rate,
        dither=dither,
        objective=objective,
        palette=palette,
        keep=keep,
    )
    with ThreadPoolExecutor(THREADS) as pool:
        source = PixelSource(pixels, pool)
        if settings.colors:
            solution, entries = impose(source, as_palette(settings.colors))
            if not len(entries):
                raise ValueError("no color of the palette is opaque")
        else:
            solution = _solved(source, k, settings, weights, pool)
        remapping = solution.remapping(settings, pixels.shape[1])
        indexes = source.remap(solution.palette, remapping)
        if remapping is not None:
            indexes = with_kept_colors(indexes, pixels, solution.palette, settings)
    return QuantizedImage(
        solution.palette,
        indexes,
        solution.inertia,
        solution.iterations,
        solution.converged,
        source.unique_colors,
    )


def _solved(source: PixelSource, k: int, settings: Settings, grey: Pixels | None, pool: Executor) -> Solution:
    if grey is None:
        return solve(source, k, settings, pool)
    if not isinstance(grey, np.ndarray) or grey.dtype != np.uint8 or grey.shape != source.pixels.shape[:2]:
        raise ValueError(f"weights must be a uint8 array of the shape {source.pixels.shape[:2]}, a grey for each pixel")
    weighted = WeightedColors(source, source.pixels, weights_of(grey))
    return counted_by_pixels(solve(weighted, k, settings, pool), source)


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
