"""Images with alpha: the steps of ``colors``, ``kmeans`` and ``remap`` in premultiplied color, in four dimensions.

Functions have the names of those for RGB.
"""

from colorquant.alpha.histogram import AlphaCells, coarse_cells, count_colors, merge_cells, merge_histograms
from colorquant.alpha.kmeans import AlphaSums, assign_columns, partial_sums, rounded_means
from colorquant.alpha.metrics import mean_squared_error, on_both_backgrounds
from colorquant.alpha.premultiplied import UNIT, coordinates, nearest_colors, on_background, pack, unpack
from colorquant.alpha.remap import remap_alpha
from colorquant.alpha.search import search_centroids

__all__ = [
    "AlphaCells",
    "AlphaSums",
    "assign_columns",
    "coarse_cells",
    "coordinates",
    "count_colors",
    "mean_squared_error",
    "merge_cells",
    "merge_histograms",
    "nearest_colors",
    "on_background",
    "on_both_backgrounds",
    "pack",
    "partial_sums",
    "remap_alpha",
    "rounded_means",
    "search_centroids",
    "UNIT",
    "unpack",
]
