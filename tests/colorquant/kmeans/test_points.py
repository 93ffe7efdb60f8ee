"""Points: positions and weights are kept, blocks and boxes are what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorquant.colors.cells import coarse_cells
from colorquant.colors.histogram import count_colors, unpack_colors
from colorquant.kmeans.hilbert import hilbert_order
from colorquant.kmeans.points import BLOCK, GRID, GRID_BITS, MOST_COARSE, SUPER, Points, points_at, points_of


def scattered(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, 255 * GRID + 1, (size, 3)), random.integers(1, 1000, size)


def rows_of(points: Points) -> np.ndarray:
    """Position and weight of each point with a weight, sorted."""
    rows = np.column_stack([points.coordinates.T.astype(np.int64), points.moments[:, 3]])
    rows = rows[rows[:, 3] > 0]
    return rows[np.lexsort(rows.T)]


@given(st.integers(0, 2**31), st.integers(1, 3 * BLOCK * SUPER))
@settings(max_examples=40, deadline=None)
def test_every_position_and_weight_is_kept_and_padding_weighs_nothing(seed: int, size: int) -> None:
    positions, weights = scattered(seed, size)
    points = points_at(positions, weights)
    given_rows = np.column_stack([positions, weights])
    assert np.array_equal(rows_of(points), given_rows[np.lexsort(given_rows.T)])
    assert points.size == size and points.weight == weights.sum()
    assert points.squares == ((positions**2).sum(axis=1) * weights).sum()
    assert points.coordinates.shape[1] % BLOCK == 0 and points.coordinates.shape[1] - size < BLOCK
    assert not points.moments[size:, 3].any()
    assert (points.coordinates[:, size:] == points.coordinates[:, size - 1 : size]).all()


@given(st.integers(0, 2**31), st.integers(1, 3 * BLOCK * SUPER))
@settings(max_examples=40, deadline=None)
def test_moments_and_boxes_are_those_of_the_blocks(seed: int, size: int) -> None:
    points = points_at(*scattered(seed, size))
    coordinates = points.coordinates.astype(np.int64)
    assert np.array_equal(points.moments[:, :3], coordinates.T * points.moments[:, 3:])
    for name, reduce in (("lows", np.min), ("highs", np.max)):
        blocks = reduce(coordinates.reshape(3, -1, BLOCK), axis=2)
        assert np.array_equal(getattr(points, name), blocks)
        runs = [reduce(blocks[:, run : run + SUPER], axis=1) for run in range(0, blocks.shape[1], SUPER)]
        assert np.array_equal(getattr(points, f"super_{name}"), np.transpose(runs))
    assert np.array_equal(points.block_moments, points.moments.reshape(-1, BLOCK, 4).sum(axis=1))


def test_points_lie_along_the_curve() -> None:
    positions, weights = scattered(1, 500)
    order = hilbert_order(positions, GRID_BITS)
    assert np.array_equal(points_at(positions, weights).coordinates[:, :500].T, positions[order])


def test_exact_cells_give_their_colors_and_coarse_ones_the_nearest_grid_position_of_their_mean() -> None:
    histogram = count_colors(np.random.default_rng(0).integers(0, 256, (4000, 3), dtype=np.uint8))
    exact = points_of(coarse_cells(histogram))
    colors = np.column_stack([GRID * unpack_colors(histogram.colors).astype(int), histogram.counts])
    assert np.array_equal(rows_of(exact), colors[np.lexsort(colors.T)])
    cells = coarse_cells(histogram, 200)
    coarse = np.column_stack([np.floor(GRID * cells.sums / cells.counts[:, None] + 0.5), cells.counts])
    assert np.array_equal(rows_of(points_of(cells)), coarse[np.lexsort(coarse.T)])


@pytest.mark.parametrize("group", [2, 4, MOST_COARSE])
def test_coarsened_points_are_the_rounded_means_of_their_group(group: int) -> None:
    points = points_at(*scattered(2, 777))
    coarse = points.coarsened(group)
    for i in range(coarse.size):
        members = points.moments[i * group : (i + 1) * group].sum(axis=0)
        assert coarse.moments[i, 3] == members[3]
        assert np.abs(coarse.coordinates[:, i] - members[:3] / members[3]).max() <= 0.5
    assert coarse.size == -(-777 // group) and coarse.weight == points.weight
