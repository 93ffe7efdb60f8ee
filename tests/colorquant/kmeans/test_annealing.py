import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from colorquant.colors.cells import coarse_cells
from colorquant.colors.histogram import count_colors
from colorquant.kmeans import annealing
from colorquant.kmeans.annealing import anneal
from colorquant.kmeans.assignment import assign
from colorquant.kmeans.points import GRID, Points, points_of
from colorquant.kmeans.search import search_centroids


def points_from(pixels: np.ndarray) -> Points:
    return points_of(coarse_cells(count_colors(pixels)))


@pytest.fixture(scope="module")
def clouds() -> Points:
    """Two thousand colors around twelve unequal clusters, some of them at the walls of the cube."""
    random = np.random.default_rng(7)
    centers, scales = random.uniform(0, 255, (12, 3)), random.uniform(1, 20, (12, 3))
    chosen = random.choice(12, 6000, p=random.dirichlet(np.ones(12)))
    return points_from(np.clip(random.normal(centers[chosen], scales[chosen]), 0, 255).astype(np.uint8))


def inertia_of(points: Points, palette: np.ndarray) -> int:
    return assign(points, palette.T.astype(np.float32) * GRID).inertia


@pytest.mark.parametrize("k", [1, 4, 64, 256])
def test_it_is_better_than_rounding_and_uses_every_entry(clouds: Points, k: int) -> None:
    centroids = search_centroids(clouds, k, np.random.default_rng(0))
    rounded = GRID * np.floor(centroids / GRID + np.float32(0.5))
    palette = anneal(clouds, centroids, 10, np.random.default_rng(0))
    assert palette.dtype == np.uint8 and palette.shape == (k, 3)
    assert inertia_of(clouds, palette) <= assign(clouds, rounded).inertia
    assert (assign(clouds, palette.T.astype(np.float32) * GRID).sums[:, 3] > 0).all()


def test_in_the_end_no_entry_can_be_moved_by_a_level_for_a_lower_error(
    clouds: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against all 26 moves of every entry, with every point assigned anew."""
    monkeypatch.setattr(annealing, "QUENCHING_ROUNDS", 100)
    palette = anneal(
        clouds, search_centroids(clouds, 20, np.random.default_rng(1)), 4, np.random.default_rng(1)
    ).astype(int)
    least = inertia_of(clouds, palette)
    for entry in range(len(palette)):
        for step in itertools.product((-1, 0, 1), repeat=3):
            moved = palette.copy()
            moved[entry] += step
            if moved.min() >= 0 and moved.max() <= 255:
                assert inertia_of(clouds, moved) >= least


def test_entries_that_no_color_is_nearest_to_are_put_where_the_error_is() -> None:
    points = points_from(np.random.default_rng(1).integers(0, 256, (50, 3), dtype=np.uint8))
    palette = anneal(points, np.full((3, 20), 1000, np.float32), 0, np.random.default_rng(0))
    assert (assign(points, palette.T.astype(np.float32) * GRID).sums[:, 3] > 0).all()


def test_threads_do_not_change_a_bit(clouds: Points) -> None:
    centroids = search_centroids(clouds, 30, np.random.default_rng(2))
    alone = anneal(clouds, centroids, 6, np.random.default_rng(2))
    with ThreadPoolExecutor(2) as pool:
        assert np.array_equal(anneal(clouds, centroids, 6, np.random.default_rng(2), pool), alone)
