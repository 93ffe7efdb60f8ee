"""What the main path needs to know of an image: its decoded file, and pixels that it can count and remap."""

from dataclasses import dataclass
from typing import Any, Protocol

from colorquant.decode import DecodedImage
from colorquant.jobs import WeightsFile
from colorquant.pixels import Pixels
from colorquant.quantizer import ColorSource, Remapping, Solution, WeightedColors, counted_by_pixels, solve
from colorquant.settings import Settings


class Source(ColorSource, Protocol):
    """The pixels of an image, in this process or distributed, which can be counted, solved for and remapped."""

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors."""

    def remap(self, palette: Pixels, remapping: Remapping = None) -> Pixels:
        """Index map uint8 (H, W) of the pixels, for a palette uint8 (k, 3 or 4)."""

    def describe(self) -> dict[str, Any]:
        """The result record's field ``spark``."""


@dataclass(frozen=True, eq=False)
class OpenedImage:
    """An image that is decoded and whose colors are counted: what all its palette sizes have in common.

    Attributes
    ----------
    path : str
    decoded : DecodedImage
    source : Source
    unique_colors : int
    weights : WeightsFile, optional
        The picture that says how much each pixel counts.
    weighted : WeightedColors, optional
        The colors as they count; None where all pixels count the same.
    notice : str, optional
        Why the picture of weights has no effect.
    """

    path: str
    decoded: DecodedImage
    source: Source
    unique_colors: int
    weights: WeightsFile | None = None
    weighted: WeightedColors | None = None
    notice: str | None = None

    def solve(self, k: int, settings: Settings) -> Solution:
        """A palette of at most k colors for the pixels as they count; what it costs is counted by pixels."""
        if self.weighted is None:
            return solve(self.source, k, settings)
        return counted_by_pixels(solve(self.weighted, k, settings), self.source)
