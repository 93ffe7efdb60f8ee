import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from colorquant.colors.cells import coarse_cells
from colorquant.colors.histogram import count_colors
from colorquant.kmeans.assignment import assign, lloyd
from colorquant.kmeans.points import GRID, points_of
from colorquant.kmeans.relaxation import relax
from colorquant.kmeans.search import search_centroids, split_up
from colorquant.kmeans.swaps import improve_by_swaps


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
    centroids = improve_by_swaps(photo_like, start, 10)
    assert centroids.shape == (3, k)
    assert assign(photo_like, centroids).inertia <= assign(photo_like, start).inertia


@pytest.mark.parametrize("seed", range(4))
def test_small_problems_come_within_three_percent_of_the_optimum(seed):
    """Against all partitions of nine colors into three clusters."""
    colors = np.random.default_rng(seed).integers(0, 256, (9, 3)).astype(np.uint8)
    points = points_from(colors)
    least = min(
        sum(((colors[labels == c] - colors[labels == c].mean(axis=0)) ** 2).sum() for c in range(3) if c in labels)
        for labels in map(np.array, itertools.product(range(3), repeat=9))
    )
    found = assign(points, search_centroids(points, 3, np.random.default_rng(0))).inertia / GRID**2
    assert least <= found <= least * 1.03


def test_line_of_clusters_is_found():
    """One centroid for each of forty tight clusters, where seeding alone would merge some."""
    random = np.random.default_rng(0)
    centers = np.stack([np.arange(40) * 6 + 5] * 3, axis=1)
    pixels = np.repeat(centers, 50, axis=0) + random.integers(-1, 2, (2000, 3))
    points = points_from(pixels.astype(np.uint8))
    assert assign(points, search_centroids(points, 40, np.random.default_rng(0))).sums[:, 3].tolist() == [50] * 40


@pytest.mark.parametrize("k", [7, 256])
def test_threads_and_repetition_do_not_change_a_bit(photo_like, k, monkeypatch):
    monkeypatch.setattr("colorquant.kmeans.assignment.PARALLEL_WORK", 0)
    alone = search_centroids(photo_like, k, np.random.default_rng(3))
    with ThreadPoolExecutor(2) as pool:
        shared = search_centroids(photo_like, k, np.random.default_rng(3), pool)
    assert np.array_equal(alone, shared)


@pytest.mark.parametrize("k", [30, 256])
def test_relaxation_finds_better_minima_than_it_started_from(photo_like, k):
    """The best of five; all end in rounds of Lloyd, and the start is a local minimum already, of mere splitting."""
    start = lloyd(photo_like, split_up(photo_like, k), 100)
    relaxed = [relax(photo_like, start, 30, 0.07, np.random.default_rng(seed)) for seed in range(5)]
    assert all(np.array_equal(centroids, np.floor(centroids)) for centroids in relaxed)
    least = min(assign(photo_like, lloyd(photo_like, centroids, 100)).inertia for centroids in relaxed)
    assert least < assign(photo_like, start).inertia


def test_a_hot_relaxation_keeps_centroids_in_the_cube():
    """Black and white alone: half of all noise would lead out of it."""
    points = points_from(np.array([[0, 0, 0], [255, 255, 255]] * 9, np.uint8))
    start = np.array([[0, 2040, 0, 2040, 8]] * 3, np.float32)
    moved = relax(points, start, 20, 100.0, np.random.default_rng(0))
    assert moved.min() >= 0 and moved.max() <= 2040
