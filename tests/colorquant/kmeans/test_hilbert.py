import numpy as np
import pytest

from colorquant.kmeans.hilbert import BITS, hilbert_order


@pytest.mark.parametrize("side", [2, 8, 32])
def test_the_curve_visits_every_cell_of_a_cube_once_and_steps_to_a_neighbor(side: int) -> None:
    shift = 3
    cell = (1 << BITS) // side << shift
    cells = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    order = hilbert_order(cells * cell, shift)
    assert sorted(order) == list(range(side**3))
    assert (np.abs(np.diff(cells[order], axis=0)).sum(axis=1) == 1).all()


def test_positions_of_one_cell_stay_in_the_order_given() -> None:
    random = np.random.default_rng(0)
    cells = random.integers(0, 3, (500, 3))
    order = hilbert_order(cells * 8 + random.integers(0, 8, (500, 3)), 3)
    runs = {tuple(cell): [i for i in order if tuple(cells[i]) == tuple(cell)] for cell in cells}
    assert all(run == sorted(run) for run in runs.values())
