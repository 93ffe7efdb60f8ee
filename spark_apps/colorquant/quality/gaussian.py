"""The Gaussian filter of SSIM and SSIMULACRA2, an 11 x 11 window, applied row by row.

Each row is filtered horizontally as it is read. The last eleven filtered rows give, filtered vertically, one row of the
result. So the working memory fits into the processor's cache at any image size.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

#: Radius and width of the window, in pixels.
RADIUS = 5
WINDOW = 2 * RADIUS + 1
_SIGMA = 1.5


def weights(dtype: npt.DTypeLike) -> npt.NDArray:
    """The six weights from the window's center outwards (sigma 1.5). Both sides together add up to 1."""
    bell = np.exp(-(np.arange(RADIUS + 1) ** 2) / (2 * _SIGMA**2))
    return (bell / (2 * bell.sum() - bell[0])).astype(dtype)


# Compiled for the machine, the loops run on 8 or 16 pixels at a time; "contract" allows fused multiply-add.
@njit(cache=True, nogil=True, fastmath={"contract"})
def blur_across(row: npt.NDArray, weights: npt.NDArray, blurred: npt.NDArray) -> None:
    """Filter a row (n,) horizontally into ``blurred`` (n - 10,): the windows that lie wholly inside the row."""
    w0, w1, w2, w3, w4, w5 = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
    for x in range(len(blurred)):
        blurred[x] = (
            w0 * row[x + 5]
            + w1 * (row[x + 4] + row[x + 6])
            + w2 * (row[x + 3] + row[x + 7])
            + w3 * (row[x + 2] + row[x + 8])
            + w4 * (row[x + 1] + row[x + 9])
            + w5 * (row[x] + row[x + 10])
        )


@njit(cache=True, nogil=True, fastmath={"contract"})
def blur_down(rows: npt.NDArray, at: npt.NDArray, weights: npt.NDArray, blurred: npt.NDArray) -> None:
    """Filter eleven rows (11, n) vertically into one, ``blurred`` (n,); ``at`` (11,) is their order from the top."""
    w0, w1, w2, w3, w4, w5 = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
    a, b, c, d, e = rows[at[0]], rows[at[1]], rows[at[2]], rows[at[3]], rows[at[4]]
    center = rows[at[5]]
    f, g, h, i, j = rows[at[6]], rows[at[7]], rows[at[8]], rows[at[9]], rows[at[10]]
    for x in range(len(blurred)):
        blurred[x] = (
            w0 * center[x] + w1 * (e[x] + f[x]) + w2 * (d[x] + g[x]) + w3 * (c[x] + h[x]) + w4 * (b[x] + i[x])
        ) + w5 * (a[x] + j[x])
