"""Ordered dithering: a pixel takes one of two palette entries whose mixture comes close to its color.

A mask of blue noise, repeated over the image like tiles, decides which of the two: no error passes from pixel to
pixel, so bands of the image can be remapped in any order. The mask is made by the void-and-cluster method (Ulichney
1993, DOI 10.1117/12.152707), in whole numbers, so it is the same on every machine.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from colorquant.arithmetic import ceil_div
from colorquant.pixels import Pixels
from colorquant.remap.bands import BAND_ROWS

_MASK_SIDE = BAND_ROWS
_SIGMA = 1.5
_ENERGY_UNIT = 1 << 20
# The weight of a mixture's noise, compared with the error of its mean: with 0, black and white would be mixed to gray.
_NOISE_WEIGHT = 0.1


@dataclass(frozen=True)
class Dither:
    """A remapping by dithering, as ``rate_aware.RateModel`` is one by rate.

    Attributes
    ----------
    top, left : int
        Row and column of the first pixel in its image, so that a part is dithered as in the whole. Multiples of
        ``BAND_ROWS`` are the same as 0.
    """

    top: int = 0
    left: int = 0


def dithered(
    pixels_shape: tuple[int, ...],
    dither: Dither,
    colors: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    share: np.ndarray,
) -> Pixels:
    """Index map of pixels, from the mixtures of their colors.

    Parameters
    ----------
    pixels_shape : (h, w, ...)
        Of an image or a part of it.
    dither : Dither
        Where that part begins.
    colors : integers (h * w,) or (h, w)
        Index into the following of the color of each pixel.
    first, second, share : (n,)
        Of each distinct color, as ``mixtures`` gives them.

    Returns
    -------
    uint8 (h, w)
    """
    height, width = pixels_shape[:2]
    across, down = ceil_div(width, _MASK_SIDE), ceil_div(height, _MASK_SIDE)
    mask = np.roll(blue_noise(), (-dither.top, -dither.left), axis=(0, 1))
    thresholds = np.tile(mask, (down, across))[:height, :width]
    colors = colors.reshape(height, width)
    return np.where(share[colors] > thresholds, second[colors], first[colors])


@njit(cache=True, nogil=True)
def mixtures(positions: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two palette entries whose mixture is best for each color, and the share of the second in it.

    Parameters
    ----------
    positions : float64 (n, d)
        Of the colors, in a space whose Euclidean distance is the error.
    entries : float64 (k, d)

    Returns
    -------
    first, second : uint8 (n,)
        The nearest entry, and the one whose mixture with it is near the color with little noise.
    share : uint16 (n,)
        Of 4096, up to one half; 0 where the nearest entry alone is best.
    """
    n, k, d = len(positions), len(entries), positions.shape[1]
    first, second, share = np.zeros(n, np.uint8), np.zeros(n, np.uint8), np.zeros(n, np.uint16)
    for i in range(n):
        nearest, least = 0, np.inf
        for j in range(k):
            distance = 0.0
            for axis in range(d):
                distance += (positions[i, axis] - entries[j, axis]) ** 2
            if distance < least:
                nearest, least = j, distance
        best, best_share, best_cost = nearest, 0.0, least
        for j in range(k):
            length, along = 0.0, 0.0
            for axis in range(d):
                step = entries[j, axis] - entries[nearest, axis]
                length += step * step
                along += step * (positions[i, axis] - entries[nearest, axis])
            if length == 0 or along <= 0:
                continue
            part = min(along / length, 0.5)
            # Squared distance of the mean from the color, and the variance of the mixture.
            cost = least - 2 * part * along + part * part * length + _NOISE_WEIGHT * part * (1 - part) * length
            if cost < best_cost:
                best, best_share, best_cost = j, part, cost
        first[i], second[i], share[i] = nearest, best, np.uint16(best_share * _MASK_SIDE * _MASK_SIDE)
    return first, second, share


@lru_cache(maxsize=1)
def blue_noise() -> np.ndarray:
    """The mask, uint16 (64, 64): each threshold below 4096 once; the cells below any threshold are spread evenly."""
    reach = np.minimum(np.arange(_MASK_SIDE), _MASK_SIDE - np.arange(_MASK_SIDE))
    squares = reach[:, None] ** 2 + reach[None, :] ** 2
    kernel = np.rint(_ENERGY_UNIT * np.exp(-squares / (2 * _SIGMA**2))).astype(np.int64)
    start = np.zeros((_MASK_SIDE, _MASK_SIDE), np.bool_)
    start.ravel()[np.random.default_rng(1).permutation(_MASK_SIDE**2)[: _MASK_SIDE**2 // 10]] = True
    return _void_and_cluster(start, kernel)


@njit(cache=True)
def _add(energy: np.ndarray, kernel: np.ndarray, cell: int, sign: int) -> None:
    """Add the kernel int64 (side, side), centered on a cell of the mask, to the energy of all cells, or subtract it."""
    side = len(energy)
    row, column = cell // side, cell % side
    for y in range(side):
        for x in range(side):
            energy[y, x] += sign * kernel[y - row, x - column]


@njit(cache=True)
def _extreme(energy: np.ndarray, ones: np.ndarray, value: bool) -> int:
    """The tightest cluster among the ones (``value``), or the largest void among the zeros; of equal ones the first."""
    side, found, best = len(energy), -1, np.int64(0)
    for cell in range(side * side):
        y, x = cell // side, cell % side
        if ones[y, x] == value:
            at = energy[y, x] if value else -energy[y, x]
            if found < 0 or at > best:
                found, best = cell, at
    return found


@njit(cache=True)
def _void_and_cluster(start: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Ranks uint16 (side, side), from a pattern of ones bool (side, side) and a kernel int64 (side, side)."""
    side = len(start)
    ones, energy = start.copy(), np.zeros((side, side), np.int64)
    for cell in range(side * side):
        if ones[cell // side, cell % side]:
            _add(energy, kernel, cell, 1)
    while True:  # Until the one that leaves the tightest cluster fills the largest void.
        cluster = _extreme(energy, ones, True)
        ones[cluster // side, cluster % side] = False
        _add(energy, kernel, cluster, -1)
        void = _extreme(energy, ones, False)
        ones[void // side, void % side] = True
        _add(energy, kernel, void, 1)
        if void == cluster:
            break
    ranks = np.zeros((side, side), np.uint16)
    count = np.count_nonzero(ones)
    left, left_energy = ones.copy(), energy.copy()
    for rank in range(count - 1, -1, -1):
        cluster = _extreme(left_energy, left, True)
        left[cluster // side, cluster % side] = False
        _add(left_energy, kernel, cluster, -1)
        ranks[cluster // side, cluster % side] = rank
    for rank in range(count, side * side):
        void = _extreme(energy, ones, False)
        ones[void // side, void % side] = True
        _add(energy, kernel, void, 1)
        ranks[void // side, void % side] = rank
    return ranks
