"""Weights of pixels: as many equal pixels; and what doubling those of a region does to its error."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorquant import quantize
from colorquant.pixels import Pixels
from colorquant.quantizer import HistogramSource, PixelSource, WeightedColors, color_model, impose, solve, weights_of
from colorquant.settings import Settings
from tests.conftest import photograph

IMAGES = sorted((Path(__file__).resolve().parents[3] / "include" / "images").glob("*.[pj][np]g"))
# Doubling raises the error of a region by no more. An optimum never does; of 480 doublings (regions of 0.3 to 50 % of
# the bundled images, k = 4, 16, 64 and 256), 5 palettes of the search did, by 0.9 % at most.
TOLERANCE = 0.01


def _grey(weights: np.ndarray) -> Pixels:
    return (4 * (weights - 1)).astype(np.uint8)


def _pixels(draw: st.DrawFn, alpha: bool) -> Pixels:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    size = height * width * (3 + alpha)
    return np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8).reshape(height, width, 3 + alpha)


@st.composite
def weighted_images(draw: st.DrawFn) -> tuple[Pixels, np.ndarray, np.ndarray]:
    """Pixels, weights from 1 to 32, and a region."""
    pixels = _pixels(draw, draw(st.booleans()))
    count = pixels.shape[0] * pixels.shape[1]
    weights = draw(st.lists(st.integers(1, 32), min_size=count, max_size=count))
    region = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return pixels, *(np.array(each).reshape(pixels.shape[:2]) for each in (weights, region))


@given(weighted_images(), st.integers(1, 12))
def test_a_pixel_of_weight_w_counts_as_w_pixels(image: tuple[Pixels, np.ndarray, np.ndarray], k: int) -> None:
    pixels, weights, _ = image
    model = color_model(pixels)
    source = WeightedColors(PixelSource(pixels), pixels, weights.astype(np.uint8))
    repeated = np.repeat(pixels.reshape(-1, pixels.shape[2]), weights.ravel(), axis=0)[None]
    counted = model.count_colors(repeated)
    assert np.array_equal(source.histogram.colors, counted.colors)
    assert np.array_equal(source.histogram.counts, counted.counts)
    alone = solve(HistogramSource(model, counted, source.flat_colors()), k)
    found = quantize(pixels, k, weights=_grey(weights))
    assert np.array_equal(found.palette, alone.palette)
    assert found.inertia == impose(PixelSource(pixels), alone.palette)[0].inertia


@given(weighted_images())
def test_doubling_the_weight_of_a_region_never_raises_its_error_with_one_color(
    image: tuple[Pixels, np.ndarray, np.ndarray],
) -> None:
    pixels, weights, region = image
    doubled = np.where(region, 2 * weights, weights)
    assert _error(pixels, weights, region, doubled, 1) <= _error(pixels, weights, region, weights, 1)


def _error(pixels: Pixels, weights: np.ndarray, region: np.ndarray, given: np.ndarray, k: int) -> float:
    """The error of a region, its pixels counting by ``weights``, with the palette for the weights ``given``."""
    palette = quantize(pixels, k, weights=_grey(given)).palette
    if not region.any():
        return 0.0
    part = np.repeat(pixels[region], weights[region], axis=0)[None]
    return impose(PixelSource(part), palette)[0].inertia


@pytest.mark.parametrize("k", [4, 16, 64])
@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_doubling_the_weight_of_a_region_lowers_its_error_in_the_bundled_images(path: Path, k: int) -> None:
    image = cv2.imread(str(path))
    assert image is not None
    pixels = np.ascontiguousarray(image[::2, ::2, ::-1])
    height, width = pixels.shape[:2]
    region = np.zeros((height, width), bool)
    region[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    source = PixelSource(pixels)
    inside = PixelSource(np.ascontiguousarray(pixels[region])[None])
    errors = []
    for weight in (1, 2, 4, 8, 16, 32, 64):
        weights = np.where(region, weight, 1).astype(np.uint8)
        palette = solve(WeightedColors(source, pixels, weights), k).palette
        errors.append(impose(inside, palette)[0].inertia)
    assert all(after <= (1 + TOLERANCE) * before for before, after in zip(errors, errors[1:], strict=False))
    assert errors[-1] < errors[0]


def test_flat_areas_count_by_their_weights() -> None:
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[:4, 4:8] = 200
    pixels[4:] = photograph(4, 10)
    weights = np.arange(80).reshape(8, 10).astype(np.uint8) % 64 + 1
    flat = WeightedColors(PixelSource(pixels), pixels, weights).flat_colors()
    assert flat.colors.tolist() == [0, 0xC8C8C8]
    assert flat.counts.tolist() == [weights[:4, :4].sum(), weights[:4, 4:8].sum()]


def test_white_counts_64_times_as_much_as_black() -> None:
    assert weights_of(np.array([[0, 3, 4, 128, 255]], np.uint8)).tolist() == [[1, 1, 2, 33, 64]]


@pytest.mark.parametrize("alpha", [False, True])
def test_the_perceptual_objective_has_weights_too(alpha: bool) -> None:
    pixels = photograph(128, 96, seed=3)
    if alpha:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        pixels[:5, :5] = 0
    grey = np.zeros(pixels.shape[:2], np.uint8)
    grey[:, :48] = 255
    plain = quantize(pixels, 8, objective="perceptual")
    weighted = quantize(pixels, 8, objective="perceptual", weights=grey)

    def error(palette: Pixels) -> float:
        return impose(PixelSource(np.ascontiguousarray(pixels[:, :48])), palette)[0].inertia

    assert error(weighted.palette) < error(plain.palette)


def test_kept_colors_stay_with_weights() -> None:
    pixels = photograph(64, 64)
    grey = np.full((64, 64), 9, np.uint8)
    assert [214, 39, 40] in quantize(pixels, 8, keep="#d62728", weights=grey).palette.tolist()


def test_weights_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights must be a uint8 array of the shape \(4, 5\)"):
        quantize(photograph(4, 5), 2, weights=np.zeros((5, 4), np.uint8))
    with pytest.raises(ValueError, match="weights: they have no effect on a palette that is given"):
        Settings(palette="#000000,#ffffff", weights="masks")
