"""A quality target, and the smallest palette size k that reaches it. Standard library only."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from colorquant.errors import InvalidTarget
from colorquant.limits import MAX_COLORS

# So many k in a row must lie clearly below the target before no smaller k is tried.
_MAX_MISSES = 3


@dataclass(frozen=True)
class Measure:
    """A measure of quality; higher is better.

    Attributes
    ----------
    field : its name in a record.
    title, unit, digits : its name, unit and decimal places for people.
    minimum, maximum : the limits of a target.
    dip : by how much a larger palette may be worse than a smaller one; measured (docs/choice.md).
    """

    field: str
    title: str
    unit: str
    digits: int
    minimum: float
    maximum: float
    dip: float

    def text(self, value: float, more_digits: int = 0) -> str:
        """A value with its significant digits and its unit."""
        return "infinite" if math.isinf(value) else f"{value:.{self.digits + more_digits}f}{self.unit}"


MEASURES = {
    "ssim": Measure("ssim", "SSIM", "", 4, 0, 1, 0.005),
    "psnr": Measure("psnr_db", "PSNR", " dB", 2, 0, 100, 0.05),
    "ssimulacra2": Measure("ssimulacra2", "SSIMULACRA2", "", 1, 0, 100, 1.0),
}


@dataclass(frozen=True)
class Target:
    """A quality that an output must have: the name of one of ``MEASURES``, and the lowest value of it."""

    measure: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``ssim=0.95``, ``psnr=38`` or ``ssimulacra2=80``; a number alone is an SSIM. Raises InvalidTarget."""
        name, equals, number = text.strip().lower().rpartition("=")
        measure = MEASURES.get(name.strip() if equals else "ssim")
        if measure is None or not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", number.strip()):
            raise InvalidTarget(
                f"{text!r} is not a quality target: write ssim=0.95 (or 0.95 alone), or one of {', '.join(MEASURES)}."
            )
        value = float(number)
        if not measure.minimum <= value <= measure.maximum:
            raise InvalidTarget(f"{text!r}: {measure.title} goes from {measure.minimum:g} to {measure.maximum:g}.")
        return cls(name.strip() or "ssim", value)

    def __str__(self) -> str:
        return f"{self.measure}={self.value!r}"

    @property
    def name(self) -> str:
        """The measure's name for people: ``SSIM``."""
        return self._measure.title

    @property
    def title(self) -> str:
        """The target for people: ``SSIM 0.95``."""
        return f"{self._measure.title} {self.value:g}{self._measure.unit}"

    @property
    def field(self) -> str:
        """The measure's name in a record."""
        return self._measure.field

    @property
    def maximum(self) -> float:
        """The highest value of the target's measure."""
        return self._measure.maximum

    @property
    def dip(self) -> float:
        """By how much a larger palette may be worse than a smaller one."""
        return self._measure.dip

    def text(self, value: float) -> str:
        """A value of the target's measure for people."""
        return self._measure.text(value)

    def text_below(self, value: float) -> str:
        """A value below the target, with as many digits as show that it is below."""
        texts = (self._measure.text(value, more) for more in range(6))
        return next((text for text in texts if float(text.removesuffix(self._measure.unit)) < self.value), str(value))

    @property
    def _measure(self) -> Measure:
        return MEASURES[self.measure]

    def reached_by(self, value: float | None) -> bool:
        """Whether a measured value reaches the target. None, which stands for infinity in records, does."""
        return value is None or value >= self.value


@dataclass(frozen=True)
class KSearch:
    """What ``smallest_k`` found: k, whether it reaches the target, and the quality at each k that was tried."""

    k: int
    reached: bool
    tried: dict[int, float]


def smallest_k(target: Target, quality_of: Callable[[int], float], max_k: int = MAX_COLORS, min_k: int = 1) -> KSearch:
    """The smallest palette size that reaches a target.

    Quality rises with k, but not always: one k may be a little worse than the k before it. Bisection finds a k where
    the quality crosses the target. From there the next smaller k are tried one by one, until some in a row are worse
    than the target by more than such a dip. Where all dips are smaller than ``target.dip``, the result is the same as
    that of trying every k.

    Parameters
    ----------
    target : Target
        What to reach.
    quality_of : callable
        Measures the output at a k; it is called once for each k that is tried.
    max_k : int
        The largest k to try: an image with fewer colors than ``MAX_COLORS`` needs no more.
    min_k : int
        The least k to try.

    Returns
    -------
    KSearch
        With ``max_k`` as k where no k reaches the target.
    """
    tried: dict[int, float] = {}

    def reached(k: int) -> bool:
        if k not in tried:
            tried[k] = quality_of(k)
        return target.reached_by(tried[k])

    crossing = _bisect(reached, max_k, min_k) if reached(max_k) else max_k
    smallest, misses = crossing, 0
    for k in range(crossing - 1, min_k - 1, -1):
        if reached(k):
            smallest, misses = k, 0
        elif tried[k] < target.value - target.dip:
            misses += 1
            if misses == _MAX_MISSES:
                break
    return KSearch(smallest, reached(smallest), dict(sorted(tried.items())))


def _bisect(reached: Callable[[int], bool], max_k: int, min_k: int) -> int:
    """A k that reaches the target, while k - 1 does not, given that ``max_k`` reaches it."""
    below, above = min_k - 1, max_k
    while above - below > 1:
        middle = (below + above) // 2
        if reached(middle):
            above = middle
        else:
            below = middle
    return above
