"""The array types that several rooms share. They need numpy only; each signature's docstring says the shape."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from colorquant.hex_colors import OPAQUE, Color

#: An image or a part of it, (h, w, 3), or (h, w, 4) with alpha; also a palette, (k, 3 or 4), and an index map, (h, w).
Pixels = npt.NDArray[np.uint8]


def as_palette(colors: Sequence[Color]) -> Pixels:
    """A palette uint8 (k, 3), or (k, 4) where a color is not opaque."""
    channels = 3 if all(color[3] == OPAQUE for color in colors) else 4
    return np.array([color[:channels] for color in colors], np.uint8)
