"""The color model of an image: RGB, or RGBA where pixels are transparent; one set of the same functions for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colorquant import alpha_histogram, alpha_kmeans, cells, histogram, kmeans, rate_aware
from colorquant.alpha_remap import remap_alpha
from colorquant.direct_search import DirectSearch, remap_directly
from colorquant.dither import Dither, dithered, mixtures
from colorquant.histogram import ColorHistogram
from colorquant.rate_aware import RateModel

#: How pixels go to palette entries: dithered, by a rate model, or to the nearest.
Remapping = RateModel | Dither | DirectSearch | None


@dataclass(frozen=True)
class ColorModel:
    """What is done to pixels and histograms of one kind: see the functions of these names."""

    count_colors: Callable[[np.ndarray], ColorHistogram]
    merge_histograms: Callable[[Sequence[ColorHistogram]], ColorHistogram]
    coarse_cells: Callable[[ColorHistogram], Any]
    merge_cells: Callable[[Sequence[Any]], Any]
    partial_sums: Callable[[ColorHistogram, np.ndarray], Any]
    remap: Callable[[np.ndarray, np.ndarray, Remapping], np.ndarray]


def _remap_rgb(pixels: np.ndarray, palette: np.ndarray, remapping: Remapping = None) -> np.ndarray:
    """Index map uint8 (h, w) of pixels uint8 (h, w, 3); for a rate model, rows of an image from a multiple of 64 on."""
    if isinstance(remapping, DirectSearch):
        return remap_directly(pixels, palette, remapping)
    if not isinstance(remapping, Dither):
        return rate_aware.remap_with(pixels, palette, remapping)
    colors = histogram.count_colors(pixels).colors
    mixed = mixtures(histogram.unpack_colors(colors).astype(np.float64), palette.astype(np.float64))
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return dithered(pixels.shape, remapping, np.searchsorted(colors, packed), *mixed)


RGB = ColorModel(
    histogram.count_colors,
    histogram.merge_histograms,
    cells.coarse_cells,
    cells.merge_cells,
    kmeans.partial_sums,
    _remap_rgb,
)
RGBA = ColorModel(
    alpha_histogram.count_colors,
    alpha_histogram.merge_histograms,
    alpha_histogram.coarse_cells,
    alpha_histogram.merge_cells,
    alpha_kmeans.partial_sums,
    remap_alpha,
)


def color_model(pixels: np.ndarray) -> ColorModel:
    """The model of pixels uint8 (H, W, 3 or 4)."""
    return RGBA if pixels.shape[2] == 4 else RGB


def load_kernels() -> None:
    """Load the compiled kernels that every image needs, a tenth of a second: on one of a pixel."""
    pixels = np.zeros((1, 1, 3), np.uint8)
    RGB.merge_cells([RGB.coarse_cells(RGB.count_colors(pixels))])
    RGB.remap(pixels, pixels[0], None)
