"""The benchmarks' own arithmetic; what they measure is not tested here."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peers, quantizers, tables
from benchmarks.folders import images_in
from colorquant.storage.listing import IMAGE_SUFFIXES

PROJECT = Path(__file__).resolve().parent.parent
CURVE = [(1000.0, 25.0), (2000.0, 29.0), (4000.0, 33.0), (8000.0, 37.0), (16000.0, 41.0)]


def test_half_the_bytes_at_equal_quality_are_a_delta_of_minus_fifty_percent() -> None:
    pytest.importorskip("bjontegaard")
    from benchmarks.rate_distortion import _delta_rate

    assert _delta_rate(CURVE, CURVE) == pytest.approx(0, abs=1e-9)
    assert _delta_rate(CURVE, [(rate / 2, quality) for rate, quality in CURVE]) == pytest.approx(-50)


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
