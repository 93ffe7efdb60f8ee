"""Remap: pixels to indexes of their nearest palette entries."""

import numpy as np
from numba import njit

from colorquant.histogram import count_colors
from colorquant.kmeans import nearest


def remap(pixels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Index of the nearest palette entry of every pixel, decided once for each distinct color.

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
    return remap_colors(pixels, colors, nearest(colors, palette))


def remap_colors(pixels: np.ndarray, colors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Look up the index of every pixel, given the index uint8 (n,) of every packed color (n,)."""
    indexes = np.empty(pixels.shape[:2], np.uint8)
    _look_up(np.ascontiguousarray(pixels).reshape(-1, 3), colors, labels, indexes.reshape(-1))
    return indexes


@njit(cache=True, nogil=True)
def _look_up(pixels: np.ndarray, colors: np.ndarray, labels: np.ndarray, indexes: np.ndarray) -> None:
    table = np.empty(1 << 24, np.uint8)
    for i in range(len(colors)):
        table[colors[i]] = labels[i]
    for i in range(len(pixels)):
        color = (np.uint32(pixels[i, 0]) << 16) | (np.uint32(pixels[i, 1]) << 8) | np.uint32(pixels[i, 2])
        indexes[i] = table[color]
