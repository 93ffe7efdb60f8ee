"""Oklab (Ottosson 2020, "A perceptual color space for image processing"): distances closer to what people see."""

import numpy as np

from colorquant.kmeans.points import GRID

# Linear sRGB to cone responses, and their cube roots to lightness and two color axes.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Oklab's color axes count twice, which brings its distances closer to CIEDE2000 (Edgar 2024, "deltaEOK2"). sRGB
# then spans 0 to 1, -0.47 to 0.56 and -0.63 to 0.40: one scale for all axes, so that distances keep their meaning.
AXES = np.array([1.0, 2.0, 2.0])
_OFFSET = np.array([0.0, 0.5, 0.65])
_SPAN = 1.1


def oklab_from_rgb(colors: np.ndarray) -> np.ndarray:
    """Oklab float64 (n, 3) of sRGB colors (n, 3) from 0 to 255."""
    share = np.asarray(colors, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T


def rgb_from_oklab(lab: np.ndarray) -> np.ndarray:
    """sRGB float64 (n, 3), clipped to 0 to 255, of Oklab colors (n, 3)."""
    cones = (lab @ np.linalg.inv(_TO_LAB).T) ** 3
    linear = np.clip(cones @ np.linalg.inv(_TO_CONES).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def grid_from_rgb(colors: np.ndarray) -> np.ndarray:
    """Oklab positions on the grid of ``points``, int64 (n, 3), of sRGB colors (n, 3) from 0 to 255."""
    return np.floor((oklab_from_rgb(colors) * AXES + _OFFSET) * (255 * GRID / _SPAN) + 0.5).astype(np.int64)


def rgb_from_grid(positions: np.ndarray) -> np.ndarray:
    """sRGB float64 (n, 3), clipped to 0 to 255, of Oklab positions on the grid (n, 3); gray for those of grays."""
    positions = np.asarray(positions, np.float64)
    colors = rgb_from_oklab((positions * (_SPAN / (255 * GRID)) - _OFFSET) / AXES)
    neutral = (positions[:, 1:] == grid_from_rgb(np.zeros((1, 3)))[0, 1:]).all(axis=1)
    colors[neutral] = colors[neutral][:, 1:2]
    return colors
