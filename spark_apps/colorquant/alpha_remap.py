"""Remap of pixels with alpha, decided once for each distinct color."""

import numpy as np

from colorquant.alpha_kmeans import assign
from colorquant.direct_search import DirectSearch
from colorquant.dither import Dither, dithered, mixtures
from colorquant.premultiplied import UNIT, WEIGHTS, coordinates, pack
from colorquant.rate_aware import RateModel


def remap_alpha(
    pixels: np.ndarray, palette: np.ndarray, remapping: RateModel | Dither | DirectSearch | None = None
) -> np.ndarray:
    """Index of the nearest palette entry of every pixel, or dithered.

    Parameters
    ----------
    pixels : uint8 (h, w, 4)
    palette : uint8 (k, 4), 1 <= k <= 256
        Ties go to the entry with the lower index.
    remapping : RateModel, Dither or DirectSearch, optional
        A rate model is of no effect: the rate-aware remap is for opaque images. So is direct search, in whose place
        pixels are dithered by the mask.

    Returns
    -------
    uint8 (h, w)
    """
    colors, places = np.unique(pack(pixels), return_inverse=True)
    if isinstance(remapping, DirectSearch) and remapping.blurred:
        remapping = Dither()
    if isinstance(remapping, Dither):
        scale = np.sqrt(WEIGHTS) / UNIT
        mixed = mixtures(coordinates(colors) * scale, coordinates(pack(palette)) * scale)
        return dithered(pixels.shape, remapping, places, *mixed)
    labels, _ = assign(coordinates(colors), coordinates(pack(palette)))
    return labels.astype(np.uint8)[places].reshape(pixels.shape[:2])
