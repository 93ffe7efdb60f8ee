import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from colorquant import indexed_png
from colorquant.images import decode_output
from colorquant.indexed_png import encode_indexed_png

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
    assert content[BIT_DEPTH] == next(depth for depth in (1, 2, 4, 8) if distinct <= 2**depth)


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


@pytest.mark.parametrize(("colors", "depths"), [(2, {1}), (4, {2}), (9, {4, 8}), (40, {8})])
def test_whole_bytes_change_the_depth_only_where_that_is_smaller(colors: int, depths: set[int]) -> None:
    for repeats in (1, 40):
        pattern = np.random.default_rng(colors).integers(0, colors, (97, 160 // repeats), dtype=np.uint8)
        indexes = np.tile(pattern, (1, repeats))
        palette = np.random.default_rng(0).integers(0, 256, (colors, 3), dtype=np.uint8)
        least, free = encode_indexed_png(palette, indexes), encode_indexed_png(palette, indexes, whole_bytes=True)
        assert len(free) <= len(least)
        assert free[BIT_DEPTH] in depths and least[BIT_DEPTH] == min(depths)
        assert np.array_equal(decode_output(free), palette[indexes])


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
