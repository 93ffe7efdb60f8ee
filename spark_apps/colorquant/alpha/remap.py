"""Remap of pixels with alpha; each distinct color is assigned once."""

import numpy as np

from colorquant.alpha.kmeans import assign
from colorquant.alpha.premultiplied import UNIT, WEIGHTS, coordinates, pack
from colorquant.pixels import Pixels
from colorquant.remap import Dither, RateModel, dithered, mixtures

_OPAQUE = np.uint32(0xFF000000)


def remap_alpha(pixels: Pixels, palette: Pixels, remapping: RateModel | Dither | None = None) -> Pixels:
    """Remap pixels to their nearest palette entries, or dither them.

    Without dithering, opaque pixels go to opaque entries where there are any.

    Parameters
    ----------
    pixels : uint8 (h, w, 4)
    palette : uint8 (k, 4), 1 <= k <= 256
        Ties go to the entry with the lower index.
    remapping : RateModel or Dither, optional
        A rate model has no effect: the rate-aware remap is for opaque images.

    Returns
    -------
    uint8 (h, w)
    """
    colors, colors_of_pixels = np.unique(pack(pixels), return_inverse=True)
    if isinstance(remapping, Dither):
        scale = np.sqrt(WEIGHTS) / UNIT
        mixed = mixtures(coordinates(colors) * scale, coordinates(pack(palette)) * scale)
        return dithered(pixels.shape, remapping, colors_of_pixels, *mixed)
    labels, _ = assign(coordinates(colors), coordinates(pack(palette)))
    opaque = np.flatnonzero(palette[:, 3] == 255)
    lost = np.flatnonzero((colors >= _OPAQUE) & (palette[labels, 3] < 255))
    if len(opaque) and len(lost):
        among, _ = assign(coordinates(colors[lost]), coordinates(pack(palette[opaque])))
        labels[lost] = opaque[among]
    return labels.astype(np.uint8)[colors_of_pixels].reshape(pixels.shape[:2])
