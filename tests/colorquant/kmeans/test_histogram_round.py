import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorquant.colors.histogram import ColorHistogram, count_colors, unpack_colors
from colorquant.kmeans.histogram_round import nearest, partial_sums, update


def noise(seed=0, n=2000):
    return np.random.default_rng(seed).integers(0, 256, (n, 3), dtype=np.uint8)


def split(histogram, parts):
    return [
        ColorHistogram(histogram.colors[part::parts].copy(), histogram.counts[part::parts].copy())
        for part in range(parts)
    ]


@pytest.mark.parametrize("k", [1, 2, 255, 256])
def test_nearest_is_that_of_a_full_search(k):
    histogram = count_colors(noise())
    palette = noise(1, k)
    colors = unpack_colors(histogram.colors).astype(int)
    distances = ((colors[:, None] - palette[None].astype(int)) ** 2).sum(axis=2)
    assert np.array_equal(nearest(histogram.colors, palette), distances.argmin(axis=1))


@given(st.integers(1, 9), st.randoms())
@settings(max_examples=15, deadline=None)
def test_sums_of_parts_add_up_to_the_whole_in_any_order(parts, random):
    histogram = count_colors(noise())
    centroids = np.random.default_rng(2).uniform(0, 255, (40, 3))
    whole = partial_sums(histogram, centroids)
    shares = [partial_sums(part, centroids) for part in split(histogram, parts)]
    random.shuffle(shares)
    merged = shares[0]
    for share in shares[1:]:
        merged = merged + share
    assert np.array_equal(merged.sums, whole.sums)
    assert np.array_equal(merged.counts, whole.counts)
    assert merged.squares == whole.squares


def test_weights_are_repetitions():
    """A color that counts five times is five pixels of that color."""
    pixels = noise(3, 50)
    repeated = np.repeat(pixels, 5, axis=0)
    once, five = (partial_sums(count_colors(part), noise(4, 7)) for part in (pixels, repeated))
    assert np.array_equal(5 * once.sums, five.sums)
    assert np.array_equal(5 * once.counts, five.counts)


def test_read_only_histograms_are_accepted():
    histogram = count_colors(noise())
    frozen = ColorHistogram(
        np.frombuffer(histogram.colors.tobytes(), np.uint32), np.frombuffer(histogram.counts.tobytes(), np.int64)
    )
    palette = noise(1, 9)
    assert partial_sums(frozen, palette).inertia(palette) == partial_sums(histogram, palette).inertia(palette)


def test_inertia_is_the_sum_over_pixels():
    pixels, palette = noise(5), noise(6, 30)
    distances = ((pixels[:, None].astype(int) - palette[None].astype(int)) ** 2).sum(axis=2)
    assert partial_sums(count_colors(pixels), palette).inertia(palette) == distances.min(axis=1).sum()


def test_update_takes_means_and_leaves_empty_clusters():
    palette = np.array([[0, 0, 0], [250, 250, 250], [255, 0, 255]], np.uint8)
    pixels = np.array([[0, 0, 0], [0, 0, 9], [240, 255, 255]], np.uint8)
    after = update(partial_sums(count_colors(pixels), palette), palette)
    assert after.tolist() == [[0, 0, 4.5], [240, 255, 255], [255, 0, 255]]
