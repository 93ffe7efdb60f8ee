"""A solution of the quantizer: a palette, what it costs, and how pixels are remapped to it."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from colorquant.hex_colors import OPAQUE
from colorquant.kmeans import MergeableSums
from colorquant.perception import REFIT_ROUNDS, DirectSearch
from colorquant.pixels import Pixels
from colorquant.remap import Dither, RateModel, rate_model
from colorquant.settings import Settings

#: How pixels are assigned to palette entries: dithered, by a rate model, by the eye's model, or each to its nearest.
Remapping = RateModel | Dither | DirectSearch | None

# The energy in the eye's model that prices of bits take for a squared RGB distance of 1, in ``rate_aware``'s unit.
ENERGY_OF_ERROR = 150 * 256 / 1024


def eye_of(settings: Settings) -> DirectSearch:
    """How pixels are assigned to entries by the eye's model."""
    return DirectSearch(blurred=settings.dither == "direct-search")


def rounds_of(settings: Settings) -> int:
    """How often a palette is refitted to its index map: with a price of bits, never, for 1.4 % of bytes."""
    return 0 if settings.rate > 0 else REFIT_ROUNDS


def kept_colors(settings: Settings, channels: int) -> Pixels:
    """The colors that every palette has, uint8 (m, 3 or 4); of a palette without alpha only those that are opaque."""
    colors = [color[:channels] for color in settings.kept if channels == 4 or color[3] == OPAQUE]
    return np.array(colors, np.uint8).reshape(-1, channels)


def with_kept_colors(indexes: Pixels, pixels: Pixels, palette: Pixels, settings: Settings) -> Pixels:
    """The index map in which pixels of the colors that every palette has keep them, however they were remapped.

    Parameters
    ----------
    indexes : uint8 (h, w)
    pixels : uint8 (h, w, 3 or 4)
    palette : uint8 (k, 3 or 4)
    settings : Settings
    """
    for color in kept_colors(settings, pixels.shape[2]):
        (entry,) = np.flatnonzero((palette == color).all(axis=1))
        # All fully transparent pixels look alike.
        same = (pixels == color).all(axis=2) if color[3:].any() or len(color) == 3 else pixels[..., 3] == 0
        indexes = np.where(same, np.uint8(entry), indexes)
    return indexes


@dataclass(frozen=True, eq=False)
class Solution:
    """A palette and its cost.

    Attributes
    ----------
    palette : uint8 (k', 3), or (k', 4) where pixels are transparent
        1 <= k' <= k, distinct; for the squared error every entry is the nearest of some pixel, except colors that are
        to be kept and those of a given palette.
    counts : int64 (k',)
        Pixels that each entry is the nearest of, by the squared error.
    inertia : int
        Sum over pixels of the squared distance to the nearest entry: exact for RGB; for RGBA that of
        ``alpha.premultiplied``, rounded. The mean squared error is this divided by the number of pixels.
    iterations : int
        Rounds over the exact histogram; where the colors of areas were put into the palette, those after that.
    converged : bool
        Whether the last round changed nothing.
    """

    palette: Pixels
    counts: np.ndarray
    inertia: int
    iterations: int
    converged: bool

    @classmethod
    def of(cls, palette: Pixels, sums: MergeableSums, inertia: float, iterations: int, converged: bool) -> Self:
        """The solution of a palette (k, 3 or 4), without entries that are the nearest of no pixel by its sums."""
        used = sums.counts > 0
        return cls(palette[used], sums.counts[used], round(inertia), iterations, converged)

    def rate_model(self, rate: float, width: int) -> RateModel | None:
        """The prices for ``rate_aware`` of an image ``width`` pixels wide; None where the rate is 0."""
        if rate == 0:
            return None
        return rate_model(self.counts, self.inertia / int(self.counts.sum()), rate, width)

    def remapping(self, settings: Settings, width: int, origin: tuple[int, int] = (0, 0)) -> Remapping:
        """How pixels of an image, or of a part of it, are assigned to the palette's entries.

        Parameters
        ----------
        settings : Settings
            Of which ``objective``, ``rate`` and ``dither`` count.
        width : int
            Of the image, in pixels.
        origin : row and column of the part's first pixel.
        """
        if settings.dither == "blue-noise":
            return Dither(*origin)
        by_eye = settings.dither == "direct-search" or settings.objective == "perceptual"
        if self.inertia > 0 and by_eye:
            return replace(eye_of(settings), prices=self.rate_model(settings.rate * ENERGY_OF_ERROR, width))
        return self.rate_model(settings.rate, width)
