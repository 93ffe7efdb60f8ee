"""What lossy formats need for a quality: against every quality of the encoder."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorquant.compress import compress_image
from colorquant.compress.comparison import FORMATS, needed_bytes
from colorquant.jobs import CompressionResult, Job
from colorquant.quality import perceptual_similarity
from colorquant.quantizer import PixelSource
from colorquant.settings import COMPARED_FORMATS, Settings
from colorquant.storage import sha256_of
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


def test_a_side_too_long_for_a_format_is_answered_by_none() -> None:
    assert needed_bytes(np.zeros((8, 16_384, 3), np.uint8), "webp", 10) is None
    assert needed_bytes(np.zeros((65_501, 8, 3), np.uint8), "jpeg", 10) is None


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 30, 3), (9, 9, 4)], ids=str)
def test_tiny_images_are_compared_too(name: str, shape: tuple[int, int, int]) -> None:
    pixels = np.full(shape, 200, np.uint8)
    assert (needed_bytes(pixels, name, 30) is None) == (name == "jpeg" and shape[2] == 4)


def test_the_setting_names_the_formats() -> None:
    assert FORMATS.keys() == COMPARED_FORMATS.keys()


def test_a_job_measures_what_is_asked_for_and_is_done_only_with_it(pixels: np.ndarray, tmp_path: Path) -> None:
    image, output, result = (str(tmp_path / name) for name in ("a.png", "o.png", "r.json"))
    Image.fromarray(pixels).save(image)

    def job(*compare: str) -> Job:
        return Job(
            image=image,
            name="a.png",
            image_sha256=sha256_of(image),
            k=32,
            settings=Settings(compare=compare),
            output=output,
            result=result,
            failure=str(tmp_path / "failure.json"),
        )

    def run(*compare: str) -> CompressionResult:
        compress_image(image, 32, output, result, job(*compare).settings, PixelSource)
        return CompressionResult.read(result)

    plain = run()
    assert plain.comparison == {} and "compare" not in plain.seconds
    assert job().is_done() and not job("jpeg").is_done()

    compared = run("jpeg", "webp")
    assert compared.output_sha256 == plain.output_sha256
    for name in ("jpeg", "webp"):
        assert compared.ssimulacra2 is not None
        assert compared.comparison[name] == needed_bytes(pixels, name, compared.ssimulacra2)
    assert job().is_done() and job("webp").is_done() and job("jpeg", "webp").is_done()
    assert not job("webp", "avif").is_done()

    # A format that does not reach the quality was measured all the same.
    dataclasses.replace(compared, comparison={"jpeg": None}).write(result)
    assert job("jpeg").is_done() and not job("webp").is_done()
