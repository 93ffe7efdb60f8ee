"""The axes of a plot: their ends, their ticks, and the position of a value. Standard library only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """The values from ``low`` to ``high`` along a side of a plot.

    ``ticks`` are pairs of a value and its label; ``reference`` is a value that the plot marks.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False
    reference: float | None = None

    def fraction(self, value: float) -> float:
        """The position of a value on the axis: 0 at ``low``, 1 at ``high``."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def palette_axis(ks: Sequence[int], length: float, spacing: float = 24) -> Axis:
    """Palette sizes on a logarithmic axis of ``length`` pixels; ticks at given sizes, at least ``spacing`` apart."""
    low, high = min(ks) / 1.15, max(ks) * 1.15
    axis = Axis("colors (k)", low, high, (), logarithmic=True)
    shown: list[int] = []
    for k in sorted(ks, reverse=True):
        if not shown or (axis.fraction(shown[-1]) - axis.fraction(k)) * length >= spacing:
            shown.append(k)
    return Axis(axis.title, low, high, tuple((k, str(k)) for k in reversed(shown)), logarithmic=True)


def linear_axis(title: str, values: Sequence[float], from_zero: bool = False, maximum: float = math.inf) -> Axis:
    """A linear axis around the values, with round ticks, two of them at its ends. No value exceeds ``maximum``."""
    low, high = min(values), max(values)
    if from_zero:
        low = min(low, 0)
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = (0.0, 2 * high) if from_zero and high > 0 else (low - 1, high + 1)
    margin = 0.06 * (high - low)
    low, high = (low if from_zero else low - margin), high + margin
    step = _round_step((high - low) / 5)
    high = maximum if max(values) <= maximum < high else high
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple((number * step, f"{number * step:.{digits}f}") for number in range(first, last + 1))
    return Axis(title, first * step, last * step, ticks)


def ratio_axis(title: str, values: Sequence[float]) -> Axis:
    """A logarithmic axis around positive values, with ticks at 1, 2, 5, 10, ...: equal ratios are equally far apart."""
    low, high = min(values) / 1.1, max(values) * 1.1
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    rounds = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    low = max(value for value in rounds if value <= low)
    high = min(value for value in rounds if value >= high)
    ticks = tuple((value, f"{value:g}") for value in rounds if low <= value <= high)
    return Axis(title, low, high, ticks, logarithmic=True, reference=1 if low <= 1 <= high else None)


def _round_step(step: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(step))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= step * 0.999)
