"""The eye's model of the perceptual objective: a color space on a grid of whole numbers, and what the eye blurs.

Colors are compared in XYB (Alakuijala et al., 2019, JPEG XL), as SSIMULACRA2 does: linear light, mixed as by the eye's
cones, to the third root, as opponents: X (red against green), Y (luminance) and B - Y (blue against luminance). Errors
are compared after the eye's blur: the energy of an error is its product with itself, blurred by ``KERNEL``, so that an
error counts less where its neighbors' errors cancel it.

All is in whole numbers, with third roots that are exact, so that every machine decides alike.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.alpha import on_background
from colorquant.kmeans import GRID

Coordinates = npt.NDArray[np.int32]

LIMIT = 255 * GRID
"""The largest coordinate, as of the points of the K-Means search."""

# Rows sum to 1000, so that X and B - Y of neutral colors are exactly 0.
_CONES_PER_MILLE = np.array([[300, 622, 78], [230, 692, 78], [243, 205, 552]], np.int64)
_LEVELS = np.arange(256) / 255
_LINEAR_BITS = 20
_LINEAR = np.rint(
    np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4) * (1 << _LINEAR_BITS)
).astype(np.int64)
_BIAS = round(0.0037930732552754493 * 1000 * (1 << _LINEAR_BITS))
# Third roots of 1000 << _LINEAR_BITS << _ROOT_SHIFT: 10 << 16 for full light.
_ROOT_SHIFT = 28
_ROOT_OF_ONE = 10 << 16
# Steps of the grid for a difference of 1 in X, Y and B - Y. X counts 7 times, B - Y 0.8 times: measured to give the
# best SSIMULACRA2 of X from 5 to 10 times and B - Y from 0.5 to 1 times.
_STEPS = np.array([7 * 2400, 2400, 2400 * 4 // 5])
_ORIGIN = np.array([560, 0, 800])

# The blur of errors: a part of them as they are, and 16 parts blurred by a normal distribution of a deviation of one
# pixel, cut at 4 pixels; the autocorrelation of both.
_RADIUS, _BLURRED_PARTS = 4, 16
KERNEL_BITS = 8


def _kernel() -> npt.NDArray[np.int32]:
    reach = np.arange(-_RADIUS, _RADIUS + 1)
    normal = np.exp(-(reach[:, None] ** 2 + reach**2) / 4)
    kernel = _BLURRED_PARTS * normal / normal.sum()
    kernel[_RADIUS, _RADIUS] += 1
    return np.rint(kernel / kernel.max() * (1 << KERNEL_BITS)).astype(np.int32)


KERNEL = _kernel()
"""int32 (9, 9): what the errors of two pixels that lie so far apart count together; ``1 << KERNEL_BITS`` at 0."""

NO_BLUR = np.array([[1 << KERNEL_BITS]], np.int32)
"""The kernel of an eye that does not blur: the best entry is the nearest."""


def coordinates_of(colors: npt.NDArray[np.uint8]) -> Coordinates:
    """Coordinates int32 (..., 3) from 0 to ``LIMIT`` of sRGB colors uint8 (..., 3).

    Of colors with alpha uint8 (..., 4) int32 (..., 6): how they look on black, and on white.
    """
    if colors.shape[-1] == 4:
        sides = [coordinates_of(on_background(colors, level)) for level in (0, 255)]
        return np.concatenate(sides, axis=-1)
    coordinates = np.empty((colors.size // 3, 3), np.int32)
    _fill_coordinates(
        np.ascontiguousarray(colors).reshape(-1, 3), _LINEAR, _CONES_PER_MILLE, _STEPS, _ORIGIN, coordinates
    )
    return coordinates.reshape(colors.shape)


def is_neutral(coordinates: npt.NDArray) -> npt.NDArray[np.bool_]:
    """Which coordinates (..., 3) are those of greys."""
    return (coordinates[..., 0] == _ORIGIN[0]) & (coordinates[..., 2] == _ORIGIN[2])


def colors_at(coordinates: npt.NDArray) -> npt.NDArray[np.uint8]:
    """The sRGB colors uint8 (n, 3) whose coordinates are nearest to those given (n, 3); gray for neutral ones."""
    coordinates = np.asarray(coordinates, np.float64)
    x, y, b = ((coordinates - _ORIGIN) / _STEPS).T
    bias = _BIAS / (1000 << _LINEAR_BITS)
    cones = (np.stack([y + x, y - x, y + b], axis=1) + np.cbrt(bias)) ** 3 - bias
    linear = np.clip(cones @ np.linalg.inv(_CONES_PER_MILLE / 1000).T, 0, 1)
    guess = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    guess[is_neutral(coordinates)] = guess[is_neutral(coordinates)][:, 1:2]
    return np.floor(guess + 0.5).astype(np.uint8)


def colors_with_alpha_at(coordinates: npt.NDArray) -> npt.NDArray[np.uint8]:
    """The colors with alpha uint8 (n, 4) that look most like those at coordinates (n, 6), on black and on white."""
    on_black, on_white = (colors_at(coordinates[:, side]).astype(np.int64) for side in (slice(3), slice(3, 6)))
    alpha = 255 - np.clip(2 * (on_white - on_black).sum(axis=1) + 3, 0, 6 * 255) // 6
    premultiplied = (on_black + on_white - (255 - alpha)[:, None]) * 255
    channels = (premultiplied + np.maximum(alpha, 1)[:, None]) // (2 * np.maximum(alpha, 1)[:, None])
    colors = np.column_stack([np.clip(channels, 0, 255), alpha]).astype(np.uint8)
    colors[alpha == 0] = 0
    return colors


# Two thirds of the bias of a float64's exponent, less what makes the error of a linear mantissa smallest.
_THIRD_OF_BIAS = 0x2A9F7893782DA1CE


@njit(cache=True, nogil=True)
def _third_root(value: np.int64) -> np.int64:
    """The largest whole number whose third power is at most the value, which is from 1 to 2^60."""
    wanted = np.float64(value)
    # A third of the exponent (Kahan), then two rounds of Halley's method: in less than half of the time of a power.
    near = np.int64(wanted.view(np.int64) // 3 + _THIRD_OF_BIAS).view(np.float64)
    for _ in range(2):
        cube = near * near * near
        near *= (cube + 2 * wanted) / (2 * cube + wanted)
    root = np.int64(near)
    while root * root * root > value:
        root -= 1
    while (root + 1) * (root + 1) * (root + 1) <= value:
        root += 1
    return root


_ROOT_OF_BIAS = int(_third_root(np.int64(_BIAS << _ROOT_SHIFT)))


@njit(cache=True, nogil=True)
def _fill_coordinates(colors, linear, cones, steps, origin, coordinates):  # type: ignore[no-untyped-def]
    last = np.int64(-1)
    for i in range(len(colors)):
        packed = np.int64(colors[i, 0]) << 16 | np.int64(colors[i, 1]) << 8 | np.int64(colors[i, 2])
        if packed == last:
            for axis in range(3):
                coordinates[i, axis] = coordinates[i - 1, axis]
            continue
        last = packed
        red, green, blue = linear[colors[i, 0]], linear[colors[i, 1]], linear[colors[i, 2]]
        long = _third_root((cones[0, 0] * red + cones[0, 1] * green + cones[0, 2] * blue + _BIAS) << _ROOT_SHIFT)
        middle = _third_root((cones[1, 0] * red + cones[1, 1] * green + cones[1, 2] * blue + _BIAS) << _ROOT_SHIFT)
        short = _third_root((cones[2, 0] * red + cones[2, 1] * green + cones[2, 2] * blue + _BIAS) << _ROOT_SHIFT)
        twice_y = long + middle - 2 * _ROOT_OF_BIAS
        opponents = (long - middle, twice_y, 2 * (short - _ROOT_OF_BIAS) - twice_y)
        for axis in range(3):
            coordinate = (opponents[axis] * steps[axis] + _ROOT_OF_ONE) // (2 * _ROOT_OF_ONE) + origin[axis]
            coordinates[i, axis] = min(max(coordinate, 0), LIMIT)
