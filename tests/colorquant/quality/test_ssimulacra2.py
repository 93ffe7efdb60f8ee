"""The perceptual measure: the values of the package ssimulacra2, at any size, and whatever the bands."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import ssimulacra2 as package
from PIL import Image

from colorquant import quantize
from colorquant.quality import ssimulacra2 as module
from colorquant.quality.ssimulacra2 import ssimulacra2
from tests.conftest import photograph


def _by_package(reference: np.ndarray, decoded: np.ndarray) -> float:
    files = []
    for pixels in (reference, decoded):
        files.append(io.BytesIO())
        Image.fromarray(pixels).save(files[-1], "PNG")
    return float(package.compute_ssimulacra2(*files))


def _quantized(pixels: np.ndarray, k: int) -> np.ndarray:
    image = quantize(pixels, k)
    return image.palette[image.indexes]


@pytest.mark.parametrize("shape", [(300, 401), (401, 300), (129, 64), (8, 8), (9, 70), (31, 500)])
@pytest.mark.parametrize("k", [2, 32])
def test_it_is_the_packages_value(shape: tuple[int, int], k: int) -> None:
    pixels = photograph(*shape)
    decoded = _quantized(pixels, k)
    assert ssimulacra2(pixels, decoded) == pytest.approx(_by_package(pixels, decoded), abs=5e-3)


def test_it_is_the_packages_value_also_for_noise_blur_and_black() -> None:
    pixels = photograph(120, 160)
    random = np.random.default_rng(0)
    noisy = np.clip(pixels + random.normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
    blurred = np.asarray(Image.fromarray(pixels).resize((40, 30)).resize((160, 120)))
    for decoded in (noisy, blurred, np.zeros_like(pixels)):
        assert ssimulacra2(pixels, decoded) == pytest.approx(_by_package(pixels, decoded), abs=5e-3)


def test_bands_and_threads_do_not_change_a_bit_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = photograph(203, 97)
    decoded = _quantized(pixels, 6)
    whole = ssimulacra2(pixels, decoded)
    for size in (1, 97 * 7, 97 * 64):
        monkeypatch.setattr(module, "_BAND_PIXELS", size)
        assert ssimulacra2(pixels, decoded) == whole
        with ThreadPoolExecutor(3) as pool:
            assert ssimulacra2(pixels, decoded, pool) == whole


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (64, 64)])
def test_equal_images_have_100_and_others_less(shape: tuple[int, int]) -> None:
    pixels = photograph(*shape)
    assert ssimulacra2(pixels, pixels) == 100
    assert ssimulacra2(pixels, 255 - pixels) < 100


def test_what_are_no_two_images_of_one_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        ssimulacra2(photograph(8, 9), photograph(9, 8))
    with pytest.raises(ValueError, match="uint8"):
        ssimulacra2(photograph(8, 9).astype(float), photograph(8, 9))
