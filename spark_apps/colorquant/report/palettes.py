"""The palettes that images of a run have in common, as the report shows them. Standard library only."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from colorquant.errors import InvalidRecord
from colorquant.hex_colors import color_text
from colorquant.jobs import Plan, SharedPalette, group_of, palette_path
from colorquant.limits import Count, PaletteSize
from colorquant.report.rows import Row

_MAX_WORST = 5


@dataclass(frozen=True, kw_only=True)
class CommonPalette:
    """A palette that images have in common.

    Attributes
    ----------
    name, folder, k, images, mse : as of ``SharedPalette``.
    colors : as ``#rrggbb``, in their order.
    left_out : how many images could not be read.
    file : path of its PNG relative to the folder of the summary, with forward slashes.
    worst : the images for which it adds most to the error of a palette of their own, with both mean squared errors
        (``shared_mse`` and ``own_mse`` of ``CompressionResult``).
    """

    name: str
    folder: str
    k: PaletteSize
    colors: tuple[str, ...]
    images: Count
    mse: float
    left_out: Count
    file: str
    worst: tuple[tuple[str, float, float], ...]


def common_palettes(plan: Plan, rows: Sequence[Row], folder: Path) -> tuple[CommonPalette, ...]:
    """The palettes of a run that were found, by folder and k; ``folder`` is the folder for the summary."""
    fits: dict[tuple[str, int], list[tuple[str, float, float]]] = {}
    if plan.palettes:
        for row in rows:
            if row.k and row.shared_mse is not None and row.own_mse is not None:
                errors = row.image, row.shared_mse, row.own_mse
                fits.setdefault((group_of(row.image, plan.settings), row.k), []).append(errors)
    found = []
    for (group, k), images in sorted(fits.items()):
        path = palette_path(plan.output_folder, plan.palettes[group], k)
        with suppress(OSError, InvalidRecord):  # Somebody may have removed it since the jobs read it.
            palette = SharedPalette.read(path)
            picture = path.removesuffix(".json") + ".png"
            found.append(
                CommonPalette(
                    name=palette.name,
                    folder=group,
                    k=k,
                    colors=tuple(map(color_text, palette.entries)),
                    images=palette.images,
                    mse=palette.mse,
                    left_out=len(palette.left_out),
                    file=os.path.relpath(picture, folder).replace(os.sep, "/"),
                    worst=tuple(sorted(images, key=_added_error, reverse=True)[:_MAX_WORST]),
                )
            )
    return tuple(found)


def _added_error(image: tuple[str, float, float]) -> tuple[float, str]:
    name, shared, own = image
    return shared - own, name
