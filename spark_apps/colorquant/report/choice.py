"""The choice of an output for each image, by its measured quality and size. Only the knee needs the library kneed.

With a target the smallest k that reaches it is chosen. Without one, a lossless output is chosen, or else the knee of
PSNR against bytes. An output that is not smaller than its original is never chosen: the original is kept.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from colorquant.limits import Count, PaletteSize
from colorquant.report.rows import Row
from colorquant.target import MEASURES, Target

# Below it SSIMULACRA2's own scale says "low quality".
_LOW_SSIMULACRA2 = 30


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


def choose(rows: Sequence[Row], target: Target | None) -> Choice | None:
    """The choice for one image among its rows; None where none of them has an output."""
    measured = sorted((row for row in rows if not row.failed), key=lambda row: row.k or 0)
    if not measured:
        return None
    chosen, reason = _reaching(measured, target) if target else _balanced(measured)
    original_bytes = measured[0].original_bytes or 0
    return Choice(
        image=measured[0].image,
        k=chosen.k if chosen else None,
        output=chosen.output if chosen else None,
        bytes=_bytes(chosen) if chosen else original_bytes,
        original_bytes=original_bytes,
        reason=reason,
    )


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
    if after is None:
        return ""
    more, gain = _bytes(after) / _bytes(chosen) - 1, _quality(after, target)
    brings = "to be lossless" if gain == math.inf else f"for {target.text(gain - _quality(chosen, target))}"
    return f"; k = {after.k} adds {_percent(more)} bytes {brings}"


def _warning(chosen: Row, target: Target | None = None) -> str:
    """A warning where SSIMULACRA2, which agrees best with people's judgments, is low for the chosen output."""
    value = chosen.ssimulacra2
    if (target and target.field == "ssimulacra2") or value is None or value >= _LOW_SSIMULACRA2:
        return ""
    return f"; but look at it: SSIMULACRA2 is only {MEASURES['ssimulacra2'].text(value)}"


def _balanced(measured: Sequence[Row]) -> tuple[Row | None, str]:
    lossless = [row for row in measured if row.lossless and _saves(row)]
    if lossless:
        chosen = min(lossless, key=_bytes)
        return chosen, f"k = {chosen.k}: lossless."
    # Only outputs that are better than all smaller ones: the others are never worth their bytes.
    curve: list[Row] = []
    for row in sorted(measured, key=lambda row: (_bytes(row), -row.psnr)):
        if math.isfinite(row.psnr) and (not curve or row.psnr > curve[-1].psnr):
            curve.append(row)
    if not curve:
        return None, f"Original kept: k = {measured[0].k} is lossless, but {_share(measured[0])}."
    index = knee([_bytes(row) for row in curve], [row.psnr for row in curve])
    chosen = curve[-1 if index is None else index]
    if not _saves(chosen):
        return None, f"Original kept: k = {chosen.k} would be the choice, but {_share(chosen)}."
    if index is None:
        best = f"k = {chosen.k}: the best quality of this run, which has too few k for a knee of the curve"
        return chosen, f"{best}{_warning(chosen)}."
    sentence = f"k = {chosen.k}: the knee of quality against bytes"
    if index + 1 < len(curve):
        after = curve[index + 1]
        more, gain = _bytes(after) / _bytes(chosen) - 1, after.psnr - chosen.psnr
        sentence += f"; k = {after.k} adds {_percent(more)} bytes for {gain:.1f} dB"
    return chosen, f"{sentence}{_warning(chosen)}."


def knee(sizes: Sequence[float], qualities: Sequence[float]) -> int | None:
    """Index of the knee of a rising curve, by Kneedle; None for fewer than three points, or without a bend.

    The sensitivity is 1, or 0 where 1 finds no knee because the points are few. Method: Satopaa, Albrecht, Irwin and
    Raghavan, "Finding a 'Kneedle' in a Haystack", 2011, DOI 10.1109/ICDCSW.2011.20.
    """
    if len(sizes) < 3:
        return None
    from kneed import KneeLocator

    for sensitivity in (1, 0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kneed warns where there is no knee.
            found = KneeLocator(sizes, qualities, S=sensitivity, curve="concave", direction="increasing").knee
        if found is not None:
            return list(sizes).index(found)
    return None


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
