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
from colorquant.colors import Cells, ColorHistogram, count_colors, merge_cells, merge_histograms, unpack_colors
from colorquant.kmeans import lloyd, points_at, search_centroids
from colorquant.perception.direct_search import DirectSearch
from colorquant.perception.eye_model import colors_at, colors_with_alpha_at, coordinates_of, is_neutral
from colorquant.perception.importance import important_cells
from colorquant.perception.refit import refit_sums, refitted
from colorquant.remap import BAND_ROWS

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
    cells = source.fold_bands(important_cells, lambda one, other: merge_cells([one, other]))
    weights = _weights(cells)
    points = points_at(coordinates_of(np.floor(cells.means + 0.5).astype(np.uint8)).astype(np.int64), weights)
    centroids = search_centroids(points, k, np.random.default_rng(seed), pool)
    entries = lloyd(points, centroids, LLOYD_ROUNDS, 1e-4, pool=pool).T.astype(np.float64)
    palette, pinned = _with_flat_colors(_distinct(colors_at(entries)), flat_colors_of(source), pixels)
    for _ in range(rounds):
        sums = source.fold_bands(partial(refit_sums, palette=palette, search=search), add)
        coordinates = coordinates_of(palette)
        free = np.repeat(~pinned[:, None], 3, axis=1)
        free[is_neutral(coordinates)] &= np.array([False, True, False])
        moved = colors_at(refitted(coordinates.astype(np.float64), sums, free))
        moved[pinned] = palette[pinned]
        palette, pinned = moved[sums.used], pinned[sums.used]
    return _distinct(palette)


def fit_alpha_palette(
    source: BandedColors, k: int, seed: int, search: DirectSearch, rounds: int
) -> npt.NDArray[np.uint8]:
    """``fit_palette`` of an image with alpha, uint8 (k', 4): what looks best on black and on white.

    Where pixels are fully transparent, so is the first entry, and opaque entries stay opaque.
    """
    cells = source.fold_bands(important_cells, lambda one, other: alpha.merge_cells([one, other]))
    weights = _weights(cells)[:, None]
    pinned = bool(k > 1 and cells.keys[0] == 0)
    counts = cells.counts[:, None]
    means = (2 * cells.sums + counts) // (2 * counts)
    palette = alpha.nearest_colors(alpha.search_centroids(means, weights[:, 0], k, seed, pinned))
    if (alpha.nearest_colors(means)[:, 3] >= _ALMOST_OPAQUE).any():
        palette[palette[:, 3] >= min(_ALMOST_OPAQUE, palette[:, 3].max()), 3] = 255
    palette = _distinct(palette)
    for _ in range(rounds):
        sums = source.fold_bands(partial(refit_sums, palette=palette, search=search), add)
        coordinates = coordinates_of(palette)
        free = np.repeat(palette[:, 3:] > 0, 6, axis=1)
        moved = colors_with_alpha_at(refitted(coordinates.astype(np.float64), sums, free))
        moved[palette[:, 3] == 255, 3] = 255
        moved[palette[:, 3] == 0] = 0
        palette = moved[sums.used]
    return _distinct(palette)


def _weights(cells: Cells) -> npt.NDArray[np.int64]:
    """Weights int64 (m,) of cells for the search."""
    # To the power of 3/4, so that a color of its own keeps an entry also where it has few pixels. In whole numbers.
    return np.sqrt(cells.counts * np.floor(np.sqrt(cells.counts))).astype(np.int64)


def flat_colors_of(source: BandedColors) -> ColorHistogram:
    """The colors of pixels that have eight neighbors of the same color, and how many."""
    return source.fold_bands(flat_colors, lambda one, other: merge_histograms([one, other]))


def flat_colors(pixels: npt.NDArray[np.uint8]) -> ColorHistogram:
    """``flat_colors_of`` rows of an image from a multiple of 64 on, whose neighbors are looked for in bands of 64."""
    bands = [pixels[top : top + BAND_ROWS] for top in range(0, len(pixels), BAND_ROWS)]
    flat = np.concatenate([band[_is_flat(band)] for band in bands])
    return count_colors(flat[None])


def _is_flat(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    flat = np.zeros(pixels.shape[:2], np.bool_)
    if min(flat.shape) >= 3:
        rows = (pixels[1:] == pixels[:-1]).all(axis=2)
        rows = rows[1:] & rows[:-1]
        flat[1:-1, 1:-1] = rows[:, 2:] & rows[:, 1:-1] & rows[:, :-2]
        columns = (pixels[:, 1:] == pixels[:, :-1]).all(axis=2)
        flat[:, 1:-1] &= columns[:, 1:] & columns[:, :-1]
    return flat


def _with_flat_colors(
    palette: npt.NDArray[np.uint8], flat: ColorHistogram, pixels: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The palette in which colors of large flat areas stand exactly, and which entries these are, bool (k,)."""
    palette, pinned = palette.copy(), np.zeros(len(palette), np.bool_)
    order = np.argsort(-flat.counts, kind="stable")[: len(palette) // 2]
    large = order[flat.counts[order] * _LARGE_AREA >= pixels]
    for color in unpack_colors(flat.colors[large]):
        entries = coordinates_of(palette).astype(np.int64)
        distances = ((entries - coordinates_of(color)) ** 2).sum(axis=1)
        distances[pinned] = np.iinfo(np.int64).max
        nearest = np.argmin(distances)
        palette[nearest], pinned[nearest] = color, True
    return palette, pinned


def _distinct(palette: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.unique(palette, axis=0)
