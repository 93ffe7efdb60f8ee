import io
import struct

import numpy as np
import oxipng
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from colorquant.decode.image_file import decode_output
from colorquant.encode import indexed_png
from colorquant.encode.indexed_png import encode_indexed_png

BIT_DEPTH, COLOR_TYPE = 24, 25  # offsets in a PNG file


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 256), st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 2**32))
def test_the_decoded_file_is_the_picture(colors: int, height: int, width: int, grey: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colors, 3), dtype=np.uint8)
    if grey:
        palette[:] = palette[:, :1]
    indexes = rng.integers(0, colors, (height, width), dtype=np.uint8)
    content = encode_indexed_png(palette, indexes)
    assert np.array_equal(decode_output(content), palette[indexes])
    assert struct.unpack(">II", content[16:24]) == (width, height)
    assert b"tRNS" not in content
    if grey and content[COLOR_TYPE] == 0:
        return
    assert content[COLOR_TYPE] == 3
    distinct = len(np.unique(palette[indexes].reshape(-1, 3), axis=0))
    least = next(depth for depth in (1, 2, 4, 8) if distinct <= 2**depth)
    assert content[BIT_DEPTH] == least or (least, content[BIT_DEPTH]) == (4, 8)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 64), st.integers(0, 2**32))
def test_the_bytes_depend_on_the_picture_and_not_on_the_order_of_the_palette(colors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colors, 3), dtype=np.uint8)
    indexes = rng.integers(0, colors, (24, 32), dtype=np.uint8)
    order = rng.permutation(colors)
    rank = np.argsort(order).astype(np.uint8)
    assert encode_indexed_png(palette, indexes) == encode_indexed_png(palette[order], rank[indexes])


def test_entries_that_no_pixel_uses_and_equal_entries_cost_nothing() -> None:
    palette = np.array([[9, 9, 9], [1, 2, 3], [9, 9, 9], [200, 0, 0], [7, 7, 7]], np.uint8)
    indexes = np.array([[0, 2, 3], [3, 2, 0]], np.uint8)
    content = encode_indexed_png(palette, indexes)
    assert content[BIT_DEPTH] == 1
    assert np.array_equal(decode_output(content), palette[indexes])


@pytest.mark.parametrize(
    ("palette", "indexes"),
    [
        (np.zeros((0, 3), np.uint8), np.zeros((2, 2), np.uint8)),
        (np.zeros((257, 3), np.uint8), np.zeros((2, 2), np.uint8)),
        (np.zeros((2, 5), np.uint8), np.zeros((2, 2), np.uint8)),
        (np.zeros((2, 3), float), np.zeros((2, 2), np.uint8)),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.int64)),
        (np.zeros((2, 3), np.uint8), np.zeros((0, 2), np.uint8)),
        (np.zeros((2, 3), np.uint8), np.full((2, 2), 2, np.uint8)),
    ],
)
def test_what_is_no_index_map_of_its_palette_is_refused(palette: np.ndarray, indexes: np.ndarray) -> None:
    with pytest.raises(ValueError):
        encode_indexed_png(palette, indexes)


@pytest.mark.parametrize(("colors", "repeats", "depth"), [(2, 1, 1), (4, 1, 2), (9, 1, 4), (9, 40, 8), (40, 1, 8)])
def test_the_depth_is_the_least_but_for_whole_bytes_where_pixels_repeat(colors: int, repeats: int, depth: int) -> None:
    """A pattern of odd width repeats byte by byte only where a pixel is a byte."""
    pattern = np.random.default_rng(colors).integers(0, colors, (97, 161 // repeats | 1), dtype=np.uint8)
    indexes = np.tile(pattern, (1, repeats))
    palette = np.random.default_rng(0).integers(0, 256, (colors, 3), dtype=np.uint8)
    encoded = encode_indexed_png(palette, indexes)
    assert encoded[BIT_DEPTH] == depth
    assert np.array_equal(decode_output(encoded), palette[indexes])


@pytest.mark.parametrize("colors", [2, 4, 12, 16, 60])
def test_it_is_at_most_as_large_as_pillow_and_oxipng_make_it_in_luminance_order(colors: int) -> None:
    """Smooth shapes with noise, as photographs have them."""
    y, x = np.mgrid[0:90, 0:121]
    waves = np.sin(x / 17) + np.cos(y / 11) + np.random.default_rng(colors).normal(0, 0.1, x.shape)
    indexes = ((waves + 2.5) / 5 * colors).clip(0, colors - 1).astype(np.uint8)
    palette = np.linspace(255, 0, colors).astype(np.uint8)[:, None].repeat(3, axis=1)
    palette[:, 0] //= 2  # Or oxipng would make it grayscale, which is another format.
    image = Image.fromarray(indexes).convert("P")
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    assert len(encode_indexed_png(palette, indexes)) <= len(oxipng.optimize_from_memory(buffer.getvalue(), level=2))


def test_large_pictures_are_judged_by_a_sample_and_come_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed_png, "_FULL_TRIAL_PIXELS", 1000)
    monkeypatch.setattr(indexed_png, "_LARGE_PIXELS", 2000)
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (50, 3), dtype=np.uint8)
    for shape in ((211, 60), (3, 5000), (5000, 3)):
        indexes = rng.integers(0, 50, shape, dtype=np.uint8)
        assert np.array_equal(decode_output(encode_indexed_png(palette, indexes)), palette[indexes])


@pytest.mark.parametrize("levels", [[0, 255], [85, 170], [0, 17, 51, 255], [3, 200], list(range(256))], ids=len)
def test_grey_costs_no_more_than_a_grey_png(levels: list[int]) -> None:
    """Where levels fit a grey PNG of few bits, or are many, the file has no palette; the picture is the same."""
    palette = np.repeat(np.array(levels, np.uint8)[:, None], 3, axis=1)
    y, x = np.mgrid[0:64, 0:64]
    indexes = ((x + y) * len(levels) // 127).astype(np.uint8)
    content = encode_indexed_png(palette, indexes)
    assert np.array_equal(decode_output(content), palette[indexes])
    plain = io.BytesIO()
    Image.fromarray(palette[indexes][..., 0]).save(plain, "PNG", optimize=True)
    assert len(content) <= len(plain.getvalue())
    if len(levels) == 256:
        assert content[25] == 0
