import numpy as np
import pytest

from colorquant.colors.cells import coarse_cells
from colorquant.colors.histogram import count_colors
from colorquant.kmeans.assignment import assign, lloyd, moved
from colorquant.kmeans.points import BLOCK, GRID, MOST_COARSE, points_of


def some_points(seed, n=3000, spread=256):
    colors = np.random.default_rng(seed).integers(0, spread, (n, 1, 3), dtype=np.uint8)
    return points_of(coarse_cells(count_colors(colors)))


def some_centroids(seed, k):
    return np.random.default_rng(seed).integers(0, 255 * GRID + 1, (3, k)).astype(np.float32)


def all_distances(points, centroids):
    differences = points.coordinates.astype(np.int64)[:, :, None] - centroids.astype(np.int64)[:, None, :]
    return (differences**2).sum(axis=0)


@pytest.mark.parametrize("k", [1, 2, 3, 17, 64, 256])
@pytest.mark.parametrize("spread", [2, 16, 256])
@pytest.mark.parametrize("detailed", [False, True])
def test_labels_and_sums_are_those_of_a_full_search(k, spread, detailed):
    """Filtering by boxes never loses the nearest centroid, and ties go to the lower index."""
    points, centroids = some_points(k, spread=spread), some_centroids(k, k)
    distances, weights = all_distances(points, centroids), points.moments[:, 3]
    labels = distances.argmin(axis=1)
    result = assign(points, centroids, detailed)
    heavy = weights > 0
    assert np.array_equal(result.labels[heavy], labels[heavy])
    assert result.inertia == (distances.min(axis=1) * weights).sum()
    for c in range(k):
        assert np.array_equal(result.sums[c], points.moments[labels == c].sum(axis=0))
    if detailed and k > 1:
        first, second = np.sort(distances, axis=1)[:, :2].T
        utilities = np.bincount(labels, (second - first) * weights, k)
        assert np.array_equal(result.utilities, utilities.astype(np.int64))
        assert np.array_equal(result.errors, np.bincount(labels, first * weights, k).astype(np.int64))


def test_equal_centroids_go_to_the_lower_index():
    points = some_points(0)
    centroids = np.repeat(some_centroids(1, 5), 2, axis=1)
    assert set(assign(points, centroids).labels % 2) == {0}


def test_points_keep_every_pixel():
    """Order, padding and coarsening lose no weight and keep the mean within the grid."""
    points = some_points(3, n=999)
    assert points.coordinates.shape[1] % BLOCK == 0
    assert points.weight == 999
    for group in (2, MOST_COARSE):
        coarse = points.coarsened(group)
        assert coarse.weight == 999
        assert coarse.size < points.size
        shift = coarse.moments.sum(axis=0)[:3] - points.moments.sum(axis=0)[:3]
        assert np.abs(shift).max() <= 999


def test_lloyd_never_raises_the_inertia_and_keeps_to_its_grid():
    points, at = some_points(4), some_centroids(4, 20)
    inertias = []
    for _ in range(10):
        at = lloyd(points, at, 1)
        inertias.append(assign(points, at).inertia)
        assert (at == np.floor(at)).all()
    assert inertias == sorted(inertias, reverse=True)


def test_empty_clusters_stay_where_they_are():
    centroids = some_centroids(0, 3)
    sums = np.array([[0, 0, 0, 0], [30, 60, 90, 3], [10, 10, 11, 2]])
    after = moved(sums, centroids)
    assert np.array_equal(after[:, 0], centroids[:, 0])
    assert after[:, 1].tolist() == [10, 20, 30]
    assert after[:, 2].tolist() == [5, 5, 6]
