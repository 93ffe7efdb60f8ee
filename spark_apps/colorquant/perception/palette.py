"""The perceptual objective: a palette for the least visible error.

K-Means in the eye's space (``eye_model``) on cells of the histogram, weighted by ``importance``; then rounds of an
index map found by direct search and a palette fitted to it, each a map over bands of the image and a sum. Without
dithering the rounds are those of K-Means, on exact pixels.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from operator import add
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from colorquant import alpha
from colorquant.colors import Cells, ColorHistogram
from colorquant.kmeans import lloyd, points_at, search_centroids
from colorquant.perception.direct_search import DirectSearch
from colorquant.perception.eye_model import colors_at, colors_with_alpha_at, coordinates_of, is_neutral
from colorquant.perception.kept_colors import KeptColors, areas, with_small_areas
from colorquant.perception.refit import refit_sums, refitted

T = TypeVar("T")

LLOYD_ROUNDS = 20
# Each brings less: 2.9, 0.9 and 0.4 points of SSIMULACRA2 in the mean.
REFIT_ROUNDS = 2
# A color of one in so many pixels, all in flat areas, is one that people look for.
_LARGE_AREA = 256
# Alpha from which on an entry of the search stands for opaque colors.
_ALMOST_OPAQUE = 248


class BandedColors(Protocol):
    """An image by bands of its rows, in this process or distributed."""

    def fold_bands(self, function: Callable[[npt.NDArray[np.uint8]], T], merge: Callable[[T, T], T]) -> T:
        """The merged values of a function of bands uint8 (h, W, 3) that begin at multiples of 64 rows."""

    def flat_colors(self) -> ColorHistogram:
        """``kept_colors.flat_colors`` of the whole image."""

    def important_cells(self) -> Cells:
        """``importance.important_cells`` of the whole image."""


def fit_palette(
    source: BandedColors,
    pixels: int,
    k: int,
    seed: int,
    search: DirectSearch,
    rounds: int,
    pool: Executor | None = None,
) -> npt.NDArray[np.uint8]:
    """A palette uint8 (k', 3), k' <= k, of distinct colors; deterministic to the byte.

    Parameters
    ----------
    source : the image, of more than k colors
    pixels : of the image
    k, seed, pool : as of ``solver.solve``
    search : how pixels go to the palette's entries while it is refitted
    rounds : how often it is refitted, 0 or more
    """
    cells = source.important_cells()
    weights = _weights(cells)
    points = points_at(coordinates_of(np.floor(cells.means + 0.5).astype(np.uint8)).astype(np.int64), weights)
    centroids = search_centroids(points, k, np.random.default_rng(seed), pool)
    entries = lloyd(points, centroids, LLOYD_ROUNDS, 1e-4, pool=pool).T.astype(np.float64)
    kept = KeptColors.of(_distinct(colors_at(entries)))
    kept = _with_kept_colors(kept, source.flat_colors(), cells, pixels)
    for _ in range(rounds):
        sums = source.fold_bands(partial(refit_sums, palette=kept.palette, search=search), add)
        coordinates = coordinates_of(kept.palette)
        free = np.repeat(~kept.fixed[:, None], 3, axis=1)
        free[is_neutral(coordinates)] &= np.array([False, True, False])
        moved = colors_at(refitted(coordinates.astype(np.float64), sums, free))
        kept = kept.moved(moved, sums.used)
    return _distinct(kept.palette)


def fit_alpha_palette(
    source: BandedColors, pixels: int, k: int, seed: int, search: DirectSearch, rounds: int
) -> npt.NDArray[np.uint8]:
    """``fit_palette`` of an image with alpha, uint8 (k', 4): what looks best on black and on white.

    Where pixels are fully transparent, so is the first entry, and opaque entries stay opaque.
    """
    cells = source.important_cells()
    weights = _weights(cells)[:, None]
    pinned = bool(k > 1 and cells.keys[0] == 0)
    counts = cells.counts[:, None]
    means = (2 * cells.sums + counts) // (2 * counts)
    palette = alpha.nearest_colors(alpha.search_centroids(means, weights[:, 0], k, seed, pinned))
    if (alpha.nearest_colors(means)[:, 3] >= _ALMOST_OPAQUE).any():
        palette[palette[:, 3] >= min(_ALMOST_OPAQUE, palette[:, 3].max()), 3] = 255
    kept = KeptColors.of(_distinct(palette))
    kept = _with_kept_colors(kept, source.flat_colors(), cells, pixels)
    for _ in range(rounds):
        sums = source.fold_bands(partial(refit_sums, palette=kept.palette, search=search), add)
        coordinates = coordinates_of(kept.palette)
        free = np.repeat(~kept.fixed[:, None], 6, axis=1)
        moved = colors_with_alpha_at(refitted(coordinates.astype(np.float64), sums, free))
        kept = kept.moved(moved, sums.used)
    return _distinct(kept.palette)


def _weights(cells: Cells) -> npt.NDArray[np.int64]:
    """Weights int64 (m,) of cells for the search."""
    # To the power of 3/4, so that a color of its own keeps an entry also where it has few pixels. In whole numbers.
    return np.sqrt(cells.counts * np.floor(np.sqrt(cells.counts))).astype(np.int64)


def _with_kept_colors(kept: KeptColors, flat: ColorHistogram, cells: Cells, pixels: int) -> KeptColors:
    """The palette in which colors of large flat areas, and of small ones of another color, stand exactly."""
    palette, fixed = kept.palette.copy(), kept.fixed.copy()
    for color, count in areas(flat, palette.shape[1], pixels)[: len(palette) // 2]:
        if count * _LARGE_AREA >= pixels:
            distances = ((coordinates_of(palette).astype(np.int64) - coordinates_of(color)) ** 2).sum(axis=1)
            distances[fixed] = np.iinfo(np.int64).max
            nearest = np.argmin(distances)
            palette[nearest], fixed[nearest] = color, True
    return with_small_areas(KeptColors(palette, fixed, kept.opaque), flat, cells, pixels)


def _distinct(palette: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.unique(palette, axis=0)
