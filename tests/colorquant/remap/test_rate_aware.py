import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorquant.encode.indexed_png import encode_indexed_png
from colorquant.remap import rate_aware
from colorquant.remap.bands import BAND_ROWS
from colorquant.remap.nearest import remap
from colorquant.remap.rate_aware import RateModel, rate_model, remap_band, remap_with


def picture(height: int, width: int, colors: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth shapes with noise on them, and a palette taken from its pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / rng.uniform(5, 30) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(5, 30)) for _ in range(3)]
    pixels = np.stack(waves, axis=2) * 90 + 128 + rng.normal(0, 6, (height, width, 3))
    pixels = pixels.clip(0, 255).astype(np.uint8)
    palette = pixels.reshape(-1, 3)[rng.choice(height * width, min(colors, height * width), replace=False)]
    return pixels, palette


def squared_error(pixels: np.ndarray, palette: np.ndarray, indexes: np.ndarray) -> int:
    return int(((pixels.astype(int) - palette[indexes]) ** 2).sum())


def priced(pixels: np.ndarray, palette: np.ndarray, strength: float) -> RateModel:
    """The prices at a strength, from sums over the nearest entries."""
    nearest = remap(pixels, palette)
    occurrences = np.bincount(nearest.ravel(), minlength=len(palette))
    error = squared_error(pixels, palette, nearest) / nearest.size
    return rate_model(occurrences, error, strength, pixels.shape[1])


def price_of(indexes: np.ndarray, model: RateModel) -> int:
    """The least that the model asks for given indexes, by plain dynamic programming over each row."""
    total = 0
    for y, row in enumerate(indexes.tolist()):
        paid = {"start": 0}
        for x, index in enumerate(row):
            least = min(paid.values())
            ways = {"literal": least + int(model.literal[index])}
            if x > 0 and row[x - 1] == index:
                ways["run"] = min(paid.get("run", least + model.run), least + model.run)
            for copy, (rows, columns) in enumerate(model.offsets.tolist()):
                inside = y >= rows and 0 <= x - columns < len(row)
                if inside and indexes[y - rows, x - columns] == index:
                    begin = least + int(model.copies[copy])
                    ways[f"copy {copy}"] = min(paid.get(f"copy {copy}", begin), begin)
            paid = ways
        total += min(paid.values())
    return total


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 3), st.integers(0, 2**32))
def test_distance_and_price_together_are_never_worse_than_nearest_entries_one_by_one(
    height: int, width: int, colors: int, strength: float, seed: int
) -> None:
    pixels, palette = picture(height, width, colors, seed)
    nearest = remap(pixels, palette)
    model = priced(pixels, palette, strength)
    chosen = remap_band(pixels, nearest, palette, model)
    scale = rate_aware._COST_SCALE
    lagrangian = scale * squared_error(pixels, palette, chosen) + price_of(chosen, model)
    one_by_one = scale * squared_error(pixels, palette, nearest) + int(model.literal[nearest].sum())
    assert lagrangian <= one_by_one
    assert squared_error(pixels, palette, chosen) >= squared_error(pixels, palette, nearest)


def test_without_prices_it_is_the_plain_remap() -> None:
    pixels, palette = picture(150, 60, 20, seed=0)
    nearest = remap(pixels, palette)
    assert np.array_equal(remap_with(pixels, palette, None), nearest)
    assert np.array_equal(remap_with(pixels, palette, priced(pixels, palette, 0)), nearest)


@pytest.mark.parametrize("colors", [2, 4, 16, 64])
def test_files_shrink_and_errors_grow_with_strength(colors: int) -> None:
    pixels, palette = picture(130, 120, colors, seed=3)
    sizes, errors = [], []
    for strength in (0, 0.1, 0.5, 2):
        indexes = remap_with(pixels, palette, priced(pixels, palette, strength))
        sizes.append(len(encode_indexed_png(palette, indexes)))
        errors.append(squared_error(pixels, palette, indexes))
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < 0.8 * sizes[0]
    assert errors == sorted(errors)


def test_bands_may_be_computed_anywhere() -> None:
    """In one piece, or each band by itself from pixels cut out of the image."""
    pixels, palette = picture(3 * BAND_ROWS + 17, 70, 12, seed=1)
    model = priced(pixels, palette, 0.4)
    whole = remap_with(pixels, palette, model)
    for top in (2 * BAND_ROWS, 0, 3 * BAND_ROWS, BAND_ROWS):
        band = pixels[top : top + BAND_ROWS].copy()
        assert np.array_equal(remap_with(band, palette, model), whole[top : top + BAND_ROWS])


def test_an_exact_picture_stays_exact() -> None:
    pixels, palette = picture(40, 40, 9, seed=2)
    exact = palette[remap(pixels, palette)]
    assert np.array_equal(palette[remap_with(exact, palette, priced(exact, palette, 5))], exact)
