"""A palette in the formats that other programs read: .png, .gpl, .hex."""

from collections.abc import Sequence

from colorquant.hex_colors import Color
from colorquant.palettes.formats import gpl_file, hex_file

_COLUMNS = 16
_SIDE = 16


def palette_files(colors: Sequence[Color], name: str) -> dict[str, bytes]:
    """The contents of a palette's files by their suffixes; each can be read again as the same palette.

    The PNG shows a square for each color, sixteen in a row, and its own palette has the colors in their order.
    """
    import numpy as np

    from colorquant.encode import encode_indexed_png
    from colorquant.pixels import as_palette

    columns = min(_COLUMNS, len(colors))
    squares = np.zeros(-(-len(colors) // columns) * columns, np.uint8)
    squares[: len(colors)] = np.arange(len(colors))
    indexes = np.kron(squares.reshape(-1, columns), np.ones((_SIDE, _SIDE), np.uint8))
    return {
        ".png": encode_indexed_png(as_palette(colors), indexes, in_order=True),
        ".gpl": gpl_file(colors, name),
        ".hex": hex_file(colors),
    }
