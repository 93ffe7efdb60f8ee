"""Swaps: the inertia never rises, obvious swaps are found, and what is remembered equals what would be computed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorquant.kmeans import swaps
from colorquant.kmeans.assignment import assign, lloyd
from colorquant.kmeans.clusters import clusters_of, split_offsets
from colorquant.kmeans.neighborhoods import Partition
from colorquant.kmeans.points import GRID, Points, points_at
from colorquant.kmeans.swaps import improve_by_swaps


def clumps(centers: np.ndarray, seed: int = 0, each: int = 40) -> Points:
    random = np.random.default_rng(seed)
    positions = np.repeat(centers, each, axis=0) + random.integers(-12, 13, (len(centers) * each, 3))
    return points_at(np.clip(positions, 0, 255 * GRID), np.ones(len(positions), np.int64))


def far_centers(count: int) -> np.ndarray:
    """Far apart, on a lattice."""
    lattice = np.stack(np.meshgrid(*[np.arange(200, 2000, 300)] * 3), axis=-1).reshape(-1, 3)
    return lattice[np.random.default_rng(9).permutation(len(lattice))[:count]]


def test_a_centroid_that_two_clumps_share_gets_one_of_a_clump_that_has_two() -> None:
    centers = far_centers(20)
    points = clumps(centers)
    # The first clump has two centroids, the last one none: Lloyd alone cannot mend that.
    start = np.concatenate([centers[:1] - 6, centers[:1] + 6, centers[1:-1]]).T.astype(np.float32)
    stuck = lloyd(points, start, 100)
    found = improve_by_swaps(points, stuck, 5)
    assert sorted(assign(points, found).sums[:, 3].tolist()) == [40] * 20
    assert assign(points, found).inertia < 0.1 * assign(points, stuck).inertia


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_more_passes_never_raise_the_inertia(seed: int, k: int, passes: int) -> None:
    random = np.random.default_rng(seed)
    points = points_at(random.integers(0, 255 * GRID + 1, (300, 3)), random.integers(1, 50, 300))
    start = lloyd(points, random.integers(0, 255 * GRID + 1, (3, k)).astype(np.float32), 3)
    few, more = (assign(points, improve_by_swaps(points, start, count)).inertia for count in (passes, passes + 1))
    assert more <= few <= assign(points, start).inertia


def test_threads_change_nothing() -> None:
    points = clumps(far_centers(60), seed=3)
    start = points.coordinates[:, ::40][:, :50].copy()
    with ThreadPoolExecutor(2) as pool:
        assert np.array_equal(improve_by_swaps(points, start, 4), improve_by_swaps(points, start, 4, pool))


def test_a_pass_makes_only_swaps_that_lower_the_inertia_and_counts_them() -> None:
    points = clumps(far_centers(40), seed=4)
    start = lloyd(points, points.coordinates[:, ::37][:, :40].copy(), 20)
    assignment, centroids = assign(points, start, detailed=True), start.copy()
    gains, losses = swaps._Known.nothing(40), swaps._Known.nothing(40)
    swapped = swaps._swap_pass(points, assignment, centroids, gains, losses, None)
    assert swapped > 0 and not np.array_equal(centroids, start)
    assert assign(points, centroids).inertia < assignment.inertia
    # Clusters that have changed are forgotten.
    changed = (centroids != start).any(axis=0)
    assert (gains.estimates[changed] == -1).all() and (losses.estimates[changed] == -1).all()


@pytest.mark.parametrize("count", [1, 5, 30])
def test_changes_are_those_of_every_question_alone(count: int) -> None:
    """In one thread or two, in whatever order they are asked."""
    points, k = clumps(far_centers(30), seed=5), 30
    centroids = points.coordinates[:, ::41][:, :k].copy()
    found = assign(points, centroids, detailed=True)
    partition = Partition(clusters_of(points, found.labels, k), found.errors, centroids, split_offsets(found)[1])
    questions = np.random.default_rng(count).permutation(np.arange(-k, k))[:count]
    alone = [swaps._changes(questions[i : i + 1], partition, None)[0] for i in range(count)]
    with ThreadPoolExecutor(2) as pool:
        assert swaps._changes(questions, partition, pool).tolist() == alone
    assert swaps._changes(questions, partition, None).tolist() == alone


def test_changes_are_computed_again_where_estimates_have_moved() -> None:
    known = swaps._Known.nothing(4)
    estimates = np.array([100.0, 50.0, 10.0, 0.0])
    everything = np.arange(4)
    assert known.stale(everything, estimates).tolist() == [0, 1, 2, 3]
    known.learn(everything, np.array([7.0, 6.0, 5.0, 4.0]), estimates)
    assert known.stale(everything, estimates).tolist() == []
    assert known.stale(everything, estimates * [1.01, 1.1, 0.9, 1.0]).tolist() == [1, 2]
    known.forget(np.array([True, False, False, False]))
    assert known.stale(everything, estimates).tolist() == [0]
