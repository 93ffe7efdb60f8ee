"""Error measures of pixels with alpha: the mean of those on a black and on a white background."""

from collections.abc import Callable

from colorquant.alpha.premultiplied import UNIT, coordinates, on_background, pack, squared_norms
from colorquant.pixels import Pixels

_BAND_PIXELS = 1 << 18
BLACK, WHITE = 0, 255


def mean_squared_error(reference: Pixels, decoded: Pixels) -> float:
    """Mean over pixels of the squared distance of ``premultiplied``.

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
    """The mean of a measure of RGB pixels on black and on white, of pixels uint8 (H, W, 4)."""
    values = [measure(on_background(reference, level), on_background(decoded, level)) for level in (BLACK, WHITE)]
    return sum(values) / len(values)
