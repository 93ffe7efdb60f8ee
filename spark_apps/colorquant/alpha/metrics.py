"""How far pixels with alpha are from the original: as they look on black and on white, the mean of the two."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from colorquant.alpha import histogram as alpha_histogram
from colorquant.alpha.premultiplied import UNIT, coordinates, on_background, pack, squared_norms

Pixels = npt.NDArray[np.uint8]

_BAND_PIXELS = 1 << 18
BLACK, WHITE = 0, 255


def mean_squared_error(reference: Pixels, decoded: Pixels) -> float:
    """Mean over pixels of the squared distance of ``premultiplied``: of the RGB distances on black and on white.

    Parameters
    ----------
    reference, decoded : uint8 (H, W, 4)
    """
    ours, theirs = reference.reshape(-1, 4), decoded.reshape(-1, 4)
    total = 0
    for start in range(0, len(ours), _BAND_PIXELS):
        band = slice(start, start + _BAND_PIXELS)
        difference = coordinates(pack(ours[band])) - coordinates(pack(theirs[band]))
        total += int(squared_norms(difference).sum())
    return total / UNIT**2 / len(ours)


def on_both_backgrounds(measure: Callable[[Pixels, Pixels], float], reference: Pixels, decoded: Pixels) -> float:
    """The mean of a measure of RGB pixels on black and on white."""
    values = [measure(on_background(reference, level), on_background(decoded, level)) for level in (BLACK, WHITE)]
    return sum(values) / len(values)


def count_colors(pixels: Pixels) -> int:
    """Number of distinct colors; all that is fully transparent is one."""
    return len(alpha_histogram.count_colors(pixels))
