"""Ordered dithering: a pixel takes one of two palette entries whose mixture comes close to its color.

Which of the two is decided by a mask of blue noise, laid over the image like tiles: no error is passed on from pixel to
pixel, so that bands of the image can be done by themselves, in any order. The mask is made by the void-and-cluster
method (Ulichney 1993), in whole numbers, so that it is the same on every machine.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

MASK_SIDE = 64
"""As many rows as the bands of ``rate_aware``: a band of an image begins at a multiple of this."""

_SIGMA = 1.5
_ENERGY_UNIT = 1 << 20
# What the noise of a mixture counts beside its mean's error: 0 would mix black and white for grey.
_NOISE_WEIGHT = 0.1


@dataclass(frozen=True)
class Dither:
    """In the place of a ``rate_aware.RateModel``: that pixels are dithered.

    ``top`` and ``left`` are where the first pixel lies in its image, so that a part of it is dithered as the whole is;
    what begins at multiples of ``MASK_SIDE`` need not say so.
    """

    top: int = 0
    left: int = 0


def dithered(
    pixels_shape: tuple[int, ...],
    dither: Dither,
    places: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    share: np.ndarray,
) -> np.ndarray:
    """Index map of pixels by the mixtures of their colors.

    Parameters
    ----------
    pixels_shape : (h, w, ...)
        Of an image or a part of it.
    dither : Dither
        Where that part lies.
    places : integers (h * w,)
        The color of each pixel.
    first, second, share
        Of each color, as ``mixtures`` gives them.

    Returns
    -------
    uint8 (h, w)
    """
    height, width = pixels_shape[:2]
    across, down = -(-width // MASK_SIDE), -(-height // MASK_SIDE)
    mask = np.roll(blue_noise(), (-dither.top, -dither.left), axis=(0, 1))
    thresholds = np.tile(mask, (down, across))[:height, :width]
    places = places.reshape(height, width)
    return np.where(share[places] > thresholds, second[places], first[places])


@njit(cache=True, nogil=True)
def mixtures(positions: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two entries for each color, and the share of the second in their mixture.

    Parameters
    ----------
    positions : float64 (n, d)
    entries : float64 (k, d)

    Returns
    -------
    first, second : uint8 (n,)
        The nearest entry, and the one with which its mixture is best: nearest to the color and with little noise.
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
        first[i], second[i], share[i] = nearest, best, np.uint16(best_share * MASK_SIDE * MASK_SIDE)
    return first, second, share


@lru_cache(maxsize=1)
def blue_noise() -> np.ndarray:
    """The mask, uint16 (64, 64): each number below 4096 once; those below any number are spread evenly."""
    reach = np.minimum(np.arange(MASK_SIDE), MASK_SIDE - np.arange(MASK_SIDE))
    squares = reach[:, None] ** 2 + reach[None, :] ** 2
    kernel = np.rint(_ENERGY_UNIT * np.exp(-squares / (2 * _SIGMA**2))).astype(np.int64)
    start = np.zeros((MASK_SIDE, MASK_SIDE), np.bool_)
    start.ravel()[np.random.default_rng(1).permutation(MASK_SIDE**2)[: MASK_SIDE**2 // 10]] = True
    return _void_and_cluster(start, kernel)


@njit(cache=True)
def _add(energy: np.ndarray, kernel: np.ndarray, place: int, sign: int) -> None:
    side = len(energy)
    row, column = place // side, place % side
    for y in range(side):
        for x in range(side):
            energy[y, x] += sign * kernel[y - row, x - column]


@njit(cache=True)
def _extreme(energy: np.ndarray, ones: np.ndarray, value: bool) -> int:
    """The tightest cluster among the ones (``value``), or the largest void among the zeros; the first such place."""
    side, found, best = len(energy), -1, np.int64(0)
    for place in range(side * side):
        y, x = place // side, place % side
        if ones[y, x] == value:
            at = energy[y, x] if value else -energy[y, x]
            if found < 0 or at > best:
                found, best = place, at
    return found


@njit(cache=True)
def _void_and_cluster(start: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    side = len(start)
    ones, energy = start.copy(), np.zeros((side, side), np.int64)
    for place in range(side * side):
        if ones[place // side, place % side]:
            _add(energy, kernel, place, 1)
    while True:  # Until the tightest cluster is also what fills the largest void.
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
