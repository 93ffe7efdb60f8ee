"""Importance of pixels: those in smooth areas, where bands and blots show, count more than those in texture.

What hides an error is the activity of its surroundings (masking). A pixel's weight is 64 / (1 + a / 40), where a is the
standard deviation of the luminance around it, in steps of the eye's space (``eye_model``; 40 are 2 % of the range).
Weights are whole numbers, and surroundings end at bands of 64 rows, so that the weighted colors of an image do not
depend on how it is split.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant import alpha
from colorquant.colors import Cells, ColorHistogram, coarse_cells, kernel_input, sum_by_key
from colorquant.perception.eye_model import coordinates_of
from colorquant.remap import BAND_ROWS

_RADIUS = 2
_LARGEST = 64
_HALVING_ACTIVITY = 40


def importance(coordinates: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Weights uint8 (h, W), from 1 to 64, of the pixels of one band, by their coordinates int32 (h, W, 3 or 6)."""
    sides = np.empty((coordinates.shape[2] // 3, *coordinates.shape[:2]), np.uint8)
    for side, weights in enumerate(sides):
        _weigh(np.ascontiguousarray(coordinates[..., 1 + 3 * side]), weights)
    return sides[0] if len(sides) == 1 else sides.min(axis=0)


def important_cells(pixels: npt.NDArray[np.uint8], given: npt.NDArray[np.uint8] | None = None) -> Cells:
    """The room's ``coarse_cells``, for RGB or with alpha, weighted by importance.

    Parameters
    ----------
    pixels : uint8 (h, W, 3 or 4)
        Rows of an image from a multiple of 64 on.
    given : uint8 (h, W), optional
        Other weights of the pixels, from 1 to 64, which those of the importance multiply.
    """
    bands = [pixels[top : top + BAND_ROWS] for top in range(0, len(pixels), BAND_ROWS)]
    weights = np.concatenate([importance(coordinates_of(band)).ravel() for band in bands]).astype(np.int64)
    if given is not None:
        # A product of 12 bits in 9, so that the search can add up the weights of the largest image.
        weights = np.maximum(weights * given.ravel() >> 3, 1)
    colors = weighted_colors(pixels, weights)
    return alpha.coarse_cells(colors) if pixels.shape[2] == 4 else coarse_cells(colors)


def weighted_colors(pixels: npt.NDArray[np.uint8], weights: npt.NDArray[np.int64]) -> ColorHistogram:
    """The colors of pixels uint8 (..., 3 or 4) with the sums of their weights int64 (n,), in the place of counts."""
    if pixels.shape[-1] == 4:
        distinct, of_pixels = np.unique(alpha.pack(pixels), return_inverse=True)
        totals = np.zeros(len(distinct), np.int64)
        np.add.at(totals, of_pixels, weights)
        return ColorHistogram(distinct, totals)
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    keys = (red << np.uint32(16) | green << np.uint32(8) | blue).ravel()
    colors, sums = sum_by_key(kernel_input(keys), weights[:, None])
    return ColorHistogram(colors, sums[:, 0].copy())


@njit(cache=True, nogil=True)
def _weigh(luminance: npt.NDArray[np.int32], weights: npt.NDArray[np.uint8]) -> None:
    height, width = luminance.shape
    # Of each column, over the rows around; their sums over columns around are those of a pixel.
    totals, squares = np.zeros(width, np.int64), np.zeros(width, np.int64)
    for y in range(-_RADIUS, height):
        if y + _RADIUS < height:
            for x in range(width):
                value = np.int64(luminance[y + _RADIUS, x])
                totals[x] += value
                squares[x] += value * value
        if y - _RADIUS > 0:
            for x in range(width):
                value = np.int64(luminance[y - _RADIUS - 1, x])
                totals[x] -= value
                squares[x] -= value * value
        if y < 0:
            continue
        rows = min(height, y + _RADIUS + 1) - max(0, y - _RADIUS)
        total, square = totals[:_RADIUS].sum(), squares[:_RADIUS].sum()
        for x in range(width):
            if x + _RADIUS < width:
                total += totals[x + _RADIUS]
                square += squares[x + _RADIUS]
            if x - _RADIUS > 0:
                total -= totals[x - _RADIUS - 1]
                square -= squares[x - _RADIUS - 1]
            pixels = rows * (min(width, x + _RADIUS + 1) - max(0, x - _RADIUS))
            # The square root is IEEE 754's, correctly rounded, of a whole number below 2^53.
            activity = np.int64(np.sqrt(float(pixels * square - total * total)))
            smooth = _HALVING_ACTIVITY * pixels
            weights[y, x] = max(1, _LARGEST * smooth // (smooth + activity))
