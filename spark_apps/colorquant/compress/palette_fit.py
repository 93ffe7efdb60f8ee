"""How well a palette that several images have in common fits one of them: its error beside that of the image's own."""

from dataclasses import dataclass
from typing import Self

from colorquant.jobs import SharedPalette
from colorquant.pixels import as_palette
from colorquant.quantizer import ColorSource, impose, solve
from colorquant.settings import Settings


@dataclass(frozen=True, kw_only=True)
class PaletteFit:
    """The errors of an image with two palettes.

    Attributes
    ----------
    name : of the palette in common.
    shared_mse, own_mse : mean squared distance of the pixels to their nearest entries, with the palette in common and
        with one of the image's own, of the same k and settings.
    """

    name: str
    shared_mse: float
    own_mse: float

    @classmethod
    def of(cls, source: ColorSource, shared: SharedPalette, settings: Settings) -> Self:
        """Measure both on the colors of an image, which are counted already: one more search for a palette."""
        weight = int(source.cells().counts.sum())
        imposed, _ = impose(source, as_palette(shared.entries))
        own = solve(source, shared.k, settings)
        return cls(name=shared.name, shared_mse=imposed.inertia / weight, own_mse=own.inertia / weight)
