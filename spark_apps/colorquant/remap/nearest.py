"""Remap: pixels to the indexes of their nearest palette entries, which are found once for each distinct color."""

import numpy as np
from numba import njit

from colorquant.colors import count_colors, kernel_input
from colorquant.kmeans import nearest
from colorquant.pixels import Pixels


def remap(pixels: Pixels, palette: Pixels) -> Pixels:
    """Remap pixels to their nearest palette entries.

    Parameters
    ----------
    pixels : uint8 (h, w, 3)
        An image or a band of its rows.
    palette : uint8 (k, 3), 1 <= k <= 256
        Ties go to the entry with the lower index.

    Returns
    -------
    uint8 (h, w)
    """
    colors = count_colors(pixels).colors
    return look_up(pixels, index_table(colors, nearest(colors, palette)))


def index_table(colors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A table uint8 (2^24,) from packed color to index, of colors uint32 (n,) and labels uint8 (n,); else undefined."""
    table = np.empty(1 << 24, np.uint8)
    table[colors] = labels
    return table


def look_up(pixels: Pixels, table: np.ndarray) -> Pixels:
    """Index map uint8 (h, w) of pixels uint8 (h, w, 3), from a table of ``index_table`` that has all their colors."""
    indexes = np.empty(pixels.shape[:2], np.uint8)
    _look_up(kernel_input(pixels).reshape(-1, 3), table, indexes.reshape(-1))
    return indexes


@njit(cache=True, nogil=True)
def _look_up(pixels: np.ndarray, table: np.ndarray, indexes: np.ndarray) -> None:
    """Write the indexes uint8 (n,) of pixels uint8 (n, 3)."""
    for i in range(len(pixels)):
        red, green, blue = np.uint32(pixels[i, 0]), np.uint32(pixels[i, 1]), np.uint32(pixels[i, 2])
        indexes[i] = table[(red << np.uint32(16)) | (green << np.uint32(8)) | blue]
