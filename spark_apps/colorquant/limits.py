"""Limits that several rooms share, and the types of numbers within limits. Standard library only."""

import math
from dataclasses import dataclass
from typing import Annotated

#: Most entries of a palette: an index is one byte.
MAX_COLORS = 256

#: Most pixels of an image that is decoded as a whole: 268 megapixels, 0.8 GB as RGB.
DEFAULT_MAX_PIXELS = 2**28


@dataclass(frozen=True)
class Range:
    """The values that a number may have, both ends included. An annotation that the reader of JSON files checks."""

    minimum: float
    maximum: float = math.inf

    def __contains__(self, number: float) -> bool:
        return self.minimum <= number <= self.maximum

    def __str__(self) -> str:
        maximum = math.isfinite(self.maximum)
        return f"from {self.minimum:g} to {self.maximum:g}" if maximum else f"at least {self.minimum:g}"


#: A number of things.
Count = Annotated[int, Range(0)]
#: A number of things of which there is at least one.
PositiveInt = Annotated[int, Range(1)]
#: k: the largest number of colors that an output may have.
PaletteSize = Annotated[int, Range(1, MAX_COLORS)]
