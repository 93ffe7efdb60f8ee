"""The trellis: the least visible error for the bits of a file."""

import itertools

import numpy as np
import pytest
from PIL import Image

from colorquant import quality as measures
from colorquant.encode import encode_indexed_png
from colorquant.perception.direct_search import DirectSearch, remap_directly
from colorquant.perception.entries import Entries
from colorquant.perception.eye_model import coordinates_of
from colorquant.perception.importance import importance
from colorquant.quantizer import quantize
from colorquant.remap import RateModel
from tests.colorquant.perception.test_perception import icon
from tests.conftest import PROJECT, photograph

_NO_COPIES = (np.zeros(0, np.int64), np.zeros((0, 2), np.int64))


def prices(literal: list[int], run: int) -> RateModel:
    """A model without copies from the rows above."""
    return RateModel(np.array(literal, np.int64), run, *_NO_COPIES)


def energies(pixels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Weighted energy of each entry at each pixel without blur, int64 (h, W, k): what the trellis adds up."""
    off = coordinates_of(palette).astype(np.int64) - coordinates_of(pixels)[:, :, None]
    bands = [coordinates_of(pixels[top : top + 64]) for top in range(0, len(pixels), 64)]
    important = np.concatenate([importance(band) for band in bands])
    weights = np.maximum(1, np.rint(64 * (important / 64) ** 1.5)).astype(np.int64)
    return 256 * (off**2).sum(axis=3) * weights[..., None]


def test_without_prices_and_blur_each_pixel_takes_its_nearest_entry() -> None:
    pixels = photograph(70, 60)
    palette = quantize(pixels, 16).palette
    indexes = remap_directly(pixels, palette, DirectSearch(False, prices([0] * len(palette), 0)))
    cost = energies(pixels, palette)
    assert np.array_equal(np.take_along_axis(cost, indexes[..., None].astype(int), 2)[..., 0], cost.min(axis=2))


@pytest.mark.parametrize("seed", range(5))
def test_a_row_costs_no_more_than_its_cheapest_literals_and_its_best_runs(seed: int) -> None:
    """By the model's own sums: a run that goes on costs nothing."""
    random = np.random.default_rng(seed)
    pixels = random.integers(100, 140, (1, 40, 3)).astype(np.uint8)
    palette = random.integers(90, 150, (3, 3)).astype(np.uint8)
    energy = energies(pixels, palette)[0]
    typical = int(energy.mean())
    model = prices([typical, typical // 2, typical * 2], typical // 4)
    found = remap_directly(pixels, palette, DirectSearch(False, model))[0]
    total = int(energy[range(40), found].sum())
    for same, row in itertools.groupby(found):
        length = len(list(row))
        literal = int(model.literal[same])
        total += literal + min((length - 1) * literal, model.run if length > 1 else 0)
    literals = energy + model.literal
    assert total <= literals.min(axis=1).sum()
    assert len(list(itertools.groupby(found))) < len(list(itertools.groupby(literals.argmin(axis=1)))), "no run is used"


def test_a_faint_area_is_not_lost_in_its_ground() -> None:
    """Where bits are dear, a step of a few levels would be worth fewer than its edges cost."""
    pixels = np.full((128, 160, 3), 255, np.uint8)
    for left in range(0, 160, 20):
        pixels[20:100, left : left + 6] = 246
    palette = np.array([[255, 255, 255], [246, 246, 246], [0, 0, 0]], np.uint8)
    dear = prices([10**7] * 3, 10**7)
    for blurred in (False, True):
        assert np.array_equal(palette[remap_directly(pixels, palette, DirectSearch(blurred, dear))], pixels)


def test_it_does_not_depend_on_how_bands_are_cut() -> None:
    pixels = photograph(200, 60)
    image = quantize(pixels, 16, objective="perceptual", dither="direct-search", rate=1.0)
    model = prices([10**6] * len(image.palette), 10**6)
    whole = remap_directly(pixels, image.palette, DirectSearch(True, model))
    parts = [remap_directly(part, image.palette, DirectSearch(True, model)) for part in np.split(pixels, [64, 128])]
    assert np.array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("dither", ["none", "direct-search"])
def test_a_higher_rate_makes_smaller_files_that_look_worse(dither: str) -> None:
    pixels = photograph(192, 256)
    images = [quantize(pixels, 64, rate=rate, dither=dither, objective="perceptual") for rate in (0.1, 0.5, 2.0)]
    sizes = [len(encode_indexed_png(image.palette, image.indexes)) for image in images]
    values = [measures.perceptual_similarity(pixels, image.palette[image.indexes]) for image in images]
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.75 * sizes[0]
    assert values == sorted(values, reverse=True)


def test_a_photograph_looks_better_in_a_smaller_file_than_with_the_prices_of_the_squared_error() -> None:
    with Image.open(PROJECT / "include" / "images" / "chelsea.png") as image:
        pixels = np.asarray(image.convert("RGB").crop((100, 40, 356, 232)))
    plain = quantize(pixels, 64, rate=0.1, color_space="oklab")
    found = quantize(pixels, 128, rate=1.0, objective="perceptual", dither="direct-search")
    values = [measures.perceptual_similarity(pixels, image.palette[image.indexes]) for image in (plain, found)]
    sizes = [len(encode_indexed_png(image.palette, image.indexes)) for image in (plain, found)]
    assert values[1] >= values[0] and sizes[1] < 0.92 * sizes[0], (values, sizes)


@pytest.mark.parametrize("dither", ["none", "direct-search"])
def test_at_any_price_opaque_stays_opaque_and_transparent_transparent(dither: str) -> None:
    pixels = icon(96, 96)
    image = quantize(pixels, 16, objective="perceptual", dither=dither, rate=100.0)
    decoded = image.palette[image.indexes]
    assert (decoded[pixels[..., 3] == 255, 3] == 255).all()
    assert (decoded[pixels[..., 3] == 0] == 0).all()


def test_few_colors_are_kept_exactly_at_any_rate() -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (40, 50, 3)).astype(np.uint8) * 255
    image = quantize(pixels, 8, objective="perceptual", dither="direct-search", rate=100.0)
    assert np.array_equal(image.palette[image.indexes], pixels)


def test_entries_for_pixels_of_each_kind() -> None:
    opaque_only = Entries(np.array([[1, 2, 3, 255], [4, 5, 6, 255]], np.uint8))
    assert opaque_only.allowed.all()
    mixed = Entries(np.array([[0, 0, 0, 0], [9, 9, 9, 100], [4, 5, 6, 255]], np.uint8))
    assert mixed.allowed.tolist() == [[False, False, True], [True, False, False], [True, True, True]]
