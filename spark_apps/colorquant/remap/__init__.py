"""Pixels to palette indexes: the nearest entry, blue-noise dithering, or the entries that encode smaller."""

from colorquant.remap.bands import BAND_ROWS, bands_of
from colorquant.remap.dither import Dither, dithered, mixtures
from colorquant.remap.nearest import index_table, look_up, remap
from colorquant.remap.rate_aware import (
    RateModel,
    cheapest,
    copied_from,
    rate_model,
    remap_band,
    remap_with,
    write_path,
)

__all__ = [
    "cheapest",
    "copied_from",
    "write_path",
    "BAND_ROWS",
    "bands_of",
    "Dither",
    "dithered",
    "index_table",
    "look_up",
    "mixtures",
    "rate_model",
    "RateModel",
    "remap",
    "remap_band",
    "remap_with",
]
