import numpy as np
import pytest

from colorquant.colors.cells import coarse_cells, merge_cells
from colorquant.colors.histogram import ColorHistogram, count_colors, merge_histograms, unpack_colors


def same_cells(one, other):
    return one.level == other.level and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("keys", "sums", "counts")
    )


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(0, 5, 3), (1, 1, 3), (40, 30, 3), (700_001, 3)])
def test_counts_are_those_of_a_plain_count(shape):
    pixels = np.random.default_rng(0).integers(0, 9, shape, dtype=np.uint8) * 31
    histogram = count_colors(pixels)
    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    assert np.array_equal(unpack_colors(histogram.colors), colors)
    assert np.array_equal(histogram.counts, counts)
    assert histogram.colors.dtype == np.uint32 and histogram.counts.dtype == np.int64


@pytest.mark.parametrize("rows", [1, 13, 89])
def test_merged_bands_are_the_whole(noise, rows):
    bands = [count_colors(noise[top : top + rows]) for top in range(0, len(noise), rows)]
    whole = count_colors(noise)
    for order in (bands, bands[::-1]):
        merged = merge_histograms(order)
        assert np.array_equal(merged.colors, whole.colors)
        assert np.array_equal(merged.counts, whole.counts)


@pytest.mark.parametrize("limit", [1, 7, 300, 2000, 10**6])
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_cells_of_parts_merge_to_cells_of_the_whole(noise, limit, parts):
    """Parts by rows (colors overlap) and by color ranges (cells overlap) both give the cells of the whole."""
    whole = count_colors(noise)
    cells = coarse_cells(whole, limit)
    assert len(cells) <= limit and cells.counts.sum() == whole.pixels
    by_rows = [count_colors(band) for band in np.array_split(noise, parts)]
    by_color = [
        ColorHistogram(colors, counts)
        for colors, counts in zip(np.array_split(whole.colors, parts), np.array_split(whole.counts, parts), strict=True)
    ]
    for split in (by_rows, by_color):
        assert same_cells(merge_cells([coarse_cells(part, limit) for part in split][::-1], limit), cells)


def test_cells_are_as_fine_as_the_limit_allows(noise):
    whole = count_colors(noise)
    assert coarse_cells(whole, len(whole)).exact
    assert not coarse_cells(whole, len(whole) - 1).exact
    cells = coarse_cells(whole, 500)
    finer = coarse_cells(whole, 8**4)
    assert finer.level > cells.level
    assert np.array_equal(cells.sums.sum(axis=0), noise.reshape(-1, 3).sum(axis=0, dtype=np.int64))
