"""Cells against plain sums over the pixels that fall into each box of the color cube."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorquant.colors.cells import CELL_LIMIT, Cells, coarse_cells, merge_cells
from colorquant.colors.histogram import count_colors


def some_pixels(seed: int, count: int = 3000) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3), dtype=np.uint8)


def bits_kept(level: int) -> tuple[int, int, int]:
    """Of red, green and blue: each lower level drops a bit of blue, red, green in turn."""
    kept = [8, 8, 8]
    for turn in range(24 - level):
        kept[(2, 0, 1)[turn % 3]] -= 1
    return kept[0], kept[1], kept[2]


def boxes(pixels: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower corner and row of each pixel's box."""
    kept = np.array(bits_kept(level))
    corners, rows = np.unique(pixels >> (8 - kept) << (8 - kept), axis=0, return_inverse=True)
    return corners, rows.reshape(-1)


@pytest.mark.parametrize("level", range(25))
def test_each_level_has_the_sums_of_its_boxes(level: int) -> None:
    pixels = some_pixels(level)
    cells = coarse_cells(count_colors(pixels)).coarsened(level)
    corners, rows = boxes(pixels, level)
    packed = corners.astype(int) @ [1 << 16, 1 << 8, 1]
    assert cells.level == level and cells.exact == (level == 24)
    assert np.array_equal(cells.keys, packed)
    assert np.array_equal(cells.counts, np.bincount(rows))
    for channel in range(3):
        assert np.array_equal(cells.sums[:, channel], np.bincount(rows, pixels[:, channel]).astype(np.int64))
    means = np.array([pixels[rows == row].mean(axis=0) for row in range(min(5, len(corners)))])
    assert np.allclose(cells.means[: len(means)], means)


@given(st.integers(0, 2**31), st.integers(0, 24), st.integers(0, 24))
@settings(max_examples=40, deadline=None)
def test_coarsening_in_steps_is_coarsening_at_once(seed: int, first: int, second: int) -> None:
    cells = coarse_cells(count_colors(some_pixels(seed, 500)))
    in_steps, at_once = cells.coarsened(first).coarsened(second), cells.coarsened(min(first, second))
    assert in_steps.level == at_once.level
    for name in ("keys", "sums", "counts"):
        assert np.array_equal(getattr(in_steps, name), getattr(at_once, name))


@given(st.integers(0, 2**31), st.integers(1, 600))
@settings(max_examples=40, deadline=None)
def test_the_level_is_the_finest_that_the_limit_allows(seed: int, limit: int) -> None:
    exact = coarse_cells(count_colors(some_pixels(seed, 500)))
    cells = exact.within(limit)
    assert len(cells) <= limit
    if not cells.exact:
        assert len(exact.coarsened(cells.level + 1)) > limit


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.integers(1, 400), st.randoms())
@settings(max_examples=40, deadline=None)
def test_parts_merge_to_the_whole_in_any_order_even_if_some_are_empty(sizes: list[int], limit: int, random) -> None:
    parts = [some_pixels(i, size) // 4 * 3 for i, size in enumerate(sizes)]
    whole = coarse_cells(count_colors(np.concatenate(parts)), limit)
    cells = [coarse_cells(count_colors(part), limit) for part in parts]
    random.shuffle(cells)
    merged = merge_cells(cells, limit)
    assert merged.level == whole.level
    for name in ("keys", "sums", "counts"):
        assert np.array_equal(getattr(merged, name), getattr(whole, name))


def test_the_limit_by_default_is_that_of_the_centroid_search() -> None:
    pixels = some_pixels(0, 3 * CELL_LIMIT)
    assert len(coarse_cells(count_colors(pixels))) <= CELL_LIMIT < len(count_colors(pixels))
    assert coarse_cells(count_colors(pixels[:1000])).level == Cells.EXACT
