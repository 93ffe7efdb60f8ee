import dataclasses

import numpy as np
import pytest

from colorquant import quantize
from colorquant.colors.cells import coarse_cells, merge_cells
from colorquant.colors.histogram import ColorHistogram, count_colors, merge_histograms
from colorquant.kmeans import assignment, swaps
from colorquant.kmeans import nearest_four as neighbors
from colorquant.kmeans.histogram_round import partial_sums
from colorquant.kmeans.points import BLOCK, SUPER
from colorquant.perception.kept_colors import flat_colors
from colorquant.quantizer.color_models import RGB
from colorquant.quantizer.descent import MAX_ROUNDS
from colorquant.quantizer.in_process import PixelSource
from colorquant.quantizer.solver import solve


def gradient(height=60, width=80):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x // width, 255 * y // height, (x * y) % 256], axis=2).astype(np.uint8)


def noise(height, width, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (height, width, 3), dtype=np.uint8)


class ShareSource:
    """A source whose histogram lies in shares of colors, as on a cluster."""

    def __init__(self, pixels, shares, limit):
        whole = merge_histograms([count_colors(band) for band in np.array_split(pixels, shares)])
        owner = (whole.colors * np.uint32(2654435761) >> np.uint32(7)) % shares
        self.shares = [ColorHistogram(whole.colors[owner == i], whole.counts[owner == i]) for i in range(shares)]
        self.flat = flat_colors(pixels)
        self.limit = limit
        self.model = RGB

    def flat_colors(self):
        return self.flat

    def cells(self):
        return merge_cells([coarse_cells(share, self.limit) for share in self.shares][::-1], self.limit)

    def partial_sums(self, centroids):
        first, *rest = [partial_sums(share, centroids) for share in self.shares]
        return sum(rest, first)


@pytest.mark.parametrize("k", [1, 2, 3, 16, 255, 256])
@pytest.mark.parametrize(
    "pixels",
    [gradient(), noise(50, 40), noise(300, 300), noise(40, 40, low=250), noise(1, 1), gradient()[:, :1]],
    ids=["gradient", "noise", "many colors", "narrow", "pixel", "column"],
)
def test_result_is_consistent(pixels, k):
    """Inertia is what the picture says; the index map is nearest; entries are distinct, used and as many as can be."""
    result = quantize(pixels, k)
    picture = result.palette[result.indexes].astype(int)
    assert ((picture - pixels) ** 2).sum() == result.inertia
    assert result.palette.dtype == np.uint8 and result.indexes.dtype == np.uint8
    assert len(result.palette) == min(k, result.unique_colors)
    assert len(np.unique(result.palette, axis=0)) == len(result.palette)
    assert len(np.unique(result.indexes)) == len(result.palette)
    sample = pixels.reshape(-1, 3)[:500].astype(int)
    distances = ((sample[:, None] - result.palette[None].astype(int)) ** 2).sum(axis=2)
    assert np.array_equal(result.indexes.reshape(-1)[:500], distances.argmin(axis=1))


@pytest.mark.parametrize("colors", [1, 2, 200, 256])
def test_few_colors_are_kept_exactly(colors):
    pool = np.unique(noise(1, 400, seed=5)[0], axis=0)[:colors]
    pixels = pool[np.arange(40 * 50) % colors].reshape(40, 50, 3)
    result = quantize(pixels, 256)
    assert result.inertia == 0 and result.converged
    assert np.array_equal(result.palette[result.indexes], pixels)
    assert np.array_equal(result.palette, pool)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_gray_images_reach_the_optimum_of_one_dimension(k):
    """Against dynamic programming over sorted grays (Wang & Song 2011), with whole colors."""
    odds = np.random.default_rng(0).dirichlet(np.ones(256))
    grays, counts = np.unique(np.random.default_rng(k).choice(256, 400, p=odds), return_counts=True)
    pixels = np.repeat(np.repeat(grays, counts).astype(np.uint8)[None, :, None], 3, axis=2)

    def cost(begin, end):
        values, weights = grays[begin:end], counts[begin:end]
        return min(3 * (weights * (values - center) ** 2).sum() for center in _around(values, weights))

    n = len(grays)
    costs = {(b, e): cost(b, e) for b in range(n) for e in range(b + 1, n + 1)}
    best = [0] + [10**12] * n
    for _ in range(k):
        best = [10**12] + [min(best[b] + costs[b, e] for b in range(e)) for e in range(1, n + 1)]
    assert best[n] <= quantize(pixels, k).inertia <= 1.01 * best[n]


def _around(values, weights):
    mean = int((values * weights).sum() // weights.sum())
    return mean, mean + 1


def test_repeated_images_have_the_same_palette():
    pixels = gradient()
    once, twice = quantize(pixels, 20), quantize(np.concatenate([pixels, pixels]), 20)
    assert np.array_equal(once.palette, twice.palette)
    assert 2 * once.inertia == twice.inertia


def _limit_cells(monkeypatch, limit):
    limited = dataclasses.replace(RGB, coarse_cells=lambda histogram: coarse_cells(histogram, limit))
    monkeypatch.setattr("colorquant.quantizer.in_process.color_model", lambda pixels: limited)


@pytest.mark.parametrize("limit", [1 << 16, 2000])
@pytest.mark.parametrize("shares", [1, 2, 7])
def test_partitions_do_not_change_a_bit(monkeypatch, limit, shares):
    """Also where the cells are coarser than the colors, and every round goes through the shares."""
    _limit_cells(monkeypatch, limit)
    pixels = noise(80, 70)
    whole = solve(PixelSource(pixels), 30)
    shared = solve(ShareSource(pixels, shares, limit), 30)
    assert whole.iterations > 1 or limit > 2000
    assert np.array_equal(whole.palette, shared.palette)
    assert (whole.inertia, whole.iterations) == (shared.inertia, shared.iterations)
    assert whole.iterations <= MAX_ROUNDS


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dither", ["none", "blue-noise"])
def test_remapping_in_parts_changes_no_index(monkeypatch, channels, dither):
    pixels = np.random.default_rng(3).integers(0, 256, (200, 70, channels), dtype=np.uint8)
    whole = quantize(pixels, 12, dither=dither)
    monkeypatch.setattr("colorquant.quantizer.in_process.REMAP_PIXELS", 1)
    assert np.array_equal(quantize(pixels, 12, dither=dither).indexes, whole.indexes)


def test_coarse_cells_cost_little(monkeypatch):
    pixels = gradient(200, 200)
    exact = quantize(pixels, 40)
    _limit_cells(monkeypatch, 3000)
    coarse = quantize(pixels, 40)
    assert coarse.inertia <= 1.03 * exact.inertia


def test_a_seed_repeats_and_large_images_are_the_same_in_threads(monkeypatch):
    pixels = noise(90, 90)
    one = quantize(pixels, 64, seed=5)
    monkeypatch.setattr("colorquant.quantizer.in_process.PARALLEL_PIXELS", 0)
    monkeypatch.setattr("colorquant.kmeans.assignment.PARALLEL_WORK", 0)
    other = quantize(pixels, 64, seed=5)
    assert np.array_equal(one.palette, other.palette)
    assert np.array_equal(one.indexes, other.indexes)


@pytest.mark.parametrize(
    ("pixels", "k", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), 4, "uint8"),
        ([[[1, 2, 3]]], 4, "uint8"),
        (np.zeros((4, 4), np.uint8), 4, "shape"),
        (np.zeros((4, 4, 5), np.uint8), 4, "shape"),
        (np.zeros((0, 4, 3), np.uint8), 4, "empty"),
        (np.zeros((4, 4, 3), np.uint8), 0, "from 1 to 256"),
        (np.zeros((4, 4, 3), np.uint8), 257, "from 1 to 256"),
        (np.zeros((4, 4, 3), np.uint8), 2.0, "from 1 to 256"),
        (np.zeros((4, 4, 3), np.uint8), True, "from 1 to 256"),
    ],
)
def test_bad_input_is_refused_with_the_reason(pixels, k, message):
    with pytest.raises(ValueError, match=message):
        quantize(pixels, k)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"color_space": "lab"}, "color_space = 'lab' is wrong: it takes one of rgb, oklab"),
        ({"rate": -0.1}, "rate = -0.1 is wrong: it takes a number from 0 to 1000"),
        ({"rate": float("nan")}, "rate = nan is wrong"),
        ({"rate": 1001.0}, "rate = 1001.0 is wrong"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_reason(setting, message):
    with pytest.raises(ValueError, match=message):
        quantize(gradient(), 4, **setting)


def test_a_rate_keeps_the_palette_and_trades_error_for_runs(monkeypatch):
    """The same in threads; the inertia stays that of the nearest entries."""
    pixels = gradient(150, 80)
    plain, aware = quantize(pixels, 12), quantize(pixels, 12, rate=0.5)
    assert np.array_equal(plain.palette, aware.palette) and plain.inertia == aware.inertia
    assert (np.diff(aware.indexes) != 0).sum() < 0.9 * (np.diff(plain.indexes) != 0).sum()
    monkeypatch.setattr("colorquant.quantizer.in_process.PARALLEL_PIXELS", 0)
    assert np.array_equal(quantize(pixels, 12, rate=0.5).indexes, aware.indexes)


def test_a_source_refuses_what_is_no_image_before_a_compiled_kernel_reads_beyond_it() -> None:
    with pytest.raises(ValueError, match="pixels must be a uint8 array, not list"):
        PixelSource([np.zeros((2, 2, 3), np.uint8)])  # type: ignore[arg-type]


def odd_images():
    """What takes long where a search is not bounded: ties, few colors, one huge area, all colors different."""
    flat = np.full((120, 160, 3), (20, 90, 200), np.uint8)
    dotted, grays = flat.copy(), flat.copy()
    dotted[40:52, 40:60] = noise(12, 20)
    grays[...] = (np.arange(160) * 255 // 159).astype(np.uint8)[None, :, None]
    lattice = np.stack(np.meshgrid(*[np.arange(0, 256, 12)] * 3), axis=-1).reshape(22, -1, 3).astype(np.uint8)
    far = np.where(noise(120, 160, low=0, high=2) > 0, 255, 0).astype(np.uint8)
    far[0, :100] = noise(1, 100)
    return {
        "flat": flat,
        "dotted": dotted,
        "grays": grays,
        "lattice": lattice,
        "corners": far,
        "gradient": gradient(120, 160),
        "noise": noise(120, 160),
    }


@pytest.mark.parametrize("name", odd_images())
def test_work_is_bounded_whatever_the_image_and_k(name, monkeypatch):
    """Counted, not timed: passes over the points, and small problems that swaps look at."""
    pixels = odd_images()[name]
    passes, examined = [], []
    assign_runs, examine, find = assignment._assign_runs, swaps._examine, neighbors._find
    monkeypatch.setattr(assignment, "_assign_runs", lambda *a: (passes.append(a[5] - a[4]), assign_runs(*a))[1])
    monkeypatch.setattr(neighbors, "_find", lambda *a: (passes.append(a[4] - a[3]), find(*a))[1])
    monkeypatch.setattr(swaps, "_examine", lambda *a: (examined.append(len(a[0])), examine(*a))[1])
    runs = -(-len(np.unique(pixels.reshape(-1, 3), axis=0)) // (BLOCK * SUPER))
    for k in (2, 3, 17, 64, 255, 256):
        passes.clear()
        examined.clear()
        result = quantize(pixels, k)
        assert result.iterations <= MAX_ROUNDS
        assert sum(passes) <= 300 * runs
        assert sum(examined) <= 20 * k
