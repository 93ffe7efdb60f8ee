import itertools
import math
from functools import reduce
from operator import add

import numpy as np
import pytest

from colorquant import quantize
from colorquant.alpha import on_background, on_both_backgrounds
from colorquant.colors.cells import merge_cells
from colorquant.perception import palette as fitting
from colorquant.perception.direct_search import DirectSearch, remap_directly, search_band
from colorquant.perception.entries import Entries
from colorquant.perception.eye_model import (
    KERNEL,
    KERNEL_BITS,
    _third_root,
    colors_at,
    colors_with_alpha_at,
    coordinates_of,
    is_neutral,
)
from colorquant.perception.importance import importance, important_cells
from colorquant.perception.refit import RefitSums, refit_sums, refitted
from colorquant.quality import measures
from colorquant.quantizer import PixelSource
from tests.conftest import photograph


def energy(pixels: np.ndarray, palette: np.ndarray, indexes: np.ndarray) -> int:
    """The energy of the blurred error, pair by pair."""
    errors = (coordinates_of(palette)[indexes] - coordinates_of(pixels)).astype(np.int64)
    radius, (height, width) = len(KERNEL) // 2, indexes.shape
    padded = np.pad(errors, ((radius, radius), (radius, radius), (0, 0)))
    total = 0
    for (row, column), weight in np.ndenumerate(KERNEL):
        total += int(weight) * int((errors * padded[row : row + height, column : column + width]).sum())
    return total


def test_greys_are_neutral_and_come_back_as_themselves() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert is_neutral(coordinates_of(greys)).all()
    assert np.array_equal(colors_at(coordinates_of(greys)), greys)
    assert not is_neutral(coordinates_of(np.array([[100, 100, 104]], np.uint8))).any()


def test_colors_come_back_from_their_coordinates_nearly_as_they_were() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (5000, 3)).astype(np.uint8)
    assert np.abs(coordinates_of(colors_at(coordinates_of(colors))) - coordinates_of(colors)).max() <= 6


def test_no_error_has_a_negative_energy() -> None:
    assert np.array_equal(KERNEL, KERNEL[::-1, ::-1]) and KERNEL.max() == KERNEL[4, 4] == 1 << KERNEL_BITS
    assert np.fft.fft2(np.fft.ifftshift(np.pad(KERNEL, ((28, 27), (28, 27))))).real.min() > 0


def test_after_the_search_no_other_entry_of_a_pixel_lowers_the_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("colorquant.perception.direct_search.PASSES", 50)
    monkeypatch.setattr("colorquant.perception.direct_search._FLAT_PRICE", 0)
    pixels = photograph(9, 11)
    palette = quantize(pixels, 6).palette
    indexes = remap_directly(pixels, palette, DirectSearch())
    least = energy(pixels, palette, indexes)
    nearest = remap_directly(pixels, palette, DirectSearch(blurred=False))
    assert least < energy(pixels, palette, nearest)
    for y, x, entry in itertools.product(range(9), range(11), range(6)):
        other = indexes.copy()
        other[y, x] = entry
        assert energy(pixels, palette, other) >= least


def test_without_a_blur_every_pixel_takes_its_nearest_entry() -> None:
    pixels = photograph()
    palette = quantize(pixels, 9).palette
    distances = ((coordinates_of(pixels)[:, :, None] - coordinates_of(palette)) ** 2).sum(axis=3)
    indexes = remap_directly(pixels, palette, DirectSearch(blurred=False))
    assert np.array_equal(np.take_along_axis(distances, indexes[..., None].astype(int), 2)[..., 0], distances.min(2))


def test_a_refitted_palette_lowers_the_energy_of_the_same_index_map() -> None:
    pixels = photograph(40, 50)
    palette = quantize(pixels, 8).palette
    entries = coordinates_of(palette)
    indexes = search_band(pixels, coordinates_of(pixels), Entries(palette), DirectSearch())
    sums = refit_sums(pixels, palette, DirectSearch())
    assert sums.pairs.sum() == sum(
        int(weight) * max(0, 40 - abs(row - 4)) * max(0, 50 - abs(column - 4))
        for (row, column), weight in np.ndenumerate(KERNEL)
    )
    everything = np.ones((8, 3), np.bool_)
    moved = colors_at(refitted(entries.astype(float), sums, everything))
    gained = energy(pixels, palette, indexes) - energy(pixels, moved, indexes)
    assert gained > 0
    assert sums.energy(entries) - sums.energy(coordinates_of(moved)) == gained
    unused = RefitSums(np.pad(sums.pairs, (0, 1)), np.pad(sums.targets, ((0, 1), (0, 0))))
    assert unused.energy(entries) == sums.energy(entries)
    gigapixel = RefitSums(sums.pairs << 18, sums.targets << 18)
    assert gigapixel.energy(entries) == sums.energy(entries) << 18
    held = refitted(entries.astype(float), sums, ~everything)
    assert np.array_equal(held, entries)


@pytest.mark.parametrize("cuts", [(64,), (128, 192)])
def test_bands_by_themselves_give_what_the_whole_image_gives(cuts: tuple[int, ...]) -> None:
    pixels = photograph(200, 70)
    palette = quantize(pixels, 12).palette
    bands = np.split(pixels, cuts)
    for search in (DirectSearch(), DirectSearch(blurred=False)):
        whole = remap_directly(pixels, palette, search)
        assert np.array_equal(np.concatenate([remap_directly(band, palette, search) for band in bands]), whole)
        assert np.array_equal(PixelSource(pixels).remap(palette, search), whole)
        summed = reduce(add, [refit_sums(band, palette, search) for band in bands])
        assert np.array_equal(summed.pairs, refit_sums(pixels, palette, search).pairs)
        assert np.array_equal(summed.targets, refit_sums(pixels, palette, search).targets)
    merged = merge_cells([important_cells(band) for band in bands])
    assert np.array_equal(merged.sums, important_cells(pixels).sums)


def test_importance_is_that_of_the_deviation_around_each_pixel() -> None:
    coordinates = coordinates_of(photograph(23, 31))
    luminance, weights = coordinates[..., 1].astype(np.int64), importance(coordinates)
    for y, x in itertools.product(range(23), range(31)):
        around = luminance[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].ravel()
        activity = math.isqrt(around.size * int((around**2).sum()) - int(around.sum()) ** 2)
        assert weights[y, x] == max(1, 64 * 40 * around.size // (40 * around.size + activity))
    for small in (coordinates[:1, :1], coordinates[:2, :3], coordinates[:1], coordinates[:, :1]):
        assert importance(small).shape == small.shape[:2] and importance(small).min() >= 1


def test_third_roots_are_exact() -> None:
    roots = np.random.default_rng(0).integers(1, 1 << 20, 3000)
    for root in [1, 2, 3, (1 << 20) - 1, *map(int, roots)]:
        for value in (root**3 - 1, root**3, root**3 + 1):
            found = int(_third_root(np.int64(value))) if value else 0
            assert found**3 <= value < (found + 1) ** 3


def test_smooth_pixels_are_more_important_than_those_in_texture() -> None:
    pixels = np.full((64, 128, 3), 128, np.uint8)
    pixels[:, 64:] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    weights = importance(coordinates_of(pixels))
    assert (weights[:, :60] == 64).all() and weights[:, 70:].max() < 16 and weights.min() >= 1


@pytest.mark.parametrize("dither", ["none", "blue-noise", "direct-search"])
def test_an_image_of_few_colors_stays_as_it_is(dither: str) -> None:
    # Yellows that differ in blue alone, by one: they have the same coordinates.
    palette = np.array([[255, 255, blue] for blue in range(3)] + [[9, 9, 9]], np.uint8)
    pixels = palette[np.random.default_rng(0).integers(0, 4, (70, 30))]
    image = quantize(pixels, 4, objective="perceptual", dither=dither)
    assert np.array_equal(image.palette[image.indexes], pixels)


@pytest.mark.parametrize("dither", ["none", "direct-search"])
def test_a_grey_image_has_a_grey_palette(dither: str) -> None:
    pixels = np.repeat(photograph(100, 120)[..., :1], 3, axis=2)
    palette = quantize(pixels, 16, objective="perceptual", dither=dither).palette
    assert (palette == palette[:, :1]).all()


@pytest.mark.parametrize("dither", ["none", "direct-search"])
def test_a_large_flat_area_keeps_its_color(dither: str) -> None:
    pixels = photograph(128, 128)
    brand = (201, 33, 77)
    pixels[:40], pixels[90:, 64:] = 255, brand
    image = quantize(pixels, 16, objective="perceptual", dither=dither)
    decoded = image.palette[image.indexes]
    assert (decoded[5:30, 5:-5] == 255).all()
    assert (decoded[98:-5, 72:-5] == brand).all()


def test_a_small_region_of_a_color_of_its_own_keeps_it() -> None:
    pixels = np.repeat(photograph(128, 128)[..., :1] // 2 + 100, 3, axis=2)
    pixels[60:68, 60:68] = (255, 220, 90)
    image = quantize(pixels, 16, objective="perceptual", dither="direct-search")
    assert np.abs(image.palette[image.indexes][62:66, 62:66].astype(int) - (255, 220, 90)).max() <= 6


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_with_flat_areas_begins_as_the_least_error_is_visible(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.full((128, 128, channels), 255, np.uint8)
    for number, (top, left) in enumerate(((4, 4), (40, 80), (84, 20))):
        pixels[top : top + 32, left : left + 32, :3] = photograph(32, 32, seed=number)
    weights = fitting._weights
    settings = {"objective": "perceptual", "dither": "direct-search"}
    chosen = quantize(pixels, 16, **settings)
    alone = []
    for start in range(3):
        monkeypatch.setattr(fitting, "_weights", lambda *of, start=start: weights(*of)[start : start + 1])
        alone.append(quantize(pixels, 16, **settings))
    energies = [energy(pixels, one.palette, one.indexes) for one in alone]
    assert len(set(energies)) == 3
    (same,) = (number for number, one in enumerate(alone) if np.array_equal(one.palette, chosen.palette))
    assert energies[same] < energies[0]
    monkeypatch.setattr(fitting, "_weights", weights)
    pixels = photograph(40, 40)
    found = quantize(pixels, 8, **settings)
    monkeypatch.setattr(fitting, "_weights", lambda *of: weights(*of)[:1])
    assert np.array_equal(quantize(pixels, 8, **settings).palette, found.palette), "of a photograph one start is tried"


def test_it_looks_better_than_the_least_squared_error() -> None:
    pixels = photograph(192, 256)
    by = {
        (objective, dither): measures.perceptual_similarity(pixels, image.palette[image.indexes])
        for objective, dither in itertools.product(("squared-error", "perceptual"), ("none", "direct-search"))
        for image in [quantize(pixels, 24, objective=objective, dither=dither)]
    }
    assert by["perceptual", "none"] > by["squared-error", "none"]
    assert by["perceptual", "direct-search"] > by["perceptual", "none"] + 3


def test_the_same_arguments_give_the_same_bytes_and_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = photograph(300, 100)
    one = quantize(pixels, 20, objective="perceptual", dither="direct-search")
    monkeypatch.setattr("colorquant.quantizer.in_process.PARALLEL_PIXELS", 1)
    other = quantize(pixels, 20, objective="perceptual", dither="direct-search")
    assert np.array_equal(one.palette, other.palette) and np.array_equal(one.indexes, other.indexes)


def icon(height: int = 256, width: int = 256) -> np.ndarray:
    """A gradient in a disk with a soft edge; fully transparent outside."""
    y, x = np.mgrid[:height, :width]
    colors = np.dstack([30 + 200 * x / width, 200 - 150 * y / height, 60 + 150 * x * y / (width * height)]).astype(
        np.uint8
    )
    distance = np.hypot(y - height / 2, x - width / 2)
    alpha = np.clip(255 * (height / 2.2 - distance) / 12, 0, 255).astype(np.uint8)
    return np.dstack([colors, alpha])


def test_colors_with_alpha_come_back_from_their_coordinates_nearly_as_they_were() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (3000, 4)).astype(np.uint8)
    colors[:20, 3], colors[20:40, 3] = 0, 255
    back = colors_with_alpha_at(coordinates_of(colors))
    assert (back[:20] == 0).all() and (back[20:40, 3] >= 254).all()
    assert np.abs(back[:, 3].astype(int) - colors[:, 3]).max() <= 2
    for level in (0, 255):
        assert np.abs(on_background(back, level).astype(int) - on_background(colors, level)).max() <= 3


@pytest.mark.parametrize("dither", ["none", "direct-search"])
@pytest.mark.parametrize("k", [2, 16])
def test_with_alpha_opaque_stays_opaque_and_transparent_transparent(dither: str, k: int) -> None:
    pixels = icon(96, 96)
    image = quantize(pixels, k, objective="perceptual", dither=dither)
    decoded = image.palette[image.indexes]
    assert (decoded[pixels[..., 3] == 255, 3] == 255).all()
    assert (decoded[pixels[..., 3] == 0] == 0).all()


def test_with_alpha_it_looks_better_than_the_least_squared_error() -> None:
    pixels = icon()
    plain, seen = (
        quantize(pixels, 16, objective=objective, dither=dither)
        for objective, dither in (("squared-error", "none"), ("perceptual", "direct-search"))
    )
    values = [
        on_both_backgrounds(measures.perceptual_similarity, pixels, image.palette[image.indexes])
        for image in (plain, seen)
    ]
    assert values[1] > values[0] + 3


def test_flat_areas_that_end_at_edges_are_not_dithered() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = (200, 40, 60), (40, 90, 200)
    palette = np.array([[185, 50, 70], [215, 30, 50], [30, 80, 190], [50, 100, 210]], np.uint8)
    indexes = remap_directly(pixels, palette, DirectSearch())
    assert len(np.unique(indexes[:, :32])) == len(np.unique(indexes[:, 32:])) == 1
    pixels[:, :32, 0] += np.arange(32, dtype=np.uint8)[None] // 4
    assert len(np.unique(remap_directly(pixels, palette, DirectSearch())[:, :32])) == 2


def test_pixels_whose_color_is_an_entry_keep_it() -> None:
    pixels = photograph(70, 60)
    palette = np.unique(np.concatenate([quantize(pixels, 12).palette, pixels[::9, ::9].reshape(-1, 3)]), axis=0)
    decoded = palette[remap_directly(pixels, palette, DirectSearch())]
    assert np.array_equal(decoded[::9, ::9], pixels[::9, ::9])
