"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli, 2004), summed over the windows inside an image.

DOI 10.1109/TIP.2003.819861.
"""

from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.pixels import Pixels
from colorquant.quality.gaussian import WINDOW, blur_across, blur_down, weights

_CHANNELS = 3
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_WEIGHTS = weights(np.float64)
# Up to this width, the working memory of a row of windows fits into the second-level cache.
_COLUMNS = 1024


def similarity_sum(reference: Pixels, decoded: Pixels, pool: Executor | None = None) -> float:
    """Sum of the structural similarity over all windows inside the image and its three channels.

    Parameters
    ----------
    reference, decoded : uint8 (H, W, 3)
        Of the same shape, with no side shorter than the window (11).
    pool : Executor, optional
        Of threads, which then share the columns. The sum is the same.
    """
    windows = reference.shape[1] - WINDOW + 1

    def sum_of_columns(left: int) -> float:
        return _sum_of_columns(reference, decoded, left, min(_COLUMNS, windows - left), _WEIGHTS)

    lefts = range(0, windows, _COLUMNS)
    return sum(map(sum_of_columns, lefts) if pool is None else pool.map(sum_of_columns, lefts))


@njit(cache=True, nogil=True)
def _sum_of_columns(reference: Pixels, decoded: Pixels, left: int, windows: int, weights: npt.NDArray) -> float:
    """The sum over ``windows`` columns of windows, the first of which begin at the column ``left``."""
    planes = np.empty((4, windows + WINDOW - 1))
    rows = np.empty((_CHANNELS, 4, WINDOW, windows))
    means = np.empty((4, windows))
    sums = np.zeros(windows)
    at = np.empty(WINDOW, np.intp)
    for y in range(len(reference)):
        for channel in range(_CHANNELS):
            _four_planes(reference[y, left:, channel], decoded[y, left:, channel], planes)
            for plane in range(4):
                blur_across(planes[plane], weights, rows[channel, plane, y % WINDOW])
        if y < WINDOW - 1:
            continue
        for step in range(WINDOW):
            at[step] = (y + 1 + step) % WINDOW
        for channel in range(_CHANNELS):
            for plane in range(4):
                blur_down(rows[channel, plane], at, weights, means[plane])
            _add_similarity(means[0], means[1], means[2], means[3], sums)
    total = 0.0
    for x in range(windows):
        total += sums[x]
    return total


@njit(cache=True, nogil=True)
def _four_planes(x: Pixels, y: Pixels, planes: npt.NDArray) -> None:
    """Both rows, the squares of their differences, and their products, as float64 (4, n)."""
    for column in range(planes.shape[1]):
        one, other = np.int32(x[column]), np.int32(y[column])
        planes[0, column] = one
        planes[1, column] = other
        planes[2, column] = (one - other) * (one - other)
        planes[3, column] = one * other


@njit(cache=True, nogil=True, error_model="numpy")
def _add_similarity(
    mean_x: npt.NDArray, mean_y: npt.NDArray, square_difference: npt.NDArray, product: npt.NDArray, sums: npt.NDArray
) -> None:
    """Add the similarity by the textbook formula, with four local means instead of five.

    x² + y² = (x - y)² + 2xy holds for the pixels and for their local means. So where both images are equal, the
    numerator and the denominator are the same numbers.
    """
    for x in range(len(sums)):
        twice_product_of_means = 2 * mean_x[x] * mean_y[x]
        difference = mean_x[x] - mean_y[x]
        sum_of_squared_means = difference * difference + twice_product_of_means
        twice_mean_product = 2 * product[x]
        twice_covariance = twice_mean_product - twice_product_of_means
        sum_of_variances = square_difference[x] + twice_mean_product - sum_of_squared_means
        sums[x] += ((twice_product_of_means + _C1) * (twice_covariance + _C2)) / (
            (sum_of_squared_means + _C1) * (sum_of_variances + _C2)
        )
