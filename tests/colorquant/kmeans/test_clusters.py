"""Clusters: a stable sort by label; splits along the axis of the largest variance."""

import numpy as np
import pytest

from colorquant.kmeans.assignment import assign
from colorquant.kmeans.clusters import clusters_of, split_offsets
from colorquant.kmeans.points import BLOCK, GRID, Points, points_at


def cloud(seed: int, size: int = 700) -> Points:
    random = np.random.default_rng(seed)
    return points_at(random.integers(0, 255 * GRID + 1, (size, 3)), random.integers(1, 9, size))


@pytest.mark.parametrize("k", [1, 2, 40, 256])
def test_points_are_sorted_by_cluster_and_keep_their_order_in_it(k: int) -> None:
    points = cloud(k)
    # Some clusters have no point.
    labels = (np.random.default_rng(k).integers(0, (k + 1) // 2, points.coordinates.shape[1]) * 2 % k).astype(np.uint8)
    clusters = clusters_of(points, labels, k)
    assert clusters.starts[0] == 0 and clusters.starts[-1] == len(labels)
    for c in range(k):
        own = slice(clusters.starts[c], clusters.starts[c + 1])
        assert np.array_equal(clusters.coordinates[:, own], points.coordinates[:, labels == c])
        assert np.array_equal(clusters.moments[own], points.moments[labels == c])
    assert clusters.coordinates.shape[1] == len(labels) + BLOCK and not clusters.moments[len(labels) :].any()


def test_a_cluster_is_split_across_its_principal_axis() -> None:
    """Against the eigenvectors of each cluster's covariance."""
    random = np.random.default_rng(3)
    axis = np.array([2.0, -1.0, 0.5]) / np.linalg.norm([2.0, -1.0, 0.5])
    stretched = 1000 + 120 * random.standard_normal((2000, 1)) * axis + 15 * random.standard_normal((2000, 3))
    points = points_at(np.rint(stretched).astype(np.int64), np.ones(2000, np.int64))
    center = np.rint(points.block_moments[:, :3].sum(axis=0) / 2000).astype(np.float32)[:, None]
    gains, offsets = split_offsets(assign(points, center, detailed=True))
    positions = points.coordinates[:, :2000].T - center.T
    values, vectors = np.linalg.eigh(positions.T @ positions / 2000)
    direction = offsets[0] / np.linalg.norm(offsets[0])
    assert abs(direction @ vectors[:, -1]) > 0.9999
    assert np.linalg.norm(offsets[0]) == pytest.approx(0.8 * np.sqrt(values[-1]), rel=1e-3)
    assert gains[0] == pytest.approx(0.64 * values[-1] * 2000, rel=1e-3)


def test_the_gain_foretells_how_much_a_normal_cluster_gains_by_its_split() -> None:
    random = np.random.default_rng(4)
    positions = np.rint(1000 + random.standard_normal((5000, 3)) * [150, 40, 20]).astype(np.int64)
    points = points_at(positions, np.ones(5000, np.int64))
    center = np.rint(positions.mean(axis=0)).astype(np.float32)[:, None]
    whole = assign(points, center, detailed=True)
    gains, offsets = split_offsets(whole)
    halves = np.rint(np.concatenate([center - offsets.T, center + offsets.T], axis=1)).astype(np.float32)
    assert whole.inertia - assign(points, halves).inertia == pytest.approx(gains[0], rel=0.05)


def test_a_cluster_of_one_position_or_of_no_point_gains_nothing() -> None:
    points = points_at(np.full((5, 3), 80), np.ones(5, np.int64))
    gains, offsets = split_offsets(assign(points, np.array([[80, 800]] * 3, np.float32), detailed=True))
    assert not gains.any() and not offsets.any()
