"""The perceptual objective: a palette for the least visible error.

K-Means in the eye's space (``eye_model``) on cells of the histogram, weighted by ``importance``; then rounds of an
index map found by direct search and a palette fitted to it, each a map over bands of the image and a sum. Without
dithering the rounds are those of K-Means, on exact pixels.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from operator import add, itemgetter
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from colorquant import alpha
from colorquant.colors import Cells, ColorHistogram
from colorquant.kmeans import lloyd, points_at, search_centroids
from colorquant.perception.direct_search import DirectSearch
from colorquant.perception.eye_model import colors_at, colors_with_alpha_at, coordinates_of, is_neutral
from colorquant.perception.kept_colors import KeptColors, areas, with_small_areas
from colorquant.perception.refit import RefitSums, refit_sums, refitted

T = TypeVar("T")

LLOYD_ROUNDS = 20
# Each brings less: 2.9, 0.9 and 0.4 points of SSIMULACRA2 in the mean.
REFIT_ROUNDS = 2
# A color of one in so many pixels, all in flat areas, is one that people look for.
_LARGE_AREA = 256
# A picture of which flat areas are one in so many pixels. On photographs other weights gain nothing in the mean.
_FLAT_PICTURE = 4
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
    cells, flat = source.important_cells(), source.flat_colors()
    colors = coordinates_of(np.floor(cells.means + 0.5).astype(np.uint8)).astype(np.int64)

    def begun(weights: npt.NDArray[np.int64]) -> KeptColors:
        points = points_at(colors, weights)
        centroids = search_centroids(points, k, np.random.default_rng(seed), pool)
        entries = lloyd(points, centroids, LLOYD_ROUNDS, 1e-4, pool=pool).T.astype(np.float64)
        return _with_kept_colors(KeptColors.of(_distinct(colors_at(entries))), flat, cells, pixels)

    def fitted(kept: KeptColors, sums: RefitSums) -> KeptColors:
        coordinates = coordinates_of(kept.palette)
        free = np.repeat(~kept.fixed[:, None], 3, axis=1)
        free[is_neutral(coordinates)] &= np.array([False, True, False])
        return kept.moved(colors_at(refitted(coordinates.astype(np.float64), sums, free)), sums.used)

    return _fitted(source, _weights(cells, flat, pixels), begun, fitted, search, rounds)


def fit_alpha_palette(
    source: BandedColors, pixels: int, k: int, seed: int, search: DirectSearch, rounds: int
) -> npt.NDArray[np.uint8]:
    """``fit_palette`` of an image with alpha, uint8 (k', 4): what looks best on black and on white.

    Where pixels are fully transparent, so is the first entry, and opaque entries stay opaque.
    """
    cells, flat = source.important_cells(), source.flat_colors()
    pinned = bool(k > 1 and cells.keys[0] == 0)
    counts = cells.counts[:, None]
    means = (2 * cells.sums + counts) // (2 * counts)
    almost_opaque = bool((alpha.nearest_colors(means)[:, 3] >= _ALMOST_OPAQUE).any())

    def begun(weights: npt.NDArray[np.int64]) -> KeptColors:
        palette = alpha.nearest_colors(alpha.search_centroids(means, weights, k, seed, pinned))
        if almost_opaque:
            palette[palette[:, 3] >= min(_ALMOST_OPAQUE, palette[:, 3].max()), 3] = 255
        return _with_kept_colors(KeptColors.of(_distinct(palette)), flat, cells, pixels)

    def fitted(kept: KeptColors, sums: RefitSums) -> KeptColors:
        coordinates = coordinates_of(kept.palette)
        free = np.repeat(~kept.fixed[:, None], 6, axis=1)
        return kept.moved(colors_with_alpha_at(refitted(coordinates.astype(np.float64), sums, free)), sums.used)

    return _fitted(source, _weights(cells, flat, pixels), begun, fitted, search, rounds)


def _fitted(
    source: BandedColors,
    weights: list[npt.NDArray[np.int64]],
    begun: Callable[[npt.NDArray[np.int64]], KeptColors],
    fitted: Callable[[KeptColors, RefitSums], KeptColors],
    search: DirectSearch,
    rounds: int,
) -> npt.NDArray[np.uint8]:
    """The palette after some rounds, begun with the weights after whose first round the least error is visible."""

    def sums_of(kept: KeptColors) -> RefitSums:
        return source.fold_bands(partial(refit_sums, palette=kept.palette, search=search), add)

    if rounds == 0:
        return _distinct(begun(weights[0]).palette)
    tried = []
    for start in map(begun, weights):
        sums = sums_of(start)
        kept = fitted(start, sums)
        tried.append((sums.energy(coordinates_of(kept.palette)), kept))
    _, kept = min(tried, key=itemgetter(0))
    for _ in range(rounds - 1):
        kept = fitted(kept, sums_of(kept))
    return _distinct(kept.palette)


def _weights(cells: Cells, flat: ColorHistogram, pixels: int) -> list[npt.NDArray[np.int64]]:
    """Weights int64 (m,) of cells to begin the search with; where there are several, the best in the mean first.

    Powers of the counts, in whole numbers: the lower the power, the more likely has a color of few pixels an entry of
    its own. Where areas are flat, counts differ so much that no power is the best for every picture.
    """
    counts = cells.counts
    usual = np.sqrt(counts * np.floor(np.sqrt(counts))).astype(np.int64)
    if flat.counts.sum() * _FLAT_PICTURE < pixels:
        return [usual]
    return [usual, counts, np.sqrt(counts << 12).astype(np.int64)]


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
