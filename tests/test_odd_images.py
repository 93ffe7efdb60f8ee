"""Any image that a user has comes out right, or is refused with its reason: the corpus of odd images."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from colorquant.decode.image_file import read_image
from colorquant.errors import UnsupportedImage
from colorquant.jobs.plan import RunRequest, plan_run
from colorquant.report import summarize_run
from tests.conftest import photograph
from tests.odd_files import Odd
from tests.odd_images import IMAGE, ODD, SMALL
from tests.test_compress_image import compress_in_process

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "images.md"

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_each_odd_image_comes_out_right_or_is_refused_with_its_reason(tmp_path: Path, odd: Odd) -> None:
    path = tmp_path / "odd\n'image.dat"
    path.write_bytes(odd.content)
    if odd.pixels is None:
        with pytest.raises(UnsupportedImage, match=odd.refusal) as refusal:
            read_image(path)
        assert str(refusal.value).startswith(repr(str(path)))
        assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)
        return
    pixels = read_image(path).pixels
    assert pixels.dtype == np.uint8 and pixels.shape == odd.pixels.shape and pixels.flags.c_contiguous
    assert np.abs(_visible(pixels) - _visible(odd.pixels)).max() <= odd.tolerance
    if "grey" in odd.row:
        assert (pixels == pixels[..., :1]).all()


def _visible(pixels: np.ndarray) -> np.ndarray:
    """The color of a fully transparent pixel is nobody's business."""
    pixels = pixels.astype(int)
    return pixels if pixels.shape[2] == 3 else pixels * (pixels[..., 3:] > 0)


def test_the_corpus_is_as_large_as_the_document_says() -> None:
    (kinds,) = re.findall(r"corpus of (\d+) odd images", DOCUMENT.read_text())
    assert len(ODD) >= int(kinds) >= 60


def test_the_table_of_the_document_has_a_row_for_each_odd_image_and_says_what_happens() -> None:
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", DOCUMENT.read_text(), re.MULTILINE))
    for odd in ODD.values():
        assert ("refused" in rows[odd.row]) == (odd.pixels is None), odd.row


def test_of_a_jpeg_that_no_k_makes_smaller_the_original_is_recommended(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photograph(240, 320)).save(tmp_path / "in" / "photograph.jpg", quality=30)
    plan = plan_run(RunRequest(run_id="run", images=str(tmp_path / "in"), ks=[64, 256], output=str(tmp_path / "out")))
    for job in plan.jobs:
        compress_in_process(job.arguments())
    summary = summarize_run(plan, tmp_path / "report")
    assert all((row.compression_ratio or 9) < 1 for row in summary.rows)
    (choice,) = summary.choices
    assert (choice.k, choice.output, choice.bytes) == (None, None, choice.original_bytes)
    assert "Original kept" in choice.reason and "Original kept" in (tmp_path / "report" / "summary.html").read_text()


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_cut_at_any_byte_is_refused_unless_nothing_of_the_picture_is_missing(tmp_path: Path, kind: str) -> None:
    """Where decoders fill the rest with grey or black and say nothing."""
    content = SMALL[kind](IMAGE.crop((0, 0, 9, 7)))
    path = tmp_path / "cut"
    whole = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    refused = 0
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            pixels = read_image(path).pixels
        except UnsupportedImage:
            refused += 1
        else:
            assert np.array_equal(pixels, whole), length
    assert refused > len(content) / 3
