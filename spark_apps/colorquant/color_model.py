"""The color model of an image: RGB, or RGBA where pixels are transparent; one set of the same functions for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colorquant import alpha_histogram, alpha_kmeans, cells, histogram, kmeans, rate_aware
from colorquant.alpha_remap import remap_alpha
from colorquant.histogram import ColorHistogram
from colorquant.rate_aware import RateModel


@dataclass(frozen=True)
class ColorModel:
    """What is done to pixels and histograms of one kind: see the functions of these names."""

    count_colors: Callable[[np.ndarray], ColorHistogram]
    merge_histograms: Callable[[Sequence[ColorHistogram]], ColorHistogram]
    coarse_cells: Callable[[ColorHistogram], Any]
    merge_cells: Callable[[Sequence[Any]], Any]
    partial_sums: Callable[[ColorHistogram, np.ndarray], Any]
    remap: Callable[[np.ndarray, np.ndarray, RateModel | None], np.ndarray]


RGB = ColorModel(
    histogram.count_colors,
    histogram.merge_histograms,
    cells.coarse_cells,
    cells.merge_cells,
    kmeans.partial_sums,
    rate_aware.remap_with,
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
