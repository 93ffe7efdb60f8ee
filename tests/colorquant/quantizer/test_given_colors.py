"""Colors that are given: a whole palette that images are mapped to, and colors that every palette has exactly."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorquant import quantize
from colorquant.errors import InvalidSetting
from colorquant.hex_colors import colors_text
from colorquant.pixels import Pixels
from tests.conftest import photograph


def _page(seed: int) -> Pixels:
    """A photograph on a white page with a red bar and thin black lines; uint8 (72, 96, 3)."""
    page = np.full((72, 96, 3), 255, np.uint8)
    page[8:56, 16:80] = photograph(48, 64, seed)
    page[60:66, 8:88] = 214, 39, 40
    page[::9, ::2] = 0
    return page


def _with_alpha(pixels: Pixels) -> Pixels:
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    alpha[:20, :30] = 0
    alpha[30:40] = np.linspace(0, 255, pixels.shape[1]).astype(np.uint8)[None, :, None]
    return np.concatenate([pixels, alpha], axis=2)


def _errors(pixels: Pixels, palette: Pixels, indexes: Pixels) -> np.ndarray:
    return ((palette[indexes].astype(int) - pixels) ** 2).sum(axis=2)


KEPT = {"#ffffff": (255, 255, 255), "#d62728": (214, 39, 40), "#000000": (0, 0, 0), "#00ff7f": (0, 255, 127)}


@given(
    seed=st.integers(0, 50),
    k=st.integers(4, 64),
    kept=st.lists(st.sampled_from(list(KEPT)), min_size=1, max_size=4, unique=True),
)
@settings(max_examples=30)
def test_kept_colors_are_exact_and_the_others_lose_nothing(seed: int, k: int, kept: list[str]) -> None:
    pixels = _page(seed)
    result = quantize(pixels, k, keep=",".join(kept))
    assert len(result.palette) <= k
    rest = np.ones(pixels.shape[:2], bool)
    errors = _errors(pixels, result.palette, result.indexes)
    for name in kept:
        assert (result.palette == KEPT[name]).all(axis=1).sum() == 1
        same = (pixels == KEPT[name]).all(axis=2)
        assert not errors[same].any()
        rest &= ~same
    if k > len(kept):
        free = quantize(pixels, k - len(kept))
        free_errors = _errors(pixels, free.palette, free.indexes)[rest].sum()
        assert errors[rest].sum() <= 1.005 * free_errors


WAYS: list[dict[str, Any]] = [
    {},
    {"rate": 3.0},
    {"dither": "blue-noise"},
    {"dither": "direct-search"},
    {"objective": "perceptual", "dither": "direct-search", "rate": 1.0},
    {"objective": "perceptual"},
    {"color_space": "oklab", "rate": 1.0},
]


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_no_remapping_moves_a_pixel_of_a_kept_color(way: dict[str, Any], alpha: bool) -> None:
    pixels = _with_alpha(_page(1)) if alpha else _page(1)
    result = quantize(pixels, 8, keep="#fff,#d62728,#00000000", **way)
    opaque = pixels[..., 3] == 255 if alpha else np.ones(pixels.shape[:2], bool)
    for color in ((255, 255, 255), (214, 39, 40)):
        same = (pixels[..., :3] == color).all(axis=2) & opaque
        assert same.any()
        assert (result.palette[result.indexes][same][:, :3] == color).all()
    if alpha:
        clear = pixels[..., 3] == 0
        assert not result.palette[result.indexes][clear].any()


def test_an_image_of_kept_colors_alone_is_kept_exactly() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    result = quantize(pixels, 2, keep="#ffffff,#000000")
    assert np.array_equal(result.palette[result.indexes], pixels)
    with pytest.raises(InvalidSetting, match="keep: 2 colors are to be kept, which are more than k = 1."):
        quantize(pixels, 1, keep="#ffffff,#000000")


@given(
    seed=st.integers(0, 20),
    colors=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=256, unique=True),
)
@settings(max_examples=25)
def test_each_pixel_gets_the_nearest_color_of_a_given_palette(seed: int, colors: list[tuple[int, int, int]]) -> None:
    pixels = photograph(seed=seed)
    result = quantize(pixels, 1, palette=colors_text((*color, 255) for color in colors))
    assert result.palette.tolist() == [list(color) for color in colors]
    distances = ((pixels[:, :, None].astype(int) - np.array(colors)) ** 2).sum(axis=3)
    assert np.array_equal(result.indexes, distances.argmin(axis=2))
    assert result.inertia == distances.min(axis=2).sum()


def test_an_opaque_image_takes_the_opaque_colors_of_a_palette() -> None:
    result = quantize(photograph(), 4, palette="#00000000,#ff000080,#102030,#f0e0d0")
    assert result.palette.tolist() == [[16, 32, 48], [240, 224, 208]]
    with pytest.raises(ValueError, match="no color of the palette is opaque"):
        quantize(photograph(), 4, palette="#00000000")


def test_an_image_with_alpha_takes_all_colors_of_a_palette() -> None:
    result = quantize(_with_alpha(_page(2)), 4, palette="#00000000,#d62728,#ffffff,#00000080")
    assert result.palette.tolist() == [[0, 0, 0, 0], [214, 39, 40, 255], [255, 255, 255, 255], [0, 0, 0, 128]]
    assert set(np.unique(result.indexes)) == {0, 1, 2, 3}
