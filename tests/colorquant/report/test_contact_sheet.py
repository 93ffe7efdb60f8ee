"""The contact sheet of an image, and its file name."""

import io

import numpy as np
import pytest
from PIL import Image

from colorquant.report.contact_sheet import contact_sheet
from colorquant.report.rows import Row


def row(k: int) -> Row:
    return Row(
        image="a.png", k=k, state="done", width=60, height=40, original_bytes=9000, compressed_bytes=1000,
        compression_ratio=9.0, psnr_db=30.0, ssim=0.9,
    )  # fmt: skip


def opened(sheet: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB"))


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    """Whether the picture is in the sheet, pixel for pixel."""
    height, width, _ = picture.shape
    corner = (sheet == picture[0, 0]).all(axis=2)[: sheet.shape[0] - height + 1, : sheet.shape[1] - width + 1]
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in np.argwhere(corner))


def test_it_shows_the_original_and_every_k_unresampled(picture) -> None:
    pictures = [picture(390, 260, seed) for seed in range(4)]
    sheet = opened(contact_sheet("a.png", pictures[0], [(row(k), pictures[k]) for k in (1, 2, 3)]))
    assert all(contains(sheet, np.asarray(picture)) for picture in pictures)


def test_a_tiny_picture_keeps_its_pixels_when_enlarged() -> None:
    four = Image.new("RGB", (2, 2), "red")
    four.putpixel((1, 0), (0, 0, 255))
    sheet = opened(contact_sheet("a.png", four, [(row(2), four)]))
    assert contains(sheet, np.asarray(four).repeat(200, axis=0).repeat(200, axis=1))


@pytest.mark.parametrize("count", [1, 4, 5, 15, 256])
def test_its_size_is_bounded(count, picture) -> None:
    image = picture(200, 200)
    sheet = Image.open(io.BytesIO(contact_sheet("a.png", image, [(row(k), image) for k in range(count)])))
    assert sheet.width * sheet.height <= 13_000_000
    assert sheet.width >= 480


@pytest.mark.parametrize(
    "name", ["$x_1$.png", "$\\frac{.png", "a$b.png", "日本.png", "caf\udce9.png", "a\nb\x1b.png", "n" * 255]
)
def test_no_name_is_taken_for_mathematics_or_breaks_it(name, recwarn) -> None:
    assert opened(contact_sheet(name, None, [(row(2), None)])).std() > 0
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_a_dollar_is_drawn_as_a_dollar() -> None:
    """Mathematics would draw ``$x$`` as an italic x: narrower than the three characters."""

    def ink_width(name: str) -> int:
        title = opened(contact_sheet(name, None, [(row(2), None)]))[:50]
        return int(np.ptp(np.nonzero((title < 128).any(axis=(0, 2)))[0]))

    assert ink_width("$x$") > 2 * ink_width("x")


def test_a_failure_has_a_place_and_its_reason_is_drawn(picture) -> None:
    image = picture(300, 200)
    failed = [Row(image="a.png", k=4, state="failed", reason=reason) for reason in ("out of memory", "timed out")]
    sheets = [opened(contact_sheet("a.png", image, [(row(2), image), (failure, None)])) for failure in failed]
    assert sheets[0].shape == sheets[1].shape
    assert not np.array_equal(*sheets)


def test_the_same_input_gives_the_same_bytes(picture) -> None:
    first, second = (contact_sheet("a.png", picture(), [(row(2), picture(seed=1))]) for _ in range(2))
    assert first == second
