"""The benchmarks' own arithmetic; what they measure is not tested here."""

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import equal_quality, our_job, peers, pngquant, quantizers, tables
from benchmarks.folders import images_in
from benchmarks.pngquant import Pngquant
from colorquant import quantize
from colorquant.encode import encode_indexed_png
from colorquant.quality import perceptual_similarity
from colorquant.settings import Settings
from colorquant.storage.listing import IMAGE_SUFFIXES
from colorquant.target import Target

PROJECT = Path(__file__).resolve().parent.parent
CURVE = [(1000.0, 25.0), (2000.0, 29.0), (4000.0, 33.0), (8000.0, 37.0), (16000.0, 41.0)]


def test_half_the_bytes_at_equal_quality_are_a_delta_of_minus_fifty_percent() -> None:
    pytest.importorskip("bjontegaard")
    from benchmarks.rate_distortion import _delta_rate

    assert _delta_rate(CURVE, CURVE) == pytest.approx(0, abs=1e-9)
    assert _delta_rate(CURVE, [(rate / 2, quality) for rate, quality in CURVE]) == pytest.approx(-50)


def test_curves_without_a_common_quality_have_no_delta() -> None:
    pytest.importorskip("bjontegaard")
    from benchmarks.rate_distortion import _delta_rate

    assert _delta_rate(CURVE, [(rate, quality + 50) for rate, quality in CURVE]) is None
    assert _delta_rate(CURVE, CURVE[:2]) is None


def test_a_curve_begins_at_the_lowest_quality_that_counts() -> None:
    pytest.importorskip("bjontegaard")
    from benchmarks.rate_distortion import _from_quality

    begun = _from_quality(27.0, CURVE)
    assert begun[0] == (pytest.approx(math.sqrt(1000 * 2000)), 27.0) and begun[1:] == CURVE[1:]
    assert _from_quality(25.0, CURVE) == CURVE and _from_quality(42.0, CURVE) == []


def test_a_curve_has_only_points_that_rise_and_are_finite() -> None:
    pytest.importorskip("bjontegaard")
    from benchmarks.rate_distortion import _ascending

    points = [(3.0, 30.0), (1.0, 20.0), (2.0, 19.0), (3.0, 31.0), (4.0, math.inf)]
    assert _ascending(points) == ([1.0, 3.0], [20.0, 30.0])


def test_the_visible_difference_of_greys_is_that_of_the_published_formula() -> None:
    """Grey levels 100 and 110 differ in lightness alone; CIEDE2000 by the formula of Sharma, Wu and Dalal (2005)."""
    pytest.importorskip("skimage")
    from benchmarks.perceptual import visible_difference

    def lightness(level: int) -> float:
        return 116 * (((level / 255 + 0.055) / 1.055) ** 2.4) ** (1 / 3) - 16

    darker, lighter = (np.full((4, 5, 3), level, np.uint8) for level in (100, 110))
    middle = ((lightness(100) + lightness(110)) / 2 - 50) ** 2
    expected = (lightness(110) - lightness(100)) / (1 + 0.015 * middle / math.sqrt(20 + middle))
    assert visible_difference(darker, lighter) == pytest.approx(expected, abs=1e-3)
    assert visible_difference(darker, darker) == 0


def test_reference_errors_are_read_by_image_and_k(tmp_path: Path) -> None:
    (tmp_path / "reference.csv").write_text("kodak_kodim01,4,iokm,662.11,56\nkodak_kodim01,16,iokm,102.5,89\n")
    expected = {("kodim01", 4): 662.11, ("kodim01", 16): 102.5}
    assert quantizers.read_iokm(tmp_path / "reference.csv") == expected
    assert quantizers.read_iokm(None) == {}


def test_tables_compare_images_one_by_one() -> None:
    """A mean of ratios is not the ratio of means: 2 and 1/2 make 1.25."""
    errors = {("a", "colorquant"): 1.0, ("a", "other"): 2.0, ("b", "colorquant"): 10.0, ("b", "other"): 5.0}
    rows: list[quantizers.Row] = [
        {"image": image, "k": 4, "quantizer": name, "mse": mse, "seconds": 0.5} for (image, name), mse in errors.items()
    ]
    tables = quantizers._tables(rows, [4], {("a", 4): 2.0, ("b", 4): 10.0})
    assert "| other | 3.500 |" in tables[0]
    assert "| other | 1.2500 |" in tables[1]
    assert "| colorquant | 0.7500 |" in tables[-1]


@pytest.mark.parametrize("name", ["colorquant", "cv2.kmeans", "Pillow median cut"])
def test_a_peer_paints_the_picture_with_at_most_k_colors(name: str) -> None:
    y, x = np.mgrid[0:40, 0:50]
    pixels = np.stack([5 * x, 6 * y, (x * y) % 200], axis=2).astype(np.uint8)
    seconds, picture = peers.installed()[name](pixels, 12)
    assert seconds > 0
    assert picture.shape == pixels.shape and picture.dtype == np.uint8
    assert 2 <= len(np.unique(picture.reshape(-1, 3), axis=0)) <= 12
    assert ((picture.astype(int) - pixels) ** 2).sum(axis=2).mean() < 6000


def test_every_image_of_a_folder_takes_part(tmp_path: Path) -> None:
    for suffix in (*IMAGE_SUFFIXES, ".JPG", ".txt"):
        (tmp_path / f"a{suffix}").touch()
    assert images_in(tmp_path) == sorted(tmp_path / f"a{suffix}" for suffix in (*IMAGE_SUFFIXES, ".JPG"))


def test_the_tables_of_all_benchmarks_go_to_one_folder() -> None:
    lines = [
        line
        for path in (PROJECT / "benchmarks").glob("*.py")
        for line in path.read_text().splitlines()
        if 'add_argument("--output"' in line and "default=" in line
    ]
    assert len(lines) > 5
    assert [line for line in lines if "default=TABLES" not in line] == []


def test_a_benchmark_that_is_stopped_leaves_the_rows_that_it_had(tmp_path: Path) -> None:
    def rows() -> Iterator[tables.Row]:
        yield {"image": "a", "k": 4}
        yield {"image": "a", "k": 16}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tables.recorded(rows(), tmp_path / "new" / "rows.csv")
    assert (tmp_path / "new" / "rows.csv").read_text().split() == ["image,k", "a,4", "a,16"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A folder of one image with slopes and texture."""
    y, x = np.mgrid[0:48, 0:64]
    noise = np.random.default_rng(2).integers(0, 12, (48, 64, 3))
    pixels = np.clip(np.dstack([4 * x, 5 * y, 255 - 2 * (x + y)]) + noise, 0, 255).astype(np.uint8)
    path = tmp_path / "images" / "slopes.png"
    path.parent.mkdir()
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """A stand-in for pngquant and oxipng; returns the calls that were made.

    It is our quantizer with a colorful stripe across the picture, narrower with dithering, and each of its files
    loses 100 bytes in optimizing.
    """
    calls: list[tuple[int, str]] = []

    def quantized_png(pixels: np.ndarray, k: int, dithering: str) -> bytes:
        calls.append((k, dithering))
        image = quantize(pixels, k)
        indexes = image.indexes.copy()
        indexes[: {"none": 6, "half": 2, "full": 4}[dithering]] = 0
        return encode_indexed_png(image.palette, indexes) + bytes(100)

    monkeypatch.setattr(pngquant, "quantized_png", quantized_png)
    monkeypatch.setattr(pngquant, "oxipng", lambda content: content[:-100])
    return calls


def test_the_peer_s_smallest_file_reaches_the_quality_and_none_is_made_twice(
    picture: Path, peer: list[tuple[int, str]]
) -> None:
    pixels = quantizers.read(picture)
    trials = Pngquant(pixels)
    best = trials.best_at(64)
    assert best.dithering == "half"  # It has the narrowest stripe.
    quality = trials.trial(64, "full").ssimulacra2
    found = trials.smallest(quality)
    assert found is not None and found.ssimulacra2 >= quality
    assert found.ssimulacra2 == perceptual_similarity(pixels, pngquant.decoded(found.content, 3))
    good = [trials.trial(k, dithering) for k, dithering in set(peer)]
    assert len(found.content) == min(len(trial.content) for trial in good if trial.ssimulacra2 >= quality) - 100
    assert trials.smallest(quality) == found
    assert trials.smallest(100) is None
    assert len(peer) == len(set(peer))


def test_others_are_asked_for_the_quality_of_our_file(picture: Path, peer: list[tuple[int, str]]) -> None:
    formats = ["jpeg", "webp"]
    others = [equal_quality.PEER, *formats]
    (row,) = equal_quality.measure({"photographs": [picture]}, [40], Settings.parse({}), others)
    ours = our_job.compressed(picture, Target("ssimulacra2", 40.0), Settings.parse({}), quantizers.read(picture))
    assert (row["bytes"], row["k"], row["settings"]) == (ours.bytes, ours.k, ours.settings)
    assert float(row["ssimulacra2"]) == pytest.approx(ours.ssimulacra2, abs=1e-6) and ours.ssimulacra2 >= 40
    assert float(row["cpu_seconds"]) > 0 and float(row["fewest_colors_cpu_seconds"]) > 0
    wanted = Pngquant(quantizers.read(picture)).smallest(ours.ssimulacra2)
    assert row[equal_quality.PEER] == (len(wanted.content) if wanted else math.inf)
    assert row[f"{equal_quality.PEER} at target"] == 0
    for name in formats:
        needed = equal_quality.needed_bytes(quantizers.read(picture), name, ours.ssimulacra2)
        assert row[name] == (needed.bytes if needed else math.inf)


def test_what_only_the_peer_reaches_is_counted_and_not_compared() -> None:
    peer = equal_quality.PEER

    def row(image: str, ssimulacra2: float, ours: int, theirs: float, at_target: int, jpeg: float) -> tables.Row:
        measured = {"bytes": ours, "ssimulacra2": ssimulacra2, "cpu_seconds": 3.0, "fewest_colors_cpu_seconds": 2.0}
        return (
            {"kind": "graphics", "image": image, "target": 50}
            | measured
            | {
                peer: theirs,
                f"{peer} at target": at_target,
                "jpeg": jpeg,
            }
        )

    rows = [
        row("a", 51, 100, 200, 0, 400),
        row("b", 50, 150, 100, 0, 37.5),
        row("alone", 50, 150, math.inf, 0, math.inf),
        row("missed", 40, 900, 300, 0, 300),
        row("theirs", 40, 900, 300, 350, 300),
    ]
    against_peer, formats, seconds = equal_quality.tables(rows, [peer, "jpeg"])
    assert against_peer.splitlines()[-1] == "| 5 graphics | 50 | 1.000 | 1.500 (b) | 1 | 1 | 1 | theirs |"
    assert formats.splitlines()[-1] == "| 3 graphics | 50 | 133 | 1.00 (1 of 2) |"
    assert seconds.splitlines()[-1] == "| 5 graphics | 50 | 3.00 | 2.00 | 1.50 | 1.50 |"


def test_all_objectives_and_ditherings_are_compared_at_equal_k(picture: Path, peer: list[tuple[int, str]]) -> None:
    pytest.importorskip("skimage")
    from benchmarks import equal_k

    variants = our_job.variants()
    assert Settings() in variants.values() and any(settings.dither != "none" for settings in variants.values())
    rows = list(equal_k.measure({"photographs": [picture]}, [8], variants))
    assert [row["variant"] for row in rows] == list(variants)
    pixels = quantizers.read(picture)
    plain = quantize(pixels, 8)
    (row,) = (row for row in rows if variants[str(row["variant"])] == Settings())
    shown = plain.palette[plain.indexes]
    assert row["ssimulacra2"] == pytest.approx(perceptual_similarity(pixels, shown), abs=1e-4)
    assert row["ciede2000"] == pytest.approx(equal_k.difference_from_afar(pixels, shown), abs=1e-5)
    assert row["pngquant_dithering"] == "half"
    best = max(float(row["ssimulacra2"]) for row in rows)
    last = equal_k.table(rows).splitlines()[-1]
    assert last.startswith(f"| 1 photographs | 8 | {equal_k.BEST} | {best:.1f} |")


def test_an_eye_from_afar_sees_the_mean_of_a_fine_pattern() -> None:
    """Rows of grey 100 and 120 by turns look like the grey between them; on white, what is transparent is white."""
    pytest.importorskip("skimage")
    from benchmarks.equal_k import difference_from_afar
    from benchmarks.perceptual import visible_difference

    grey = np.full((40, 40, 3), 110, np.uint8)
    rows = grey + np.where(np.arange(40) % 2, 10, -10)[:, None, None].astype(np.int8).astype(np.uint8)
    assert difference_from_afar(grey, rows) < visible_difference(grey, rows) / 10
    clear = np.dstack([grey, np.zeros((40, 40), np.uint8)])
    assert difference_from_afar(clear, np.full_like(clear, 255)) == pytest.approx(0, abs=1e-9)


def test_an_old_pngquant_is_not_taken_for_a_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pngquant"
    monkeypatch.setattr(pngquant.sysconfig, "get_path", lambda name: str(tmp_path))
    for version, taken in (("2.18.0 (January 2023)", None), ("3.0.3", str(program))):
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
        pngquant.pngquant_program.cache_clear()
        assert pngquant.pngquant_program() == taken
    pngquant.pngquant_program.cache_clear()


def test_sharp_makes_a_palette_of_at_most_k_colors_where_it_is_installed() -> None:
    if not peers.sharp_version():
        pytest.skip("sharp is not installed")
    pixels = np.random.default_rng(4).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for k in peers.SHARP_KS:
        shown = pngquant.decoded(peers.sharp_png(pixels, k), 3)
        assert shown.shape == pixels.shape and len(np.unique(shown.reshape(-1, 3), axis=0)) <= k


def test_the_table_of_waits_replaces_itself_in_the_page() -> None:
    from benchmarks.waiting import LINES, table_of, with_table

    page = (PROJECT / "docs" / "scaling.md").read_text()
    table = table_of({"jobs": ["1.50 s a job", "1.0.0, 14", "2026-11-26"]})
    once = with_table(page, table)
    assert table in once and with_table(once, table) == once
    assert table.count("not measured") == len(LINES) - 1 and "| 1.50 s a job |" in table
    before, after = page.split("<!-- made by")[0], page.split("<!-- end -->")[1]
    assert once.startswith(before) and once.endswith(after)
    with pytest.raises(ValueError, match="unpack"):
        with_table("a page without comments", table)


def _optimum(colors: np.ndarray, weights: np.ndarray, k: int) -> float:
    """The least error of all partitions into at most k parts."""
    best = np.inf
    for parts in product(range(k), repeat=len(colors)):
        error = 0.0
        for part in set(parts):
            chosen = np.array(parts) == part
            mean = np.average(colors[chosen], axis=0, weights=weights[chosen])
            error += weights[chosen] @ ((colors[chosen] - mean) ** 2).sum(axis=1)
        best = min(best, error)
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_lower_bound_is_at_most_the_optimum_of_all_partitions(seed: int, k: int) -> None:
    from benchmarks.lower_bound import lower_bound

    random = np.random.default_rng(seed)
    colors = random.integers(0, 256, (7, 3)).astype(float)
    weights = random.integers(1, 9, 7).astype(float)
    optimum = _optimum(colors, weights, k)
    # A bad palette may give a bad bound, never a wrong one.
    for palette in (colors[:k], random.uniform(0, 255, (k, 3))):
        bound = lower_bound(colors, weights, palette, steps=200)
        assert bound <= optimum
        assert k > 1 or bound > 0.99 * optimum


def test_no_point_has_a_value_above_what_bounds_all() -> None:
    from benchmarks.lower_bound import _climb, highest_value

    random = np.random.default_rng(1)
    colors, weights = random.uniform(0, 255, (50, 3)), random.uniform(1, 2, 50)
    payments = random.uniform(0, 9000, 50)
    # From one bad start: branch and bound alone finds where it is highest.
    highest = highest_value(colors, weights, payments, np.zeros((1, 3)), 1.0)
    anywhere = np.concatenate([random.uniform(0, 255, (5000, 3)), colors])
    for _ in range(5):
        values, _ = _climb(colors, weights, payments, anywhere)
        assert values.max() <= highest
