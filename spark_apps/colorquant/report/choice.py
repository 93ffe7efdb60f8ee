"""The choice of an output for each image, by its measured quality and size. Standard library only.

With a target, the smallest k that reaches it is chosen; without one, the smallest output that is lossless or of at
least medium quality, SSIMULACRA2 50. An output that is not smaller than its original is never chosen: the original is
kept. But where a palette is asked for and no target, every image has it: its output with the largest k.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from colorquant.limits import Count, PaletteSize
from colorquant.report.rows import Row
from colorquant.target import Target
from colorquant.text import byte_size

#: The least quality at which an output replaces its original unasked: on SSIMULACRA2's own scale, "medium".
WANTED = Target("ssimulacra2", 50)
# What images have that are compressed tile by tile.
_SSIM = Target("ssim", 0.95)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The file to publish for an image: its output at ``k``, or the original where ``k`` is None.

    ``bytes`` and ``original_bytes`` are the sizes of the chosen file and of the original. ``output`` is the chosen
    file's path relative to the folder of the summary, None for the original. ``reason`` is one sentence.
    """

    image: str
    k: PaletteSize | None
    output: str | None
    bytes: Count
    original_bytes: Count
    reason: str


def choose(rows: Sequence[Row], target: Target | None, has_palette: bool = False) -> Choice | None:
    """The choice for one image among its rows; None where none of them has an output.

    ``has_palette`` says whether the run has a palette that is given, or one that several images have in common.
    """
    measured = sorted((row for row in rows if not row.failed), key=lambda row: row.k or 0)
    if not measured:
        return None
    chosen: Row | None
    if target:
        chosen, reason = _reaching(measured, target)
    elif has_palette:
        chosen, reason = _with_palette(measured)
    else:
        chosen, reason = _recommended(measured)
    if chosen:
        reason = f"{reason.removesuffix('.')}{_elsewhere(chosen)}."
    original_bytes = measured[0].original_bytes or 0
    return Choice(
        image=measured[0].image,
        k=chosen.k if chosen else None,
        output=chosen.output if chosen else None,
        bytes=_bytes(chosen) if chosen else original_bytes,
        original_bytes=original_bytes,
        reason=reason,
    )


def _with_palette(measured: Sequence[Row]) -> tuple[Row, str]:
    """With its own colors, as the original has them, an image would not match the others."""
    chosen = measured[-1]
    measured_by = WANTED if chosen.ssimulacra2 is not None or chosen.lossless else _SSIM
    quality = _text(chosen, measured_by)
    larger = "" if _saves(chosen) else f"; {_share(chosen)}"
    return chosen, f"k = {chosen.k}: the palette of this run; {quality}{larger}."


def _reaching(measured: Sequence[Row], target: Target) -> tuple[Row | None, str]:
    good = [row for row in measured if target.reached_by(_quality(row, target))]
    if not good:
        best = max(measured, key=lambda row: _quality(row, target))
        return None, (
            f"Original kept: no k {'up to' if best.target else 'of this run, up to'} {measured[-1].k} reaches "
            f"{target.title}; k = {best.k} has {_text(best, target)}."
        )
    smaller = [row for row in good if _saves(row)]
    if not smaller:
        return None, f"Original kept: k = {good[0].k} reaches {target.title}, but {_share(good[0])}."
    chosen = smaller[0]
    if chosen.lossless:
        return chosen, f"k = {chosen.k}: lossless."
    reached = f"k = {chosen.k}: {_text(chosen, target)} reaches {target.title}"
    return chosen, f"{reached}{_neighbor(chosen, measured, target)}{_warning(chosen, target)}."


def _neighbor(chosen: Row, measured: Sequence[Row], target: Target) -> str:
    """The quality of the next smaller k, where it was tried; else what the next larger output would gain."""
    k = chosen.k or 0
    smaller = dict(chosen.tried).get(k - 1)
    if smaller is not None:
        return f"; k = {k - 1} has {target.text_below(smaller)}"
    after = next((row for row in measured if (row.k or 0) > k and _bytes(row) > _bytes(chosen)), None)
    if after is None or _quality(after, target) == -math.inf:
        return ""
    more, gain = _bytes(after) / _bytes(chosen) - 1, _quality(after, target)
    brings = "to be lossless" if gain == math.inf else f"for {target.text(gain - _quality(chosen, target))}"
    return f"; k = {after.k} adds {_percent(more)} bytes {brings}"


def is_low(row: Row) -> bool:
    """Whether an output was measured to have less than ``WANTED``."""
    return row.ssimulacra2 is not None and not WANTED.reached_by(row.ssimulacra2)


def _warning(chosen: Row, target: Target) -> str:
    """A warning where SSIMULACRA2, which agrees best with people's judgments, is low for the chosen output."""
    if target.field == WANTED.field or chosen.ssimulacra2 is None or not is_low(chosen):
        return ""
    return f"; but look at it: SSIMULACRA2 is only {WANTED.text_below(chosen.ssimulacra2)}"


def _elsewhere(chosen: Row) -> str:
    """The format that needs the fewest bytes for the same quality, where they are fewer than half."""
    title, size = next(iter(chosen.compared.items()), ("", 0))
    if not 0 < 2 * size < _bytes(chosen):
        return ""
    return f"; {title} needs {byte_size(size)} for the same quality, {_percent(size / _bytes(chosen))} of its bytes"


def _recommended(measured: Sequence[Row]) -> tuple[Row | None, str]:
    good = [row for row in measured if WANTED.reached_by(_quality(row, WANTED))]
    if not good:
        best = max(measured, key=lambda row: _quality(row, WANTED))
        if best.ssimulacra2 is None:
            return None, (
                f"Original kept: {WANTED.name} was not measured, and without it only a lossless output replaces an "
                "original; a target of SSIM or PSNR allows others."
            )
        return None, (
            f"Original kept: the best output of this run, k = {best.k}, reaches {WANTED.name} "
            f"{WANTED.text_below(best.ssimulacra2)}; {WANTED.value:g} is wanted."
        )
    chosen = min(good, key=_bytes)
    if not _saves(chosen):
        reaches = "is lossless" if chosen.lossless else f"reaches {_text(chosen, WANTED)}"
        return None, f"Original kept: k = {chosen.k} {reaches}, but {_share(chosen)}."
    if chosen.lossless:
        return chosen, f"k = {chosen.k}: lossless."
    smallest = f"k = {chosen.k}: {_text(chosen, WANTED)}, the smallest output with at least {WANTED.value:g}"
    return chosen, f"{smallest}{_neighbor(chosen, measured, WANTED)}."


def _quality(row: Row, target: Target) -> float:
    """The value of the target's measure; minus infinity where an old record does not have it."""
    value: float | None = getattr(row, target.field)
    return value if value is not None else math.inf if row.lossless else -math.inf


def _bytes(row: Row) -> int:
    return row.compressed_bytes or 0


def _saves(row: Row) -> bool:
    return _bytes(row) < (row.original_bytes or 0)


def _text(row: Row, target: Target) -> str:
    value = _quality(row, target)
    return "lossless" if value == math.inf else f"{target.name} {target.text(value)}"


def _share(row: Row) -> str:
    larger = _bytes(row) / (row.original_bytes or 1) - 1
    return f"its output is {_percent(larger)} larger" if larger > 0 else "its output is as large"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.{0 if fraction >= 0.0995 else 1}f} %"
