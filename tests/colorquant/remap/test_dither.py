import cv2
import numpy as np
import pytest

from colorquant import quantize
from colorquant.quality import measures
from colorquant.quantizer.color_models import RGB, RGBA
from colorquant.quantizer.in_process import PixelSource
from colorquant.remap.bands import BAND_ROWS as MASK_SIDE
from colorquant.remap.dither import Dither, blue_noise, mixtures
from tests.conftest import photograph


def gradient(height: int = 200, width: int = 256) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 255 // width, y * 255 // height, 255 - x * 255 // width]).astype(np.uint8)


def test_the_mask_has_each_threshold_once_and_little_energy_at_low_frequencies() -> None:
    mask = blue_noise()
    assert np.array_equal(np.sort(mask.ravel()), np.arange(MASK_SIDE**2))
    white = np.random.default_rng(0).permutation(MASK_SIDE**2).reshape(mask.shape)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(MASK_SIDE), np.fft.fftfreq(MASK_SIDE)))
    low = (frequency > 0) & (frequency < 0.1)
    for share in (0.1, 0.25, 0.5):
        blue, other = (
            np.abs(np.fft.fft2((noise < share * MASK_SIDE**2).astype(float)))[low].sum() for noise in (mask, white)
        )
        assert blue < other / 3


def test_a_mixture_is_of_the_nearest_entry_and_comes_nearer_to_the_color_than_that_alone() -> None:
    random = np.random.default_rng(0)
    colors, palette = (random.integers(0, 256, (count, 3)).astype(float) for count in (400, 12))
    first, second, share = mixtures(colors, palette)
    distances = ((colors[:, None] - palette[None]) ** 2).sum(axis=2)
    assert np.array_equal(first, distances.argmin(axis=1))
    part = share[:, None] / MASK_SIDE**2
    assert part.max() <= 0.5 and (part > 0).mean() > 0.5
    mixed = (1 - part) * palette[first] + part * palette[second]
    assert (((mixed - colors) ** 2).sum(axis=1) <= distances.min(axis=1) + 1e-9).all()
    assert (share[distances.min(axis=1) == 0] == 0).all()


def test_a_flat_area_has_its_color_on_the_average() -> None:
    palette = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
    for level in (40, 100, 128, 200):
        flat = np.full((MASK_SIDE, 2 * MASK_SIDE, 3), level, np.uint8)
        assert abs(palette[RGB.remap(flat, palette, Dither())].mean() - level) < 1


@pytest.mark.parametrize("channels", [3, 4])
def test_bands_are_dithered_by_themselves_to_the_same_indexes(channels: int) -> None:
    pixels = photograph(200, 90)
    if channels == 4:
        pixels = np.dstack([pixels, np.tile(np.arange(90, dtype=np.uint8) * 2, (200, 1))])
    palette = quantize(pixels, 12).palette
    remap = (RGBA if channels == 4 else RGB).remap
    whole = remap(pixels, palette, Dither())
    bands = [remap(pixels[top:bottom], palette, Dither()) for top, bottom in ((0, 64), (64, 192), (192, 200))]
    assert np.array_equal(np.concatenate(bands), whole)
    assert np.array_equal(PixelSource(pixels).remap(palette, Dither()), whole)
    assert (whole != remap(pixels, palette, None)).mean() > 0.05


def test_dithering_trades_error_at_each_pixel_for_error_at_a_distance() -> None:
    pixels = gradient()
    plain, dithered = (quantize(pixels, 16, dither=kind) for kind in ("none", "blue-noise"))
    assert np.array_equal(plain.palette, dithered.palette)
    seen = [image.palette[image.indexes] for image in (plain, dithered)]
    at_pixels = [measures.mean_squared_error(pixels, picture) for picture in seen]
    from_afar = [
        measures.mean_squared_error(cv2.GaussianBlur(pixels, (0, 0), 3), cv2.GaussianBlur(picture, (0, 0), 3))
        for picture in seen
    ]
    assert at_pixels[1] > at_pixels[0]
    assert from_afar[1] < from_afar[0] / 2


def test_few_colors_stay_exact() -> None:
    palette = np.random.default_rng(0).integers(0, 256, (9, 3), np.uint8)
    pixels = palette[np.random.default_rng(1).integers(0, 9, (70, 80))]
    image = quantize(pixels, 9, dither="blue-noise")
    assert np.array_equal(image.palette[image.indexes], pixels)
