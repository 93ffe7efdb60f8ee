import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorquant.encode.palette_order import count_meetings, luminance_order, neighbor_order


def order_cost(order: np.ndarray, meetings: np.ndarray) -> float:
    rank = np.argsort(order)
    return float((meetings * np.log2(1 + np.abs(rank[:, None] - rank[None, :]))).sum())


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32))
def test_meetings_are_the_pairs_of_different_neighbors(colors: int, height: int, width: int, seed: int) -> None:
    indexes = np.random.default_rng(seed).integers(0, colors, (height, width), dtype=np.uint8)
    expected = np.zeros((colors, colors), dtype=np.int64)
    for y, x in itertools.product(range(height), range(width)):
        for b, a in ((y + 1, x), (y, x + 1)):
            if b < height and a < width and indexes[y, x] != indexes[b, a]:
                expected[indexes[y, x], indexes[b, a]] += 1
                expected[indexes[b, a], indexes[y, x]] += 1
    assert np.array_equal(count_meetings(indexes, colors), expected)


@settings(deadline=None)
@given(st.integers(1, 256), st.integers(0, 2**32))
def test_every_order_is_a_permutation(colors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    indexes = rng.integers(0, colors, (20, 30), dtype=np.uint8)
    palette = rng.integers(0, 256, (colors, 3), dtype=np.uint8)
    for order in (neighbor_order(indexes, colors), luminance_order(palette)):
        assert sorted(order.tolist()) == list(range(colors))


@pytest.mark.parametrize("colors", [2, 16, 100, 256])
def test_a_shuffled_ramp_is_found_again(colors: int) -> None:
    """Neighbors in the picture differ by at most one step of the ramp, so a perfect order exists."""
    steps = np.random.default_rng(0).integers(-1, 2, (300, 300)).cumsum(axis=1)
    ramp = np.abs((steps + colors) % (2 * colors) - colors).clip(0, colors - 1)
    ramp[:, 0] = np.arange(300) % colors
    label = np.random.default_rng(1).permutation(colors).astype(np.uint8)
    horizontal = label[ramp.reshape(1, -1)]
    found = neighbor_order(horizontal, colors)
    meetings = count_meetings(horizontal, colors)
    assert order_cost(found, meetings) <= 1.02 * order_cost(label.astype(int), meetings)


@pytest.mark.parametrize("seed", range(8))
def test_no_single_swap_improves_a_small_order(seed: int) -> None:
    """On at most 50 colors every pair is within reach, so what remains is a local minimum."""
    indexes = np.random.default_rng(seed).normal(4, 2, (25, 25)).clip(0, 8).astype(np.uint8)
    order, meetings = neighbor_order(indexes, 9), count_meetings(indexes, 9)
    cost = order_cost(order, meetings)
    for i, j in itertools.combinations(range(9), 2):
        swapped = order.copy()
        swapped[[i, j]] = swapped[[j, i]]
        assert order_cost(swapped, meetings) >= cost * (1 - 1e-3)


def test_luminance_order_is_unique_whatever_the_order_given() -> None:
    palette = np.array([[0, 0, 0], [114, 0, 0], [0, 0, 299], [9, 9, 9], [200, 0, 0], [0, 200, 0]]).astype(np.uint8)
    expected = palette[luminance_order(palette)]
    for permutation in itertools.permutations(range(6)):
        shuffled = palette[list(permutation)]
        assert np.array_equal(shuffled[luminance_order(shuffled)], expected)
