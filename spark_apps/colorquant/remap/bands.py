"""Bands: rows of an image that are remapped together."""

from colorquant.pixels import Pixels

BAND_ROWS = 64
"""Rows of a band. A band that begins at a multiple of it gets the same indexes wherever it is remapped: ``rate_aware``
lets only the rows of one band depend on each other, and the mask of ``dither`` has this side."""


def bands_of(rows: Pixels) -> list[Pixels]:
    """Split rows (h, ...) of an image, which begin at a multiple of `BAND_ROWS`, into bands."""
    return [rows[top : top + BAND_ROWS] for top in range(0, len(rows), BAND_ROWS)]
