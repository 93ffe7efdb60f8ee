from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from colorquant.kmeans.nearest_four import nearest_four
from colorquant.kmeans.points import GRID, points_at


@pytest.mark.parametrize("k", [1, 3, 4, 17, 256])
@pytest.mark.parametrize("levels", [4, 2040])
def test_they_are_those_of_brute_force(k: int, levels: int) -> None:
    """In threads too; with few levels most distances tie, and the lower index goes first."""
    random = np.random.default_rng(k)
    points = points_at(random.integers(0, levels, (3000, 3)), random.integers(1, 9, 3000))
    centroids = (GRID * random.integers(0, max(2, levels // GRID), (3, k))).astype(np.float32)
    distances = ((points.coordinates[:, :, None] - centroids[:, None, :]) ** 2).sum(axis=0).astype(np.int64)
    expected = np.argsort(distances, axis=1, kind="stable")[:, :4]
    with ThreadPoolExecutor(2) as pool:
        for found in (nearest_four(points, centroids), nearest_four(points, centroids, pool)):
            assert np.array_equal(found.names[:, : min(k, 4)], expected)
            assert np.array_equal(found.distances[:, : min(k, 4)], np.take_along_axis(distances, expected, axis=1))
            assert (found.distances[:, k:] == 2**24 - 1).all()
