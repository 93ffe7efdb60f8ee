"""A source of colors that are counted already: all that a search for the squared error needs."""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Self, TypeVar

import numpy as np

from colorquant.colors import Cells, ColorHistogram
from colorquant.kmeans import MergeableSums
from colorquant.pixels import Pixels
from colorquant.quantizer.color_models import ColorModel

T = TypeVar("T")


class HistogramSource:
    """A ``ColorSource`` over a histogram in this process, without the pixels that it counts.

    Parameters
    ----------
    model : ColorModel
    histogram : ColorHistogram
        Of at least one color.
    flat : ColorHistogram
        ``perception.flat_colors`` of the pixels.
    """

    def __init__(self, model: ColorModel, histogram: ColorHistogram, flat: ColorHistogram) -> None:
        self.model = model
        self.histogram = histogram
        self._flat_colors = flat

    @cached_property
    def _cells(self) -> Cells:
        return self.model.coarse_cells(self.histogram)

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""
        return len(self.histogram)

    def cells(self) -> Cells:
        """The finest cells within the limit, made once for all k."""
        return self._cells

    def flat_colors(self) -> ColorHistogram:
        """``perception.flat_colors`` of the whole image, made once for all k."""
        return self._flat_colors

    def without(self, colors: np.ndarray) -> Self:
        """The same as if its histogram had no pixels of some colors, packed uint32 (m,)."""
        rest = copy(self)
        rest.histogram = self.histogram.without(colors)
        rest._flat_colors = self._flat_colors.without(colors)
        rest.__dict__.pop("_cells", None)
        return rest

    def partial_sums(self, centroids: np.ndarray) -> MergeableSums:
        """One round of K-Means over the whole histogram, with centroids (k, d): assign and sum."""
        return self.model.partial_sums(self.histogram, centroids)

    def important_cells(self) -> Cells:
        """Not known without pixels."""
        raise NotImplementedError("a histogram does not say where its pixels are")

    def fold_bands(self, function: Callable[[Pixels], T], merge: Callable[[T, T], T]) -> T:
        """Not known without pixels."""
        raise NotImplementedError("a histogram does not say where its pixels are")
