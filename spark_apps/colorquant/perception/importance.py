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
from colorquant.colors import CELL_LIMIT, Cells, ColorHistogram, kernel_input, sum_by_key, unpack_colors
from colorquant.perception.eye_model import coordinates_of
from colorquant.remap import BAND_ROWS

_RADIUS = 2
_LARGEST = 64
_HALVING_ACTIVITY = 40


def importance(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Weights int64 (h, W), from 1 to 64, of pixels uint8 (h, W, 3 or 4), rows of an image from a multiple of 64 on."""
    weights = np.empty(pixels.shape[:2], np.int64)
    for top in range(0, len(pixels), BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        luminances = coordinates_of(pixels[band])[..., 1::3]
        sides = np.empty((luminances.shape[2], *luminances.shape[:2]), np.int64)
        for side, weight in enumerate(sides):
            _weigh(np.ascontiguousarray(luminances[..., side]), weight)
        weights[band] = sides.min(axis=0)
    return weights


def important_cells(pixels: npt.NDArray[np.uint8]) -> Cells:
    """The room's ``coarse_cells``, for RGB or with alpha, of such rows, weighted by importance."""
    weights = importance(pixels).reshape(-1)
    if pixels.shape[2] == 4:
        distinct, of_pixels = np.unique(alpha.pack(pixels), return_inverse=True)
        totals = np.zeros(len(distinct), np.int64)
        np.add.at(totals, of_pixels, weights)
        return alpha.coarse_cells(ColorHistogram(distinct, totals))
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    keys = (red << np.uint32(16) | green << np.uint32(8) | blue).ravel()
    colors, weights = sum_by_key(kernel_input(keys), weights[:, None])
    return Cells(Cells.EXACT, colors, unpack_colors(colors) * weights, weights[:, 0].copy()).within(CELL_LIMIT)


@njit(cache=True, nogil=True)
def _weigh(luminance: npt.NDArray[np.int32], weights: npt.NDArray[np.int64]) -> None:
    height, width = luminance.shape
    for y in range(height):
        top, bottom = max(0, y - _RADIUS), min(height, y + _RADIUS + 1)
        for x in range(width):
            left, right = max(0, x - _RADIUS), min(width, x + _RADIUS + 1)
            total, squares = np.int64(0), np.int64(0)
            for row in range(top, bottom):
                for column in range(left, right):
                    value = np.int64(luminance[row, column])
                    total += value
                    squares += value * value
            pixels = (bottom - top) * (right - left)
            # The square root is IEEE 754's, correctly rounded, of a whole number below 2^53.
            activity = np.int64(np.sqrt(float(pixels * squares - total * total)))
            smooth = _HALVING_ACTIVITY * pixels
            weights[y, x] = max(1, _LARGEST * smooth // (smooth + activity))
