"""Images with alpha: the space they are compared in, their histogram, their palette and their file."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from colorquant import quantize
from colorquant.alpha import histogram
from colorquant.alpha.histogram import CELL_LIMIT, AlphaCells, coarse_cells, count_colors, merge_cells, merge_histograms
from colorquant.alpha.kmeans import assign, partial_sums, rounded_means
from colorquant.alpha.premultiplied import (
    UNIT,
    coordinates,
    nearest_colors,
    on_background,
    pack,
    squared_norms,
    unpack,
)
from colorquant.colors import ColorHistogram
from colorquant.decode.image_file import decode_output
from colorquant.encode.indexed_png import encode_indexed_png
from colorquant.quality import measures
from tests.conftest import photograph


def soft(height: int = 60, width: int = 80) -> np.ndarray:
    """A photograph with a soft round edge, opaque within and fully transparent around: uint8 (H, W, 4)."""
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    alpha = (np.clip((0.9 - radius) / 0.4, 0, 1) * 255).astype(np.uint8)
    return np.dstack([photograph(height, width), alpha])


def any_pixels(count: int, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 4), np.uint8)
    pixels[::5, 3] = 0
    pixels[1::5, 3] = 255
    return pixels


def shown(pixels: np.ndarray, background: float) -> np.ndarray:
    """Pixels (..., 4) on a grey background, not rounded."""
    alpha = pixels[..., 3:] / 255
    return pixels[..., :3] * alpha + background * (1 - alpha)


def test_the_distance_is_the_mean_of_those_on_black_and_on_white() -> None:
    one, other = any_pixels(500, seed=1), any_pixels(500, seed=2)
    measured = squared_norms(coordinates(pack(one)) - coordinates(pack(other))) / UNIT**2
    by_background = [((shown(one, b) - shown(other, b)) ** 2).sum(axis=1) for b in (0, 255)]
    assert np.allclose(measured, np.mean(by_background, axis=0), rtol=1e-12)


def test_between_opaque_colors_it_is_the_rgb_distance() -> None:
    one, other = (np.column_stack([any_pixels(99, seed)[:, :3], np.full(99, 255, np.uint8)]) for seed in (1, 2))
    measured = squared_norms(coordinates(pack(one)) - coordinates(pack(other))) / UNIT**2
    assert np.array_equal(measured, ((one.astype(int) - other) ** 2).sum(axis=1))


def test_colors_survive_their_coordinates_and_full_transparency_is_one_color() -> None:
    colors = any_pixels(3000)
    transparent = colors[:, 3] == 0
    expected = np.where(transparent[:, None], 0, colors)
    assert np.array_equal(unpack(pack(colors)), expected)
    assert np.array_equal(nearest_colors(coordinates(pack(colors))), expected)
    assert len(np.unique(pack(colors[transparent]))) == 1


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_parts_in_any_number_give_the_histogram_and_the_cells_of_the_whole(seed: int, parts: int, limit: int) -> None:
    pixels = any_pixels(600, seed) & np.random.default_rng(seed).integers(0, 256, 4, np.uint8)
    whole = count_colors(pixels[None])
    histograms = [count_colors(part[None]) for part in np.array_split(pixels, parts)]
    merged = merge_histograms(histograms[::-1])
    assert np.array_equal(merged.colors, whole.colors) and np.array_equal(merged.counts, whole.counts)
    assert whole.pixels == len(pixels)
    _assert_same(
        merge_cells([coarse_cells(part, limit) for part in histograms], limit),
        coarse_cells(whole, limit),
    )


def _assert_same(one: AlphaCells, other: AlphaCells) -> None:
    assert one.level == other.level and len(one) == len(other)
    for name in ("keys", "sums", "counts"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_cells_are_within_the_limit_and_lose_no_pixel() -> None:
    histogram = count_colors(any_pixels(5000)[None])
    for limit in (1, 7, 300, 10_000):
        cells = coarse_cells(histogram, limit)
        assert len(cells) <= limit and cells.counts.sum() == 5000
        assert np.array_equal(cells.sums.sum(axis=0), (coordinates(pack(any_pixels(5000)))).sum(axis=0))
        assert cells.exact == (limit >= len(histogram))


def test_assignment_and_sums_are_those_of_brute_force_whatever_the_parts() -> None:
    histogram = count_colors(any_pixels(2000)[None])
    positions, centroids = coordinates(histogram.colors), coordinates(pack(any_pixels(37, seed=9)))
    squared = squared_norms((positions[:, None] - centroids[None]).reshape(-1, 4)).reshape(len(positions), -1)
    labels, distances = assign(positions, centroids)
    assert np.array_equal(labels, squared.argmin(axis=1)) and np.array_equal(distances, squared.min(axis=1))
    whole = partial_sums(histogram, centroids)
    assert whole.inertia(centroids) == pytest.approx((squared.min(axis=1) * histogram.counts).sum() / UNIT**2)
    halves = [
        partial_sums(count_colors(part[None]), centroids) for part in np.array_split(any_pixels(2000), [300, 1200])
    ]
    added = halves[2] + halves[0] + halves[1]
    assert np.array_equal(added.sums, whole.sums) and added.squares == whole.squares
    for cluster in np.unique(labels):
        mean = np.average(positions[labels == cluster], axis=0, weights=histogram.counts[labels == cluster])
        assert np.abs(rounded_means(whole, centroids)[cluster] - mean).max() <= 0.5


@pytest.mark.parametrize("k", [1, 2, 7, 40, 256])
def test_a_palette_with_alpha_is_better_than_lloyd_from_random_seeds_and_keeps_what_is_empty_empty(k: int) -> None:
    pixels = soft()
    image = quantize(pixels, k)
    decoded = image.palette[image.indexes]
    assert image.palette.shape[1] == 4 and len(image.palette) <= k
    # Opaque pixels go to opaque entries, also where another one is nearer.
    assert image.inertia <= measures.mean_squared_error(pixels, decoded) * 4800 + 1 <= 1.01 * image.inertia
    assert k <= 2 or (decoded[pixels[..., 3] == 255, 3] == 255).all()
    if k > 1:
        assert (decoded[pixels[..., 3] == 0] == 0).all()
    if k != 2:  # Of two colors, the one that is kept for what is empty costs much.
        assert image.inertia <= 1.01 * _lloyd(pixels, k)


def _almost_opaque(height: int, width: int) -> np.ndarray:
    """A photograph whose opacity is noise above 250, as lossy formats leave it."""
    noise = np.random.default_rng(0).integers(250, 256, (height, width), np.uint8)
    return np.dstack([photograph(height, width), noise])


@pytest.mark.parametrize("picture", [soft, _almost_opaque])
@pytest.mark.parametrize("k", [4, 16, 64])
def test_of_many_colors_too_opaque_pixels_stay_opaque_at_little_cost(
    picture: Callable[[int, int], np.ndarray], k: int
) -> None:
    """The search sees cells of several colors here. Opaque pixels once had one entry for all of them."""
    pixels = picture(400, 500)
    assert len(count_colors(pixels)) > CELL_LIMIT
    image = quantize(pixels, k)
    decoded = image.palette[image.indexes]
    assert (decoded[pixels[..., 3] == 255, 3] == 255).all()
    error = measures.mean_squared_error(pixels, decoded) * pixels[..., 0].size
    entries = coordinates(pack(image.palette))
    assert error <= 1.1 * partial_sums(count_colors(pixels), entries).inertia(entries)
    assert error <= 1.1 * _lloyd(pixels, k)


def _lloyd(pixels: np.ndarray, k: int) -> float:
    histogram = count_colors(pixels)
    positions = coordinates(histogram.colors)
    centroids = positions[np.random.default_rng(0).choice(len(positions), k, replace=False)]
    for _ in range(10):
        sums = partial_sums(histogram, centroids)
        centroids = rounded_means(sums, centroids)
    return partial_sums(histogram, centroids).inertia(centroids)


def test_few_colors_are_kept_exactly_and_hidden_ones_cost_nothing() -> None:
    colors = np.array([[9, 8, 7, 255], [9, 8, 7, 128], [200, 0, 0, 255]], np.uint8)
    pixels = colors[np.random.default_rng(0).integers(0, 3, (20, 30))]
    pixels[:5] = np.random.default_rng(1).integers(0, 256, (5, 30, 4))
    pixels[:5, :, 3] = 0
    image = quantize(pixels, 4)
    assert (image.unique_colors, image.inertia, len(image.palette)) == (4, 0, 4)
    assert measures.mean_squared_error(pixels, image.palette[image.indexes]) == 0


def test_a_seed_repeats() -> None:
    one, other = (quantize(soft(), 30, seed=5) for _ in range(2))
    assert np.array_equal(one.palette, other.palette) and np.array_equal(one.indexes, other.indexes)


def test_metrics_with_alpha_are_the_means_of_those_on_black_and_on_white() -> None:
    reference = soft()
    image = quantize(reference, 9)
    decoded = image.palette[image.indexes]
    on = {level: [on_background(pixels, level) for pixels in (reference, decoded)] for level in (0, 255)}
    exact = [((shown(reference, b) - shown(decoded, b)) ** 2).sum(axis=2).mean() for b in (0, 255)]
    assert measures.mean_squared_error(reference, decoded) == pytest.approx(np.mean(exact), rel=1e-12)
    similar = [measures.structural_similarity(*pair) for pair in on.values()]
    assert measures.structural_similarity(reference, decoded) == pytest.approx(np.mean(similar))
    assert measures.structural_similarity(reference, reference) == 1
    assert measures.count_colors(decoded) == len(np.unique(decoded.reshape(-1, 4), axis=0))
    assert np.abs(on[255][0] - shown(reference, 255)).max() <= 0.51


@pytest.mark.parametrize("k", [2, 4, 16, 200])
def test_the_file_holds_the_picture_with_no_more_alphas_than_it_needs(k: int) -> None:
    image = quantize(soft(), k)
    content = encode_indexed_png(image.palette, image.indexes)
    picture = image.palette[image.indexes]
    assert np.array_equal(decode_output(content, alpha=True), picture)
    with Image.open(io.BytesIO(content)) as decoded:
        assert decoded.mode == "P" and np.array_equal(np.asarray(decoded.convert("RGBA")), picture)
    at = content.index(b"tRNS")
    (alphas,) = struct.unpack(">I", content[at - 4 : at])
    assert content[at + 4 : at + 4 + alphas][-1] < 255
    with pytest.raises(ValueError, match="transparent"):
        decode_output(content)


def test_the_order_of_a_palette_with_alpha_does_not_change_a_byte() -> None:
    image = quantize(soft(), 20)
    order = np.random.default_rng(0).permutation(len(image.palette))
    shuffled = np.argsort(order).astype(np.uint8)[image.indexes]
    assert encode_indexed_png(image.palette[order], shuffled) == encode_indexed_png(image.palette, image.indexes)


def test_cells_of_parts_of_a_histogram_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 4), np.uint8)
    whole = coarse_cells(count_colors(pixels), 500)
    monkeypatch.setattr(histogram, "_BAND_PIXELS", 1000)
    parts = coarse_cells(count_colors(pixels), 500)
    assert whole.level == parts.level
    for name in ("keys", "sums", "counts"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_the_inertia_of_billions_of_pixels_is_exact() -> None:
    colors = np.array([0xFF000000, 0xFFC08040, 0xFFFFFFFF], np.uint32)
    centroids = coordinates(np.array([0xFF404040, 0xFFF0F0F0], np.uint32))
    few, many = (
        partial_sums(ColorHistogram(colors, np.array([3, 5, 7], np.int64) << bits), centroids).inertia(centroids)
        for bits in (0, 36)
    )
    assert many == few * 2**36 > 0
