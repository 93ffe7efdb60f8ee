import numpy as np

from colorquant import quantize
from colorquant.kmeans.oklab import AXES, grid_from_rgb, oklab_from_rgb, rgb_from_grid, rgb_from_oklab
from colorquant.kmeans.points import GRID


def test_published_values():
    """White and pure red, from Ottosson (2020)."""
    assert np.allclose(oklab_from_rgb(np.array([[255, 255, 255]])), [[1, 0, 0]], atol=1e-6)
    assert np.allclose(oklab_from_rgb(np.array([[255, 0, 0]])), [[0.62796, 0.22486, 0.12585]], atol=1e-4)


def test_there_and_back():
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1).reshape(-1, 3)
    assert np.abs(rgb_from_oklab(oklab_from_rgb(cube)) - cube).max() < 1e-3
    positions = grid_from_rgb(cube)
    assert positions.min() >= 0 and positions.max() <= 255 * GRID
    # A step of the grid is up to two levels of RGB where a channel is dark beside a bright one; rarely more than one.
    differences = np.abs(rgb_from_grid(positions) - cube).max(axis=1)
    assert differences.max() < 2.5
    assert (differences > 1).mean() < 0.02


def test_oklab_lowers_the_perceptual_error():
    y, x = np.mgrid[0:120, 0:120]
    pixels = np.stack([2 * x, 2 * y, (x + y)], axis=2).astype(np.uint8)
    errors = []
    for space in ("rgb", "oklab"):
        result = quantize(pixels, 24, color_space=space)
        difference = AXES * (oklab_from_rgb(result.palette[result.indexes].reshape(-1, 3)) - oklab_from_rgb(
            pixels.reshape(-1, 3)
        ))  # fmt: skip
        errors.append((difference**2).sum())
    assert errors[1] < errors[0]
