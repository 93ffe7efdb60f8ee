"""What lossy formats need for a quality: against every quality of the encoder."""

import io

import numpy as np
import pytest
from PIL import Image

from colorquant.compress.comparison import FORMATS, needed_bytes
from colorquant.quality import perceptual_similarity
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A cat's face, uint8 (128, 160, 3)."""
    image = Image.open(PROJECT / "include" / "images" / "chelsea.png").convert("RGB")
    return np.asarray(image.crop((100, 100, 260, 228)))


def test_the_bytes_are_those_of_the_least_quality_that_reaches_the_value(pixels: np.ndarray) -> None:
    found = needed_bytes(pixels, "jpeg", 65)
    assert found is not None and found.ssimulacra2 >= 65

    def saved(quality: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        return buffer.getvalue()

    assert len(saved(found.quality)) == found.bytes
    below = np.asarray(Image.open(io.BytesIO(saved(found.quality - 1))))
    assert perceptual_similarity(pixels, below) < 65


@pytest.mark.parametrize("name", list(FORMATS))
def test_more_quality_takes_more_bytes(name: str, pixels: np.ndarray) -> None:
    worse, better = needed_bytes(pixels, name, 50), needed_bytes(pixels, name, 70)
    assert worse is not None and better is not None
    assert worse.bytes < better.bytes and worse.ssimulacra2 < better.ssimulacra2


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if format.alpha])
def test_alpha_is_kept_by_the_formats_that_hold_it(name: str, pixels: np.ndarray) -> None:
    alpha = np.broadcast_to(np.linspace(0, 255, 160).astype(np.uint8)[None, :, None], (128, 160, 1))
    found = needed_bytes(np.concatenate([pixels, alpha], axis=2), name, 30)
    assert found is not None and found.ssimulacra2 >= 30


def test_a_quality_out_of_reach_and_alpha_in_jpeg_are_answered_by_none() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert needed_bytes(noise, "jpeg", 100) is None
    assert needed_bytes(np.dstack([noise, noise[..., :1]]), "jpeg", 10) is None
