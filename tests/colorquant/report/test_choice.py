"""The file worth keeping: by target, by knee, and never one that is larger than the original."""

import math

import pytest

from colorquant.report.choice import choose, knee
from colorquant.report.rows import Row
from colorquant.target import Target

ORIGINAL = 1000


def row(k: int, size: int, ssim: float, psnr: float | None = 30.0, **changes: object) -> Row:
    values = {"image": "a.png", "k": k, "state": "done", "original_bytes": ORIGINAL, "compressed_bytes": size}
    values |= {"ssim": ssim, "psnr_db": psnr, "lossless": psnr is None, "output": f"k{k}.png"}
    return Row(**values | changes)


CURVE = [row(4, 100, 0.80, 25), row(8, 200, 0.90, 30), row(16, 300, 0.951, 33), row(32, 333, 0.955, 34)]


def test_the_smallest_k_that_reaches_the_target_is_chosen_and_the_sentence_says_what_the_next_costs() -> None:
    choice = choose(CURVE, Target.parse("0.95"))
    assert (choice.k, choice.output, choice.bytes, choice.original_bytes) == (16, "k16.png", 300, ORIGINAL)
    assert choice.reason == "k = 16: SSIM 0.9510 reaches SSIM 0.95; k = 32 adds 11 % bytes for 0.0040."


def test_a_k_that_was_searched_for_is_told_with_the_k_before_it_which_lacks_quality() -> None:
    found = row(103, 400, 0.95002, tried=((102, 0.949998), (103, 0.95002), (256, 0.99)), target="ssim=0.95")
    reason = choose([found], Target.parse("0.95")).reason
    assert reason == "k = 103: SSIM 0.9500 reaches SSIM 0.95; k = 102 has 0.949998."
    assert choose([row(1, 400, 0.96, tried=((1, 0.96), (256, None)))], Target.parse("0.95")).reason.endswith("0.95.")


@pytest.mark.parametrize(("target", "warned"), [("0.95", True), ("psnr=20", True), ("ssimulacra2=1", False)])
def test_who_looks_at_a_choice_that_eyes_would_not_make_is_warned(target: str, warned: bool) -> None:
    """Large even areas keep a structural similarity high while text is lost."""
    chosen = choose([row(3, 100, 0.9557, 23, ssimulacra2=1.04)], Target.parse(target))
    assert chosen.k == 3
    assert chosen.reason.endswith("; but look at it: SSIMULACRA2 is only 1.0.") == warned
    assert "look at it" not in choose([row(3, 100, 0.96, 30, ssimulacra2=31.0)], Target.parse(target)).reason


def test_a_knee_that_eyes_would_not_choose_is_warned_of() -> None:
    """What more bytes bring falls off at the knee, whether or not the picture is good there."""
    ugly, good = (
        [row(4, 100, 0.8, 20), row(16, 200, 0.9, 30, ssimulacra2=value), row(64, 1000, 0.95, 31)] for value in (3, 31)
    )
    assert choose(ugly, None).reason.endswith("bytes for 1.0 dB; but look at it: SSIMULACRA2 is only 3.0.")
    assert choose(good, None).reason.endswith("bytes for 1.0 dB.")
    assert choose(ugly[:2], None).reason.endswith("for a knee of the curve; but look at it: SSIMULACRA2 is only 3.0.")


def test_a_target_that_none_reaches_keeps_the_original() -> None:
    choice = choose(CURVE, Target.parse("psnr=40"))
    assert (choice.k, choice.output, choice.bytes) == (None, None, ORIGINAL)
    assert "reaches PSNR 40 dB; k = 32 has PSNR 34.00 dB" in choice.reason


@pytest.mark.parametrize("target", [Target.parse("0.9"), None])
def test_an_output_that_is_not_smaller_is_never_chosen(target: Target | None) -> None:
    rows = [row(4, ORIGINAL, 0.91), row(8, 1250, 0.92, 35), row(16, 1500, 0.93, 36)]
    choice = choose(rows, target)
    assert (choice.k, choice.bytes) == (None, ORIGINAL)
    assert "Original kept" in choice.reason
    # A larger palette may encode smaller: then it is chosen.
    assert choose([*rows, row(32, 900, 0.94, 40)], Target.parse("0.9")).k == 32


def test_what_failed_is_no_choice_and_nothing_but_failures_gives_none() -> None:
    failed = Row(image="a.png", k=2, state="failed", reason="x")
    assert choose([failed, *CURVE], Target.parse("0.1")).k == 4
    assert choose([failed], None) is None


def test_without_a_target_it_is_the_knee() -> None:
    sizes = [100 * k for k in range(1, 10)]
    qualities = [40 - 20 * math.exp(-k) for k in range(1, 10)]
    rows = [row(k, size, 0.9, psnr) for k, (size, psnr) in enumerate(zip(sizes, qualities, strict=True), start=1)]
    choice = choose(rows, None)
    place = knee(sizes, qualities)
    assert place is not None and 0 < place < 8
    assert choice.k == place + 1
    assert f"k = {choice.k + 1} adds" in choice.reason
    # More bytes for nothing: no point of the curve.
    worse = row(200, sizes[place] - 1, 0.5, 1.0)
    assert choose([*rows, worse], None).k == choice.k


def test_three_points_have_a_knee_and_two_have_none() -> None:
    assert knee([100, 200, 1000], [20, 30, 31]) == 1
    assert knee([100, 200, 300], [20, 30, 40]) is None
    assert choose(CURVE[:2], None).k == 8
    assert "too few" in choose(CURVE[:2], None).reason


def test_a_lossless_output_is_kept_before_any_knee() -> None:
    rows = [*CURVE, row(64, 400, 1.0, None), row(128, 400, 1.0, None)]
    choice = choose(rows, None)
    assert (choice.k, choice.reason) == (64, "k = 64: lossless.")
    assert choose([row(64, 2000, 1.0, None)], None).k is None
