"""The perceptual objective: the palette and the index map with the least visible error.

Colors are compared in XYB, errors after the blur of the eye, and colors count by how visible their neighborhood makes
them. ``fit_palette`` finds the palette, ``remap_directly`` the index map: by direct search, or with prices of bits by a
trellis.
"""

from colorquant.perception.direct_search import DirectSearch, remap_directly
from colorquant.perception.importance import important_cells, weighted_colors
from colorquant.perception.kept_colors import KeptColors, flat_colors, keep_colors, large_areas
from colorquant.perception.palette import REFIT_ROUNDS, BandedColors, fit_alpha_palette, fit_palette

__all__ = [
    "BandedColors",
    "DirectSearch",
    "fit_alpha_palette",
    "fit_palette",
    "flat_colors",
    "important_cells",
    "keep_colors",
    "KeptColors",
    "large_areas",
    "REFIT_ROUNDS",
    "remap_directly",
    "weighted_colors",
]
