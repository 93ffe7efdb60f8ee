"""The space in which colors with alpha are compared: as they look on black and on white.

The distance of two colors is the mean of their squared RGB distances on black and on white. With the premultiplied
channels p = r * a / 255 that is ``sum (dp - da / 2)^2 + 3 (da / 2)^2``, a Euclidean distance in four dimensions.
Between opaque colors it is the RGB distance, and all fully transparent colors are one.

Coordinates are whole numbers, ``UNIT`` to a level, so distances and sums are exact: ``2 r a - 255 a`` for each
channel, and ``255 a``, which counts three times.
"""

import numpy as np
from numba import njit

from colorquant.pixels import Pixels

UNIT = 510
WEIGHTS = (1, 1, 1, 3)


def pack(pixels: Pixels) -> np.ndarray:
    """RGBA uint8 (..., 4) as uint32 0xAARRGGBB (n,); fully transparent pixels are 0."""
    channels = pixels.reshape(-1, 4).astype(np.uint32)
    packed = channels[:, 3] << 24 | channels[:, 0] << 16 | channels[:, 1] << 8 | channels[:, 2]
    return np.where(channels[:, 3] == 0, np.uint32(0), packed)


def unpack(colors: np.ndarray) -> Pixels:
    """Packed colors uint32 (n,) as RGBA uint8 (n, 4)."""
    return np.stack([colors >> 16, colors >> 8, colors, colors >> 24], axis=1).astype(np.uint8)


def coordinates(colors: np.ndarray) -> np.ndarray:
    """Coordinates int64 (n, 4) of packed colors uint32 (n,)."""
    positions = np.empty((len(colors), 4), np.int64)
    _fill_coordinates(colors, positions)
    return positions


@njit(cache=True, nogil=True)
def _fill_coordinates(colors: np.ndarray, positions: np.ndarray) -> None:
    for i in range(len(colors)):
        color = np.int64(colors[i])
        alpha = color >> 24
        for channel in range(3):
            positions[i, channel] = (2 * (color >> 16 - 8 * channel & 0xFF) - 255) * alpha
        positions[i, 3] = 255 * alpha


def squared_norms(positions: np.ndarray) -> np.ndarray:
    """Squared lengths int64 (n,) of coordinates int64 (n, 4); a squared level is ``UNIT ** 2``."""
    squares: np.ndarray = (positions * positions) @ np.array(WEIGHTS)
    return squares


def nearest_colors(positions: np.ndarray) -> Pixels:
    """The 8-bit RGBA colors uint8 (n, 4) at coordinates (n, 4): alpha rounded first, then the channels with it."""
    alpha = np.clip(np.floor(positions[:, 3] / 255 + 0.5), 0, 255)
    premultiplied = (positions[:, :3] + positions[:, 3:]) / 2
    channels = np.floor(premultiplied / np.maximum(alpha, 1)[:, None] + 0.5)
    colors = np.column_stack([np.clip(channels, 0, 255), alpha]).astype(np.uint8)
    colors[colors[:, 3] == 0] = 0
    return colors


def on_background(pixels: Pixels, level: int) -> Pixels:
    """RGBA uint8 (H, W, 4) on a gray background, as uint8 (H, W, 3), rounded as viewers do."""
    alpha = pixels[..., 3:].astype(np.uint32)
    mixed = pixels[..., :3] * alpha + np.uint32(level) * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
