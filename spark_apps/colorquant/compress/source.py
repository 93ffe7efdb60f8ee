"""What the main path needs to know of an image: its decoded file, and pixels that it can count and remap."""

from dataclasses import dataclass
from typing import Any, Protocol

from colorquant.decode import DecodedImage
from colorquant.pixels import Pixels
from colorquant.quantizer import ColorSource, Remapping


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
    """

    path: str
    decoded: DecodedImage
    source: Source
    unique_colors: int
