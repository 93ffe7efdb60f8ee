"""Targets as people write them, and the search: on a curve with small dips it finds what trying every k finds."""

import math
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorquant.compress import pipeline, source
from colorquant.errors import InvalidTarget
from colorquant.quantizer.in_process import PixelSource
from colorquant.settings import Settings
from colorquant.target import Target, smallest_k


@pytest.mark.parametrize(
    ("text", "measure", "value"),
    [("0.95", "ssim", 0.95), (" SSIM = 0.9 ", "ssim", 0.9), ("psnr=38", "psnr", 38), ("ssim=1", "ssim", 1)],
)
def test_a_target_reads_back_as_it_is_written(text: str, measure: str, value: float) -> None:
    target = Target.parse(text)
    assert (target.measure, target.value) == (measure, value)
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    "text", ["", "good", "ssim", "ssim=", "=0.9", "0.9=ssim", "mse=3", "nan", "1e-3", "-1", "0,95"]
)
def test_what_is_no_target_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidTarget, match="ssim=0.95"):
        Target.parse(text)


def test_a_value_that_no_output_can_have_is_refused() -> None:
    with pytest.raises(InvalidTarget, match="SSIM goes from 0 to 1"):
        Target.parse("95")


@given(st.integers(0, 2**32), st.floats(0.0001, 0.02), st.floats(0.2, 0.999))
def test_on_a_curve_with_small_dips_the_k_is_that_of_trying_all(seed: int, steepest: float, value: float) -> None:
    random, curve, level = Random(seed), {}, 0.3
    for k in range(1, 256):
        level = min(1.0, level + random.uniform(0, steepest))
        curve[k] = level - random.uniform(0, 0.0049)
    target = Target("ssim", value)
    good = [k for k in curve if curve[k] >= value]
    found = smallest_k(target, curve.__getitem__, max_k=255)
    assert (found.k, found.reached) == ((good[0], True) if good else (255, False))
    assert found.tried == {k: curve[k] for k in found.tried}


def test_no_palette_is_tried_twice_and_few_are() -> None:
    asked: list[int] = []

    def quality_of(k: int) -> float:
        asked.append(k)
        return 1 - 1 / (k + 1)

    found = smallest_k(Target("ssim", 0.95), quality_of)
    assert (found.k, found.reached) == (19, True)
    assert len(asked) == len(set(asked)) == len(found.tried) <= 16


def test_a_lossless_palette_reaches_every_psnr() -> None:
    found = smallest_k(Target("psnr", 50), lambda k: math.inf if k >= 7 else 20 + k, max_k=9)
    assert (found.k, found.reached) == (7, True)


def test_each_palette_of_a_search_is_solved_once(monkeypatch, tmp_path):
    """That of the k that is found, too: it is not made anew for the output."""
    solved = []
    solve = source.solve
    monkeypatch.setattr(source, "solve", lambda colors, k, *rest: solved.append(k) or solve(colors, k, *rest))
    image = Path(__file__).resolve().parents[2] / "include" / "images" / "retina.jpg"
    record = pipeline.compress_image(
        str(image), Target.parse("psnr=29"), str(tmp_path / "o.png"), None, Settings(), PixelSource
    )
    assert record.search.reached and record.psnr_db >= 29
    assert sorted(solved) == [k for k, _ in record.search.tried]
