import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from colorquant.assignment import assign, lloyd
from colorquant.cells import coarse_cells
from colorquant.histogram import count_colors
from colorquant.points import GRID, points_of
from colorquant.polish import polish
from colorquant.search import search, split_up
from colorquant.swaps import improve_by_swaps


def points_from(pixels):
    return points_of(coarse_cells(count_colors(pixels)))


@pytest.fixture(scope="module")
def photo_like():
    """Two thousand colors around twelve unequal, elongated clusters."""
    random = np.random.default_rng(7)
    centers, scales = random.uniform(30, 225, (12, 3)), random.uniform(1, 25, (12, 3))
    chosen = random.choice(12, 6000, p=random.dirichlet(np.ones(12)))
    return points_from(np.clip(random.normal(centers[chosen], scales[chosen]), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("k", [2, 5, 16, 100, 250, 256])
def test_swaps_never_raise_the_inertia(photo_like, k):
    start = lloyd(photo_like, split_up(photo_like, k), 5)
    centroids, inertia = improve_by_swaps(photo_like, start, 10)
    assert centroids.shape == (3, k)
    assert inertia == assign(photo_like, centroids).inertia
    assert inertia <= assign(photo_like, start).inertia


@pytest.mark.parametrize("seed", range(4))
def test_small_problems_come_within_three_percent_of_the_optimum(seed):
    """Against all partitions of nine colors into three clusters."""
    colors = np.random.default_rng(seed).integers(0, 256, (9, 3)).astype(np.uint8)
    points = points_from(colors)
    least = min(
        sum(((colors[labels == c] - colors[labels == c].mean(axis=0)) ** 2).sum() for c in range(3) if c in labels)
        for labels in map(np.array, itertools.product(range(3), repeat=9))
    )
    found = assign(points, search(points, 3)).inertia / GRID**2
    assert least <= found <= least * 1.03


def test_line_of_clusters_is_found():
    """One centroid for each of forty tight clusters, where seeding alone would merge some."""
    random = np.random.default_rng(0)
    centers = np.stack([np.arange(40) * 6 + 5] * 3, axis=1)
    pixels = np.repeat(centers, 50, axis=0) + random.integers(-1, 2, (2000, 3))
    points = points_from(pixels.astype(np.uint8))
    assert assign(points, search(points, 40)).sums[:, 3].tolist() == [50] * 40


@pytest.mark.parametrize("k", [7, 256])
def test_threads_and_repetition_do_not_change_a_bit(photo_like, k, monkeypatch):
    monkeypatch.setattr("colorquant.assignment.PARALLEL_WORK", 0)
    alone = search(photo_like, k, seed=3)
    with ThreadPoolExecutor(2) as pool:
        shared = search(photo_like, k, seed=3, pool=pool)
    assert np.array_equal(alone, shared)


@pytest.mark.parametrize("k", [1, 4, 64, 256])
def test_polish_is_better_than_rounding_and_uses_every_entry(photo_like, k):
    centroids = search(photo_like, k)
    rounded = GRID * np.floor(centroids / GRID + np.float32(0.5))
    palette = polish(photo_like, centroids)
    result = assign(photo_like, palette.T.astype(np.float32) * GRID)
    assert palette.dtype == np.uint8 and palette.shape == (k, 3)
    assert result.inertia <= assign(photo_like, rounded).inertia
    assert (result.sums[:, 3] > 0).all()


def test_polish_fills_entries_that_no_color_is_nearest_to():
    points = points_from(np.random.default_rng(1).integers(0, 256, (50, 3), dtype=np.uint8))
    stacked = np.full((3, 20), 1000, np.float32)
    palette = polish(points, stacked)
    assert (assign(points, palette.T.astype(np.float32) * GRID).sums[:, 3] > 0).all()
