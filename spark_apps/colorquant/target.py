"""A quality target, and the search for the smallest palette that reaches it. Standard library only."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from colorquant.errors import InvalidTarget
from colorquant.limits import MAX_COLORS

MIN_K, MAX_K = 1, MAX_COLORS
# How many values in a row must lie clearly below the target before the search gives up on smaller palettes.
_ENOUGH = 3


@dataclass(frozen=True)
class Measure:
    """A measure of quality, more is better.

    Attributes
    ----------
    field : its name in a record.
    title, unit, digits : how people read it.
    least, most : the values that a target may have.
    dip : what a larger palette may lose against a smaller one; measured (docs/choice.md).
    """

    field: str
    title: str
    unit: str
    digits: int
    least: float
    most: float
    dip: float

    def text(self, value: float, more_digits: int = 0) -> str:
        """The value with as many digits as matter, and its unit."""
        return "infinite" if math.isinf(value) else f"{value:.{self.digits + more_digits}f}{self.unit}"


MEASURES = {
    "ssim": Measure("ssim", "SSIM", "", 4, 0, 1, 0.005),
    "psnr": Measure("psnr_db", "PSNR", " dB", 2, 0, 100, 0.05),
    "ssimulacra2": Measure("ssimulacra2", "SSIMULACRA2", "", 1, 0, 100, 1.0),
}


@dataclass(frozen=True)
class Target:
    """A quality that an output should have: one of ``MEASURES``, and its least value."""

    measure: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of ``ssim=0.95``, ``psnr=38`` or ``ssimulacra2=80``; a number alone is an SSIM. Raises InvalidTarget."""
        name, equals, number = text.strip().lower().rpartition("=")
        measure = MEASURES.get(name.strip() if equals else "ssim")
        if measure is None or not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", number.strip()):
            raise InvalidTarget(
                f"{text!r} is no quality target: write ssim=0.95 (or 0.95 alone), or one of {', '.join(MEASURES)}."
            )
        value = float(number)
        if not measure.least <= value <= measure.most:
            raise InvalidTarget(f"{text!r}: {measure.title} goes from {measure.least:g} to {measure.most:g}.")
        return cls(name.strip() or "ssim", value)

    def __str__(self) -> str:
        return f"{self.measure}={self.value!r}"

    @property
    def name(self) -> str:
        """The measure's name as people read it."""
        return self._measure.title

    @property
    def title(self) -> str:
        """As people read it: ``SSIM 0.95``."""
        return f"{self._measure.title} {self.value:g}{self._measure.unit}"

    @property
    def field(self) -> str:
        """The measure's name in a record."""
        return self._measure.field

    @property
    def most(self) -> float:
        """The largest value that the target's measure may have."""
        return self._measure.most

    @property
    def dip(self) -> float:
        """What a larger palette may lose against a smaller one."""
        return self._measure.dip

    def text(self, value: float) -> str:
        """A value of the target's measure as people read it."""
        return self._measure.text(value)

    def text_of_less(self, value: float) -> str:
        """A value below the target, with the digits that it takes to see that."""
        texts = (self._measure.text(value, more) for more in range(6))
        return next((text for text in texts if float(text.removesuffix(self._measure.unit)) < self.value), str(value))

    @property
    def _measure(self) -> Measure:
        return MEASURES[self.measure]

    def reached_by(self, value: float | None) -> bool:
        """Whether a measured value is enough. None, which records have for an infinite one, is."""
        return value is None or value >= self.value


@dataclass(frozen=True)
class Search:
    """What a search found: the palette size, whether it reaches the target, and every value on the way, by k."""

    k: int
    reached: bool
    tried: dict[int, float]


def smallest_k(target: Target, quality_of: Callable[[int], float], most: int = MAX_K) -> Search:
    """The smallest palette that reaches a target.

    Quality rises with k, but not always: one k may be a little worse than the k before it. Bisection finds a k where
    the curve crosses the target; from there every smaller k is tried, until some in a row lie further below the
    target than such dips go. On a curve whose dips are smaller than ``target.dip`` the result is that of
    trying every k.

    Parameters
    ----------
    quality_of : measures the output at a k; called once for each k that is tried.
    most : the largest palette to try, where the image has fewer colors than 256.

    Returns
    -------
    Search
        With ``most`` as k where no palette reaches the target.
    """
    tried: dict[int, float] = {}

    def reached(k: int) -> bool:
        if k not in tried:
            tried[k] = quality_of(k)
        return target.reached_by(tried[k])

    crossing = _bisect(reached, most) if reached(most) else most
    best, far_below = crossing, 0
    for k in range(crossing - 1, MIN_K - 1, -1):
        if reached(k):
            best, far_below = k, 0
        elif tried[k] < target.value - target.dip:
            far_below += 1
            if far_below == _ENOUGH:
                break
    return Search(best, reached(best), dict(sorted(tried.items())))


def _bisect(reached: Callable[[int], bool], most: int) -> int:
    """A k that reaches the target, where ``most`` does, and the k before it does not."""
    below, above = MIN_K - 1, most
    while above - below > 1:
        middle = (below + above) // 2
        if reached(middle):
            above = middle
        else:
            below = middle
    return above
