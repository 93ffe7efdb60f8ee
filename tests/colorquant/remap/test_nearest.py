import numpy as np
import pytest

from colorquant.remap.nearest import remap


@pytest.mark.parametrize("k", [1, 3, 256])
@pytest.mark.parametrize("writable", [True, False])
def test_every_pixel_gets_its_nearest_entry(k, writable):
    random = np.random.default_rng(k)
    pixels = random.integers(0, 256, (31, 17, 3), dtype=np.uint8)
    palette = random.integers(0, 256, (k, 3), dtype=np.uint8)
    pixels.flags.writeable = writable
    distances = ((pixels[:, :, None].astype(int) - palette.astype(int)) ** 2).sum(axis=3)
    indexes = remap(pixels, palette)
    assert indexes.dtype == np.uint8
    assert np.array_equal(indexes, distances.argmin(axis=2))


def test_bands_and_transposed_views_are_the_same_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    palette = pixels[0, :16]
    whole = remap(pixels, palette)
    assert np.array_equal(np.concatenate([remap(band, palette) for band in np.array_split(pixels, 7)]), whole)
    assert np.array_equal(remap(pixels.transpose(1, 0, 2), palette), whole.T)


def test_ties_go_to_the_lower_index():
    pixels = np.full((2, 2, 3), 10, np.uint8)
    assert (remap(pixels, np.array([[50, 0, 0], [12, 10, 10], [8, 10, 10]], np.uint8)) == 1).all()
