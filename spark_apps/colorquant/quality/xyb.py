"""The color space XYB of SSIMULACRA2: the cube root of linear light, mixed as by the cones of the eye."""

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.pixels import Pixels

Plane = npt.NDArray[np.float32]

_TO_CONES = np.array(
    [[0.30, 0.622, 0.078], [0.23, 0.692, 0.078], [0.24342268924547819, 0.20476744424496821, 0.55180986650955360]],
    np.float32,
)
_BIAS = np.float32(0.0037930732552754493)
_ROOT_OF_BIAS = np.float32(0.0037930732552754493 ** (1 / 3))
_levels = np.arange(256) / 255
_LINEAR = np.where(_levels <= 0.04045, _levels / 12.92, ((_levels + 0.055) / 1.055) ** 2.4).astype(np.float32)

# The bits of a float, divided by 3 and shifted by this, are its cube root to 3 %. Two steps of Halley's method follow.
_ROOT_OFFSET = np.float32(0x2A5137A0)
_THIRD = np.float32(1 / 3)
_HALF, _QUARTER, _TWO = np.float32(0.5), np.float32(0.25), np.float32(2)
_X_SCALE, _X_SHIFT, _Y_SHIFT, _B_SHIFT = np.float32(7), np.float32(0.42), np.float32(0.01), np.float32(0.55)


def linear_planes(pixels: Pixels) -> Plane:
    """Linear light, float32 (3, H, W), of sRGB pixels uint8 (H, W, 3)."""
    return _linear_planes(np.ascontiguousarray(pixels), _LINEAR)


@njit(cache=True, nogil=True)
def _linear_planes(pixels: Pixels, linear: Plane) -> Plane:
    height, width = pixels.shape[:2]
    planes = np.empty((3, height, width), np.float32)
    for y in range(height):
        for channel in range(3):
            for x in range(width):
                planes[channel, y, x] = linear[pixels[y, x, channel]]
    return planes


@njit(cache=True, nogil=True)
def halved(planes: Plane) -> Plane:
    """Means of 2 x 2 pixels, float32 (3, ceil(H / 2), ceil(W / 2)); at an odd edge, of one row or column."""
    height, width = planes.shape[1:]
    half = np.empty((3, (height + 1) // 2, (width + 1) // 2), np.float32)
    for channel in range(3):
        for y in range(half.shape[1]):
            upper, lower = planes[channel, 2 * y], planes[channel, min(2 * y + 1, height - 1)]
            for x in range(width // 2):
                half[channel, y, x] = _QUARTER * (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1])
            if width % 2 == 1:
                half[channel, y, width // 2] = _HALF * (upper[width - 1] + lower[width - 1])
    return half


@njit(cache=True, nogil=True)
def xyb_rows(linear: Plane, space: Plane, x: Plane, y: Plane, b: Plane) -> None:
    """The rows X, Y and B - Y, shifted to be positive, of a row of linear light float32 (3, W).

    Parameters
    ----------
    linear : float32 (3, W)
    space : float32 (5, W)
        Working memory.
    x, y, b : float32 (W,)
        The result.
    """
    mixed, guess = space[3], space[4]
    for cone in range(3):
        _mix(linear, _TO_CONES[cone], mixed)
        _cube_root(mixed, mixed.view(np.int32), guess, guess.view(np.int32), space[cone])
    _opponents(space[0], space[1], space[2], x, y, b)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _mix(linear: Plane, parts: Plane, mixed: Plane) -> None:
    red, green, blue = linear[0], linear[1], linear[2]
    for x in range(len(mixed)):
        mixed[x] = parts[0] * red[x] + parts[1] * green[x] + parts[2] * blue[x] + _BIAS


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _cube_root(
    values: Plane, bits: npt.NDArray[np.int32], guess: Plane, guess_bits: npt.NDArray[np.int32], roots: Plane
) -> None:
    """The cube roots minus that of the bias, to the precision of float32."""
    for x in range(len(values)):
        guess_bits[x] = np.int32(np.float32(bits[x]) * _THIRD + _ROOT_OFFSET)
    for x in range(len(values)):
        value, root = values[x], guess[x]
        cube = root * root * root
        root = root * (cube + _TWO * value) / (_TWO * cube + value)
        cube = root * root * root
        roots[x] = root * (cube + _TWO * value) / (_TWO * cube + value) - _ROOT_OF_BIAS


@njit(cache=True, nogil=True)
def _opponents(red: Plane, green: Plane, blue: Plane, x: Plane, y: Plane, b: Plane) -> None:
    for column in range(len(red)):
        luma = _HALF * (red[column] + green[column])
        x[column] = _X_SCALE * (red[column] - green[column]) + _X_SHIFT
        y[column] = luma + _Y_SHIFT
        b[column] = blue[column] - luma + _B_SHIFT
