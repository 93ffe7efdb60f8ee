"""Neighborhoods against brute force: which clusters, and by how much a split and a removal change the inertia."""

import numpy as np
import pytest

from colorquant.kmeans import neighborhoods
from colorquant.kmeans.assignment import assign
from colorquant.kmeans.clusters import clusters_of, split_offsets
from colorquant.kmeans.neighborhoods import NEIGHBORS, Partition, add_neighborhood, change_of, empty_region, settle
from colorquant.kmeans.points import GRID, Points, points_at


def cloud(seed: int, size: int = 900) -> Points:
    random = np.random.default_rng(seed)
    return points_at(random.integers(0, 255 * GRID + 1, (size, 3)), random.integers(1, 9, size))


def partition_by(points: Points, centroids: np.ndarray) -> Partition:
    found = assign(points, centroids, detailed=True)
    clusters = clusters_of(points, found.labels, centroids.shape[1])
    return Partition(clusters, found.errors, centroids, split_offsets(found)[1])


def some_centroids(seed: int, k: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255 * GRID + 1, (3, k)).astype(np.float32)


def lloyd_by_hand(positions: np.ndarray, weights: np.ndarray, centroids: np.ndarray, rounds: int) -> tuple:
    """Centroids int64 (k, 3) after some rounds, and the inertia then; means are rounded half up."""
    for turn in range(rounds + 1):
        squared = ((positions[:, None] - centroids[None]) ** 2).sum(axis=2)
        labels = squared.argmin(axis=1)
        if turn == rounds:
            return centroids, (squared.min(axis=1) * weights).sum()
        centroids = centroids.copy()
        for c in np.unique(labels):
            own, mass = positions[labels == c], weights[labels == c]
            centroids[c] = (2 * (own * mass[:, None]).sum(axis=0) + mass.sum()) // (2 * mass.sum())
    raise AssertionError


@pytest.mark.parametrize("k", [1, 2, NEIGHBORS + 1, 60])
def test_a_region_is_the_nearest_clusters_of_its_centers_each_once(k: int) -> None:
    centroids = some_centroids(k, k)
    region = empty_region(k)
    region.inside[:] = 1  # What an earlier region has left there does not matter.
    size = add_neighborhood(centroids, 0, region, 0)
    distances = ((centroids.astype(int) - centroids[:, :1].astype(int)) ** 2).sum(axis=0)
    expected = np.argsort(distances, kind="stable")[: NEIGHBORS + 1]
    assert region.members[:size].tolist() == expected.tolist()
    larger = add_neighborhood(centroids, k - 1, region, size)
    distances = ((centroids.astype(int) - centroids[:, -1:].astype(int)) ** 2).sum(axis=0)
    both = set(expected.tolist()) | set(np.argsort(distances, kind="stable")[: NEIGHBORS + 1].tolist())
    assert sorted(region.members[:larger].tolist()) == sorted(both)
    assert np.array_equal(np.flatnonzero(region.inside), sorted(both))


@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_settling_is_lloyd_on_the_points_of_the_region_alone(rounds: int) -> None:
    points, k = cloud(1), 30
    partition = partition_by(points, some_centroids(2, k))
    region = empty_region(k)
    size = add_neighborhood(partition.centroids, 7, region, 0)
    members = region.members[:size]
    region.trial[:, :size] = partition.centroids[:, members]
    error = settle(partition.clusters, region, size, size, rounds)
    labels = assign(points, partition.centroids).labels
    inside = np.isin(labels, members) & (points.moments[:, 3] > 0)
    positions, weights = points.coordinates.T[inside].astype(np.int64), points.moments[inside, 3]
    centroids, inertia = lloyd_by_hand(positions, weights, partition.centroids[:, members].T.astype(np.int64), rounds)
    assert np.array_equal(region.trial[:, :size].T, centroids)
    assert error == inertia


@pytest.mark.parametrize(("split", "removed"), [(3, -1), (-1, 5), (3, 5), (-1, -1)])
def test_the_change_is_that_of_the_inertia_with_all_other_clusters_fixed(
    split: int, removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, k = cloud(5), 12
    partition = partition_by(points, some_centroids(6, k))
    region, size = empty_region(k), 0
    for center in (split, removed):
        if center >= 0:
            size = add_neighborhood(partition.centroids, center, region, size)
    size = size or add_neighborhood(partition.centroids, 0, region, 0)
    members = region.members[:size].copy()
    change = change_of(partition, split, removed, region, size)
    tried = []
    for c in members:
        position = partition.centroids[:, c].astype(np.float64)
        if c == split:
            halves = [position + partition.offsets[c], position - partition.offsets[c]]
            tried += [np.clip(np.floor(half + 0.5), 0, 255 * GRID) for half in halves]
        elif c != removed:
            tried.append(position)
    inside = np.isin(assign(points, partition.centroids).labels, members) & (points.moments[:, 3] > 0)
    positions, weights = points.coordinates.T[inside].astype(np.int64), points.moments[inside, 3]
    centroids, inertia = lloyd_by_hand(
        positions, weights, np.array(tried).astype(np.int64), neighborhoods.SETTLE_ROUNDS
    )
    assert np.array_equal(region.trial[:, : len(tried)].T, centroids)
    assert change == inertia - partition.errors[members].sum()
