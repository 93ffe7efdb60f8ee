"""Weights of pixels: how much each counts where a palette is searched for.

A pixel of weight w counts as w equal pixels do. Weights are whole numbers, so their sums are exact. They decide the
palette only: each pixel still goes to its nearest entry, and what a palette costs is counted by pixels.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, reduce
from typing import TypeVar

import numpy as np

from colorquant.colors import Cells, ColorHistogram
from colorquant.perception import flat_colors, important_cells, weighted_colors
from colorquant.pixels import Pixels
from colorquant.quantizer.color_models import color_model
from colorquant.quantizer.histogram_source import HistogramSource
from colorquant.quantizer.solution import Solution
from colorquant.quantizer.solver import ColorSource, impose
from colorquant.remap import BAND_ROWS

T = TypeVar("T")

# What is counted of so many pixels takes 20 bytes a pixel.
_PIXELS_AT_ONCE = 1 << 21
#: The weight of white, and of every pixel of an image without weights, among images that have them. That of black is 1.
FULL_WEIGHT = 64


def weights_of(grey: Pixels) -> Pixels:
    """Weights uint8 (H, W), from 1 to ``FULL_WEIGHT``, of a grey picture uint8 (H, W)."""
    return grey // np.uint8(256 // FULL_WEIGHT) + np.uint8(1)


class WeightedColors(HistogramSource):
    """A ``ColorSource`` over the pixels of an image that do not all count the same.

    Parameters
    ----------
    source : ColorSource
        The same image, all pixels counting the same.
    pixels : uint8 (H, W, 3 or 4)
    weights : uint8 (H, W)
        From 1 to ``FULL_WEIGHT``.
    """

    def __init__(self, source: ColorSource, pixels: Pixels, weights: Pixels) -> None:
        self._source, self._pixels, self._weights = source, pixels, weights
        colors = self._merged(lambda part, of: weighted_colors(part, of.ravel().astype(np.int64)))
        super().__init__(color_model(pixels), colors, self._merged(flat_colors))

    def _merged(self, count: Callable[[Pixels, Pixels], ColorHistogram]) -> ColorHistogram:
        return color_model(self._pixels).merge_histograms([count(*part) for part in self._parts()])

    def _parts(self) -> list[tuple[Pixels, Pixels]]:
        """Pixels and weights of some rows, from a multiple of 64 on."""
        rows = max(1, _PIXELS_AT_ONCE // (self._pixels.shape[1] * BAND_ROWS)) * BAND_ROWS
        tops = range(0, len(self._pixels), rows)
        return [(self._pixels[top : top + rows], self._weights[top : top + rows]) for top in tops]

    @cached_property
    def _important_cells(self) -> Cells:
        merge = self.model.merge_cells
        return reduce(lambda one, other: merge([one, other]), (important_cells(*part) for part in self._parts()))

    def important_cells(self) -> Cells:
        """``perception.important_cells``, in which the weights of importance multiply these."""
        return self._important_cells

    def fold_bands(self, function: Callable[[Pixels], T], merge: Callable[[T, T], T]) -> T:
        """The merged values of a function of bands of the pixels, which all count the same in it."""
        return self._source.fold_bands(function, merge)


def counted_by_pixels(found: Solution, source: ColorSource) -> Solution:
    """A solution that was found with weights, and what it costs an image whose pixels all count the same."""
    counted, _ = impose(source, found.palette)
    return replace(found, counts=counted.counts, inertia=counted.inertia)
