"""A palette size with its result: what the steps of an image have in hand before the file is written."""

from dataclasses import dataclass

from colorquant.compress.source import OpenedImage
from colorquant.jobs import KSearchRecord
from colorquant.pixels import Pixels
from colorquant.quantizer import Solution
from colorquant.settings import Settings


@dataclass(frozen=True, eq=False)
class Choice:
    """A palette size and its result.

    Attributes
    ----------
    k : int
    settings : Settings
        With nothing free.
    solution : Solution
    indexes : uint8 (H, W)
    encoded : bytes, optional
        The output file, where it was made already.
    search : KSearchRecord, optional
        How ``k`` was found; None where ``k`` was given.
    """

    k: int
    settings: Settings
    solution: Solution
    indexes: Pixels
    encoded: bytes | None = None
    search: KSearchRecord | None = None

    @property
    def shown(self) -> Pixels:
        """The picture, uint8 (H, W, 3 or 4)."""
        return self.solution.palette[self.indexes]


def remapped(opened: OpenedImage, k: int, settings: Settings, solution: Solution) -> Choice:
    """The choice of a solution at ``k``, with the index map that the settings ask for."""
    remapping = solution.remapping(settings, opened.decoded.pixels.shape[1])
    return Choice(k, settings, solution, opened.source.remap(solution.palette, remapping))
