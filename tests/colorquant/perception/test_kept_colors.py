"""Colors that people look for: neutral, of a flat area, of a small area, opaque."""

import cv2
import numpy as np
import pytest

from colorquant import alpha, quantize
from colorquant.colors.histogram import merge_histograms
from colorquant.perception.kept_colors import KeptColors, flat_colors
from tests.bundled_outputs import IMAGES
from tests.conftest import photograph

OBJECTIVES = ("squared-error", "perceptual")


def shown(pixels: np.ndarray, k: int, **settings: str) -> np.ndarray:
    image = quantize(pixels, k, **settings)
    return image.palette[image.indexes]


def product_on(ground: tuple[int, int, int]) -> np.ndarray:
    """A photograph with a soft shadow on a flat ground: every color between the shadow's and the ground's occurs."""
    pixels = np.full((240, 320, 3), ground, np.uint8)
    y, x = np.mgrid[:240, :320]
    depth = np.clip(1 - np.hypot((y - 150) / 60, (x - 160) / 120), 0, 1)[..., None]
    pixels = np.rint(pixels * (1 - depth / 12) + 128 * depth / 12).astype(np.uint8)
    pixels[90:150, 120:200] = photograph(60, 80)
    return pixels


def a_map(spot: tuple[slice, slice], color: tuple[int, int, int]) -> np.ndarray:
    """Twelve fills with antialiased borders, and a spot of another color."""
    fills = np.random.default_rng(1).integers((90, 80, 120), (190, 150, 220), (3, 4, 3)).astype(np.uint8)
    large = np.kron(fills, np.ones((200, 200, 1), np.uint8))
    cv2.line(large, (0, 90), (799, 480), (255, 255, 255), 7)
    cv2.line(large, (300, 0), (450, 599), (40, 40, 50), 5)
    pixels = cv2.resize(large, (400, 300), interpolation=cv2.INTER_AREA)
    pixels[spot] = color
    return pixels


@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 0), (17, 86, 200)])
@pytest.mark.parametrize("k", [4, 9, 16])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_flat_ground_is_exactly_what_it_was(ground: tuple[int, int, int], k: int, objective: str) -> None:
    pixels = product_on(ground)
    flat = (pixels == ground).all(axis=2)
    assert (shown(pixels, k, objective=objective)[flat] == ground).all(axis=1).mean() > 0.999
    with_alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    with_alpha[:20, :20] = 0
    flat[:20, :20] = False
    assert (shown(with_alpha, k, objective=objective)[flat] == (*ground, 255)).all(axis=1).mean() > 0.999


@pytest.mark.parametrize("settings", [{"color_space": "oklab"}, {"color_space": "rgb"}, {"objective": "perceptual"}])
def test_what_is_gray_stays_gray(settings: dict[str, str]) -> None:
    gray = np.repeat(photograph(128, 160)[..., :1], 3, axis=2)
    for k in (5, 24, 100):
        palette = quantize(gray, k, **settings).palette.astype(int)
        assert not np.ptp(palette, axis=1).any()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("color", [(214, 39, 40), (250, 210, 20), (10, 120, 30)])
@pytest.mark.parametrize("side", [9, 21])
def test_a_small_area_of_another_color_keeps_it(objective: str, color: tuple[int, int, int], side: int) -> None:
    spot = slice(133, 133 + side), slice(218, 218 + side)
    found = shown(a_map(spot, color), 20, objective=objective)[spot].reshape(-1, 3)
    assert np.abs(found.astype(int) - color).max() <= 6


def test_there_is_no_entry_to_spare_for_a_small_area_at_few_colors() -> None:
    """Of four colors none is given to a thousandth of the image: the others would be far off."""
    spot = slice(133, 142), slice(218, 227)
    pixels = a_map(spot, (214, 39, 40))
    without = a_map((slice(0), slice(0)), (0, 0, 0))
    assert quantize(pixels, 4).inertia < 1.1 * quantize(without, 4).inertia + 81 * 3 * 128**2


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_opaque_pixels_stay_opaque(objective: str) -> None:
    y, x = np.mgrid[:200, :240]
    distance = np.hypot(y - 100, x - 120)
    for softness in (1.5, 6, 40):
        opacity = np.clip(255 * (80 - distance) / softness, 0, 255).astype(np.uint8)
        pixels = np.dstack([photograph(200, 240), opacity])
        for k in (4, 16, 64):
            found = shown(pixels, k, objective=objective)[..., 3]
            assert (found[opacity == 255] == 255).mean() > 0.999
            assert (found[opacity == 0] == 0).mean() > 0.999


@pytest.mark.parametrize(
    "image", [path for path in IMAGES if path.stem != "hubble_deep_field"], ids=lambda path: path.name
)
def test_photographs_do_not_pay_for_it(image, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = cv2.cvtColor(cv2.imread(str(image)), cv2.COLOR_BGR2RGB)[:512, :512]
    kept = [quantize(pixels, k).inertia for k in (8, 16, 64, 256)]
    monkeypatch.setattr("colorquant.quantizer.solver.keep_colors", lambda palette, *_: KeptColors.of(palette))
    plain = [quantize(pixels, k).inertia for k in (8, 16, 64, 256)]
    assert np.mean(np.divide(kept, plain)) < 1.002


@pytest.mark.parametrize("channels", [3, 4])
def test_flat_colors_of_parts_add_up_to_those_of_the_whole(channels: int) -> None:
    numbers = np.random.default_rng(3)
    pixels = np.kron(numbers.integers(0, 3, (21, 17, channels)), np.ones((6, 7, 1))).astype(np.uint8)
    whole = flat_colors(pixels)
    blocks = pixels[: 31 * 4, : 29 * 4].reshape(31, 4, 29, 4, channels)
    flat = (blocks == blocks[:, :1, :, :1]).all(axis=(1, 3, 4))
    assert whole.pixels == 16 * flat.sum() > 0
    rows, columns = (0, 64, 126), (0, 16, 100, 119)
    parts = [
        flat_colors(pixels[top:bottom, left:right])
        for top, bottom in zip(rows, rows[1:], strict=False)
        for left, right in zip(columns, columns[1:], strict=False)
    ]
    merge = alpha.merge_histograms if channels == 4 else merge_histograms
    together = merge(parts)
    assert np.array_equal(together.colors, whole.colors) and np.array_equal(together.counts, whole.counts)
    assert len(flat_colors(pixels[:3])) == 0
