"""The kernels over one block against full searches."""

import numpy as np
import pytest

from colorquant.kmeans.blocks import (
    all_candidates,
    find_nearest,
    find_nearest_four,
    find_nearest_two,
    no_candidates,
    select,
)
from colorquant.kmeans.points import BLOCK


def some_block(seed: int, levels: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    coordinates = random.integers(0, levels, (3, 2 * BLOCK)).astype(np.float32)
    return coordinates, random.integers(0, levels, (3, k)).astype(np.float32)


def words_of(coordinates: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Distance and index of each candidate of the second block's points, ascending."""
    difference = coordinates[:, BLOCK:, None].astype(np.int64) - centroids[:, None].astype(np.int64)
    return np.sort(((difference**2).sum(axis=0) << 8) + np.arange(centroids.shape[1]), axis=1)


@pytest.mark.parametrize("k", [4, 17, 256])
@pytest.mark.parametrize("levels", [3, 2041])
def test_words_are_the_least_of_all_with_ties_to_the_first(k: int, levels: int) -> None:
    coordinates, centroids = some_block(k, levels, k)
    candidates, expected = all_candidates(centroids), words_of(coordinates, centroids)
    best, second, words = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32), np.empty((4, BLOCK), np.uint32)
    find_nearest(coordinates, BLOCK, candidates, k, best)
    assert np.array_equal(best, expected[:, 0])
    find_nearest_two(coordinates, BLOCK, candidates, k, best, second)
    assert np.array_equal(np.stack([best, second], axis=1), expected[:, :2])
    find_nearest_four(coordinates, BLOCK, candidates, k, words)
    assert np.array_equal(words.T, expected[:, :4])


@pytest.mark.parametrize("rank", [1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_selection_keeps_the_nearest_of_every_point_of_the_box_and_drops_most_others(rank: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    low = random.integers(0, 1900, 3).astype(np.float32)
    high = low + random.integers(1, 120, 3).astype(np.float32)
    k = 200
    centroids = random.integers(0, 2041, (3, k)).astype(np.float32)
    kept = no_candidates(k)
    count = select(tuple(low), tuple(high), all_candidates(centroids), k, rank, np.empty((2, k), np.int32), kept)
    names = kept[3, :count].astype(int)
    assert names.tolist() == sorted(set(names.tolist())) and count < k / 2
    assert np.array_equal(kept[:3, :count], centroids[:, names])
    inside = random.integers(low.astype(int), high.astype(int) + 1, (500, 3))
    squared = ((inside[:, :, None] - centroids[None]) ** 2).sum(axis=1)
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :rank]
    assert set(nearest.ravel().tolist()) <= set(names.tolist())
