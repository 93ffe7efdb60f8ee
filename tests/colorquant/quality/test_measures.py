import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity as skimage_structural_similarity

from colorquant.quality import measures


def random_pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def noisy(pixels: np.ndarray, amplitude: int) -> np.ndarray:
    noise = np.random.default_rng(1).integers(-amplitude, amplitude + 1, pixels.shape)
    return np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)


def gradient(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=2).astype(np.uint8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_mean_squared_error_is_the_mean_of_squared_distances(height: int, width: int, seed: int) -> None:
    x, y = random_pixels(height, width, seed), random_pixels(height, width, seed + 1)
    total = sum((int(a) - int(b)) ** 2 for a, b in zip(x.ravel(), y.ravel(), strict=True))
    assert measures.mean_squared_error(x, y) == total / (height * width)


def test_mean_squared_error_is_exact_over_many_bands_at_the_extremes() -> None:
    black, white = np.zeros((3000, 700, 3), np.uint8), np.full((3000, 700, 3), 255, np.uint8)
    white[-1, -1, -1] = 254
    assert measures.mean_squared_error(black, white) == (3 * 255**2 * 2_100_000 - 255**2 + 254**2) / 2_100_000


def test_psnr_of_known_errors() -> None:
    assert measures.psnr_db(3 * 255**2) == 0
    assert measures.psnr_db(3.0) == pytest.approx(48.1308036086791)
    assert measures.psnr_db(0) is None


@pytest.mark.parametrize("shape", [(11, 11), (12, 200), (43, 1100), (75, 64)])
@pytest.mark.parametrize("amplitude", [1, 12, 255])
def test_structural_similarity_is_that_of_scikit_image(shape: tuple[int, int], amplitude: int) -> None:
    """Sizes that end inside and at the border of a tile, in both directions."""
    for reference in (random_pixels(*shape), gradient(*shape)):
        decoded = noisy(reference, amplitude)
        expected = skimage_structural_similarity(
            reference,
            decoded,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        )
        assert measures.structural_similarity(reference, decoded) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (10, 11), (64, 64)])
def test_structural_similarity_of_equal_images_is_one(shape: tuple[int, int]) -> None:
    pixels = random_pixels(*shape)
    assert measures.structural_similarity(pixels, pixels.copy()) == 1.0


def test_small_images_are_padded_by_their_edges() -> None:
    x, y = random_pixels(4, 7), random_pixels(4, 7, seed=5)
    padding = ((0, 7), (0, 4), (0, 0))
    assert measures.structural_similarity(x, y) == measures.structural_similarity(
        np.pad(x, padding, mode="edge"), np.pad(y, padding, mode="edge")
    )


@pytest.mark.parametrize("measure", [measures.mean_squared_error, measures.structural_similarity])
def test_images_that_cannot_be_compared_are_refused(measure) -> None:
    pixels = random_pixels(12, 14)
    for other in (pixels[:-1], pixels.astype(float), pixels[..., 0], pixels[:0]):
        with pytest.raises(ValueError):
            measure(pixels, other)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 256), st.integers(0, 2**32))
def test_colors_are_counted_as_a_set_of_triples(height: int, width: int, levels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, 3), dtype=np.uint8)
    assert measures.count_colors(pixels) == len(set(map(tuple, pixels.reshape(-1, 3).tolist())))


def test_ratio_and_bits_per_pixel() -> None:
    assert measures.compression_ratio(1000, 250) == 4
    assert measures.bits_per_pixel(100, width=20, height=10) == 4
    with pytest.raises(ValueError):
        measures.compression_ratio(1000, 0)
    with pytest.raises(ValueError):
        measures.bits_per_pixel(100, 0, 10)
