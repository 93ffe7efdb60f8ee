import io
import struct
from pathlib import Path

import numpy as np
import oxipng
import pytest
import zopfli.png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from colorquant import quantize
from colorquant.decode.image_file import decode_output
from colorquant.encode import indexed_png
from colorquant.encode.indexed_png import encode_indexed_png
from tests.conftest import PROJECT

BUNDLED = sorted((PROJECT / "include" / "images").glob("*.[jp][pn]g"))
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
    assert content[BIT_DEPTH] in (least, 8)


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


def shapes(kind: str, colors: int) -> np.ndarray:
    """Index maps: smooth shapes with noise as photographs have them, and what charts, maps, screens and games have."""
    y, x = np.mgrid[0:90, 0:121]
    rng = np.random.default_rng(colors)
    if kind == "photograph":
        waves = np.sin(x / 17) + np.cos(y / 11) + rng.normal(0, 0.1, x.shape)
        return ((waves + 2.5) / 5 * colors).clip(0, colors - 1).astype(np.uint8)
    if kind == "bars":
        return np.where(90 - y < rng.integers(9, 85, 13)[x // 10], x // 10 % colors, 0).astype(np.uint8)
    if kind == "map":
        distances = [np.hypot(x - a, y - b) for a, b in rng.integers(0, 120, (3 * colors, 2))]
        return (np.argmin(distances, axis=0) % colors).astype(np.uint8)
    if kind == "text":
        glyphs = rng.integers(0, 2, (20, 9, 11)) * rng.integers(1, colors, (20, 1, 1))
        return glyphs[rng.integers(0, 20, (10, 11))].transpose(0, 2, 1, 3).reshape(90, 121).astype(np.uint8)
    tiles = rng.integers(0, colors, (6, 8, 8)).repeat(3, axis=1).repeat(3, axis=2)
    return tiles[rng.integers(0, 6, (4, 6))].transpose(0, 2, 1, 3).reshape(96, 144)[:90, :121].astype(np.uint8)


def by_pillow(palette: np.ndarray, indexes: np.ndarray) -> bytes:
    image = Image.fromarray(indexes).convert("P")
    image.putpalette(palette.tobytes(), "RGBA" if palette.shape[1] == 4 else "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def in_pillow(content: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert(mode))


def with_most_effort(palette: np.ndarray, indexes: np.ndarray, luck: float = 1.0) -> int:
    """Size of the file, which must show the picture, and be no larger than with normal effort or by an optimizer.

    An optimizer that begins with the palette in another order than ours may be lucky by a byte.
    """
    ours = encode_indexed_png(palette, indexes, effort="max")
    assert np.array_equal(in_pillow(ours, "RGBA" if palette.shape[1] == 4 else "RGB"), palette[indexes])
    plain = by_pillow(palette, indexes)
    others = [
        encode_indexed_png(palette, indexes),
        oxipng.optimize_from_memory(plain, level=6),
        zopfli.png.optimize(plain),
    ]
    assert len(ours) <= luck * min(map(len, others))
    return len(ours)


def test_high_effort_makes_graphics_smaller_and_leaves_photographs() -> None:
    numbers = np.random.default_rng(7)
    palette = numbers.integers(0, 256, (12, 3), dtype=np.uint8)
    noise = numbers.integers(0, 12, (300, 300), dtype=np.uint8)
    for indexes, at_most in ((np.tile(shapes("text", 12), (3, 3)), 0.99), (noise, 1.0)):
        normal, high = (encode_indexed_png(palette, indexes, effort=effort) for effort in ("normal", "high"))
        assert np.array_equal(in_pillow(high, "RGB"), palette[indexes])
        assert len(high) <= at_most * len(normal)
        assert (high == normal) is (indexes is noise)


@pytest.mark.parametrize("colors", [2, 4, 12, 16, 60])
def test_it_is_at_most_as_large_as_pillow_and_oxipng_make_it_in_luminance_order(colors: int) -> None:
    indexes = shapes("photograph", colors)
    palette = np.linspace(255, 0, colors).astype(np.uint8)[:, None].repeat(3, axis=1)
    palette[:, 0] //= 2  # Or oxipng would make it grayscale, which is another format.
    plain = by_pillow(palette, indexes)
    assert len(encode_indexed_png(palette, indexes)) <= len(oxipng.optimize_from_memory(plain, level=2))


@pytest.mark.parametrize("colors", [4, 60])
@pytest.mark.parametrize("kind", ["photograph", "bars", "map", "text", "tiles"])
def test_with_most_effort_no_optimizer_makes_it_smaller(kind: str, colors: int) -> None:
    palette = np.random.default_rng(colors).integers(0, 256, (colors, 3), dtype=np.uint8)
    with_most_effort(palette, np.ascontiguousarray(shapes(kind, colors)[:60, :80]))


@pytest.mark.parametrize(
    "image", sorted((PROJECT / "include" / "images").glob("*.[jp][pn]g")), ids=lambda path: path.stem
)
def test_with_most_effort_no_optimizer_makes_bundled_images_smaller(image: Path) -> None:
    with Image.open(image) as opened:
        pixels = np.asarray(opened.convert("RGB").resize((48, 32)))
    for k in (4, 64):
        quantized = quantize(pixels, k)
        with_most_effort(quantized.palette, quantized.indexes)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 16), st.integers(1, 16), st.integers(1, 3), st.booleans(), st.integers(0, 2**32)
)
def test_with_most_effort_no_optimizer_makes_a_tiny_picture_smaller(
    colors: int, height: int, width: int, scale: int, alpha: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colors, 4 if alpha else 3), dtype=np.uint8)
    indexes = rng.integers(0, colors, (height, width), dtype=np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)
    with_most_effort(palette, indexes, luck=1.02)


def test_ramps_of_pixel_art_repeat_in_other_colors() -> None:
    """A tile in twelve hues of three shades each: the rows of one are those of the other, filtered."""
    warm = [[230, 30, 30], [230, 130, 30], [190, 230, 30], [60, 230, 30], [230, 30, 130], [230, 30, 220]]
    cold = [[30, 230, 130], [30, 220, 230], [30, 120, 230], [50, 30, 230], [150, 30, 230], [150, 150, 150]]
    hues = np.array(warm[:4] + cold[:5] + warm[:3:-1] + cold[5:])
    palette = (hues[:, None] * np.array([100, 80, 60])[:, None] // 100).reshape(-1, 3).astype(np.uint8)
    rng = np.random.default_rng(5)
    shades = rng.integers(0, 3, (16, 16)).repeat(4, axis=0).repeat(4, axis=1)
    tiles = rng.permutation(np.arange(12).repeat(3))[:36].reshape(6, 6)
    indexes = (np.kron(tiles, np.ones((64, 64), int)) * 3 + np.tile(shades, (6, 6))).astype(np.uint8)
    by_luma = palette @ np.array([299, 587, 114])
    rank = np.argsort(np.argsort(-by_luma)).astype(np.uint8)
    by_luminance = oxipng.optimize_from_memory(by_pillow(palette[np.argsort(-by_luma)], rank[indexes]), level=6)
    assert len(encode_indexed_png(palette, indexes)) < 0.9 * len(by_luminance)


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


@pytest.mark.parametrize("effort", ["normal", "high", "max"])
@pytest.mark.parametrize("colors", [2, 5, 16, 200, 256])
def test_a_palette_stays_in_its_order_with_all_its_entries(colors: int, effort: str) -> None:
    random = np.random.default_rng(colors)
    palette = random.integers(0, 256, (colors, 3), np.uint8)
    used = random.integers(0, max(2, colors // 2), (9, 7), np.uint8)
    used[0, 0] = 1
    indexes = np.kron(used, np.ones((8, 8), np.uint8))
    content = encode_indexed_png(palette, indexes, effort=effort, in_order=True)
    image = Image.open(io.BytesIO(content))
    assert np.array_equal(np.asarray(image), indexes)
    assert np.array_equal(np.array(image.getpalette(), np.uint8).reshape(-1, 3)[:colors], palette)
    with pytest.raises(ValueError, match="index .* is not in a palette of 1 colors"):
        encode_indexed_png(palette[:1], indexes, in_order=True)
