"""A palette size with its result: what the steps of an image have in hand before the file is written."""

from dataclasses import dataclass, replace

from colorquant.compress.source import OpenedImage
from colorquant.errors import UnsupportedImage
from colorquant.jobs import KSearchRecord
from colorquant.pixels import Pixels
from colorquant.quantizer import Solution, impose, with_kept_colors
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
    imposed : uint8 (k, 3 or 4), optional
        The palette that ``indexes`` are of, where it was given: it stays in its order.
    """

    k: int
    settings: Settings
    solution: Solution
    indexes: Pixels
    encoded: bytes | None = None
    search: KSearchRecord | None = None
    imposed: Pixels | None = None

    @property
    def palette(self) -> Pixels:
        """The palette uint8 (k', 3 or 4) that ``indexes`` are of."""
        return self.solution.palette if self.imposed is None else self.imposed

    @property
    def shown(self) -> Pixels:
        """The picture, uint8 (H, W, 3 or 4)."""
        return self.palette[self.indexes]


def remapped(opened: OpenedImage, k: int, settings: Settings, solution: Solution) -> Choice:
    """The choice of a solution at ``k``, with the index map that the settings ask for."""
    pixels = opened.decoded.pixels
    remapping = solution.remapping(settings, pixels.shape[1])
    indexes = opened.source.remap(solution.palette, remapping)
    if remapping is not None:
        indexes = with_kept_colors(indexes, pixels, solution.palette, settings)
    return Choice(k, settings, solution, indexes)


def imposed(opened: OpenedImage, palette: Pixels, k: int, settings: Settings, in_order: bool) -> Choice:
    """The choice of a given palette uint8 (n, 3 or 4).

    Parameters
    ----------
    opened : OpenedImage
    palette : uint8 (n, 3 or 4)
    k : int
        The palette size that was asked for.
    settings : Settings
    in_order : bool
        Whether the output has all entries in their order.

    Raises
    ------
    UnsupportedImage
        The image is transparent somewhere and no entry is, or it is opaque and all entries are transparent.
    """
    solution, entries = impose(opened.source, palette)
    if not len(entries):
        raise UnsupportedImage(f"{opened.path!r}: no color of the palette is opaque; add one.")
    pixels = opened.decoded.pixels
    if pixels.shape[2] == 4 and not (solution.palette[:, 3] == 0).any() and (pixels[..., 3] == 0).any():
        raise UnsupportedImage(
            f"{opened.path!r} has transparent pixels, and no color of the palette is transparent; add #00000000 to it."
        )
    choice = remapped(opened, k, settings, solution)
    return replace(choice, indexes=entries[choice.indexes], imposed=palette) if in_order else choice
