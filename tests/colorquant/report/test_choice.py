"""The file worth keeping: by target, by SSIMULACRA2, and never one that is larger than the original."""

import pytest

from colorquant.report.choice import choose
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
    assert ": SSIMULACRA2 is only 49.99." in choose([row(3, 100, 0.96, ssimulacra2=49.99)], Target.parse("0.9")).reason
    assert "look at it" not in choose([row(3, 100, 0.96, 30, ssimulacra2=50.0)], Target.parse(target)).reason


def test_a_target_that_none_reaches_keeps_the_original() -> None:
    choice = choose(CURVE, Target.parse("psnr=40"))
    assert (choice.k, choice.output, choice.bytes) == (None, None, ORIGINAL)
    assert "reaches PSNR 40 dB; k = 32 has PSNR 34.00 dB" in choice.reason


@pytest.mark.parametrize("target", [Target.parse("0.9"), None])
def test_an_output_that_is_not_smaller_is_never_chosen(target: Target | None) -> None:
    seen = [60.0, 70.0, 80.0]
    rows = [
        row(k, size, 0.91, ssimulacra2=value)
        for k, size, value in zip([4, 8, 16], [ORIGINAL, 1250, 1500], seen, strict=True)
    ]
    choice = choose(rows, target)
    assert (choice.k, choice.bytes) == (None, ORIGINAL)
    assert "Original kept" in choice.reason
    # A larger palette may encode smaller: then it is chosen.
    assert choose([*rows, row(32, 900, 0.94, 40)], Target.parse("0.9")).k == 32


def test_what_failed_is_no_choice_and_nothing_but_failures_gives_none() -> None:
    failed = Row(image="a.png", k=2, state="failed", reason="x")
    assert choose([failed, *CURVE], Target.parse("0.1")).k == 4
    assert choose([failed], None) is None


def seen(k: int, size: int, ssimulacra2: float | None, **changes: object) -> Row:
    return row(k, size, 0.9, ssimulacra2=ssimulacra2, **changes)


def test_without_a_target_it_is_the_smallest_output_of_medium_quality() -> None:
    rows = [seen(4, 100, 2.9), seen(16, 200, 31.0), seen(64, 400, 57.34), seen(256, 600, 75.5)]
    choice = choose(rows, None)
    assert (choice.k, choice.output, choice.bytes) == (64, "k64.png", 400)
    assert choice.reason == (
        "k = 64: SSIMULACRA2 57.3, the smallest output with at least 50; k = 256 adds 50 % bytes for 18.2."
    )
    # A larger palette may encode smaller.
    assert choose([*rows[:2], seen(64, 700, 50.0), rows[3]], None).k == 256
    assert choose([seen(64, 400, 50.0)], None).reason.endswith("at least 50.")


def test_below_medium_quality_the_original_is_kept_and_the_sentence_says_what_was_missing() -> None:
    choice = choose([seen(4, 100, -16.9), seen(256, 300, 41.34), seen(255, 290, 40.0)], None)
    assert (choice.k, choice.output, choice.bytes) == (None, None, ORIGINAL)
    assert choice.reason == (
        "Original kept: the best output of this run, k = 256, reaches SSIMULACRA2 41.3; 50 is wanted."
    )
    assert "SSIMULACRA2 49.998; 50 is wanted" in choose([seen(4, 100, 49.998)], None).reason


def test_without_a_target_larger_outputs_of_good_quality_keep_the_original() -> None:
    choice = choose([seen(16, 300, 20.0), seen(64, 1120, 62.0), seen(256, 1500, 80.0)], None)
    assert choice.reason == "Original kept: k = 64 reaches SSIMULACRA2 62.0, but its output is 12 % larger."
    assert choose([seen(2, 2000, None, psnr=None)], None).reason == (
        "Original kept: k = 2 is lossless, but its output is 100 % larger."
    )


def test_without_a_target_what_was_not_measured_replaces_no_original() -> None:
    """Images that are compressed tile by tile, and records of older versions."""
    choice = choose(CURVE, None)
    assert choice.k is None
    assert choice.reason.startswith("Original kept: SSIMULACRA2 was not measured, and without it only a lossless")
    assert choose([*CURVE, seen(64, 400, 60.0)], None).k == 64
    # Nothing is said of what a larger output would gain where that is not known.
    assert choose([seen(64, 200, 60.0), row(128, 400, 0.99)], None).reason.endswith("at least 50.")


def test_a_lossless_output_is_chosen_where_it_is_the_smallest_that_qualifies() -> None:
    lossless = [row(64, 400, 1.0, None, ssimulacra2=100.0), row(128, 400, 1.0, None, ssimulacra2=100.0)]
    choice = choose([*CURVE, *lossless], None)
    assert (choice.k, choice.reason) == (64, "k = 64: lossless.")
    assert choose([*CURVE, row(64, 400, 1.0, None)], None).k == 64
    assert choose([seen(32, 350, 55.0), *lossless], None).k == 32
    assert choose([seen(32, 450, 55.0), *lossless], None).k == 64


def test_another_format_is_named_where_it_needs_less_than_half_of_the_chosen_output() -> None:
    rows = [seen(64, 400, 57.0, webp_bytes=150, avif_bytes=90, jpeg_bytes=390), seen(16, 200, 20.0, avif_bytes=10)]
    assert choose(rows, None).reason == (
        "k = 64: SSIMULACRA2 57.0, the smallest output with at least 50; AVIF needs 90 B for the same quality, 22 % of "
        "its bytes."
    )
    assert choose(rows[:1], Target.parse("0.9")).reason.endswith(
        "; AVIF needs 90 B for the same quality, 22 % of its bytes."
    )
    assert choose([seen(64, 400, 57.0, avif_bytes=200)], None).reason.endswith("at least 50.")
    assert "AVIF" not in choose([seen(64, 2000, 57.0, avif_bytes=90)], None).reason


def test_without_a_target_every_image_has_the_palette_that_was_asked_for() -> None:
    rows = [
        row(4, 100, 0.80, ssimulacra2=70.0),
        row(16, 1200, 0.951, ssimulacra2=41.3),
        row(256, 9, 1.0, state="failed"),
    ]
    choice = choose(rows, None, has_palette=True)
    assert choice and (choice.k, choice.output, choice.bytes) == (16, "k16.png", 1200)
    assert choice.reason == "k = 16: the palette of this run; SSIMULACRA2 41.3; its output is 20 % larger."
    with_target = choose(rows, Target.parse("0.95"), has_palette=True)
    assert with_target and with_target.k is None, "a target decides as ever"
    assert choose([row(4, 100, 0.8)], None, has_palette=True).reason == "k = 4: the palette of this run; SSIM 0.8000."
