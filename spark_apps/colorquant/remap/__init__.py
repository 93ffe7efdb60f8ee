"""Pixels to palette indexes: the nearest entry, blue-noise dithering, or the entries that encode smaller."""

from colorquant.remap.dither import MASK_SIDE, Dither, dithered, mixtures
from colorquant.remap.nearest import index_table, look_up, remap
from colorquant.remap.rate_aware import BAND_ROWS, RateModel, bands_of, rate_model, remap_band

__all__ = [
    "BAND_ROWS",
    "bands_of",
    "Dither",
    "dithered",
    "index_table",
    "look_up",
    "MASK_SIDE",
    "mixtures",
    "rate_model",
    "RateModel",
    "remap",
    "remap_band",
]
