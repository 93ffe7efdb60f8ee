"""Color histograms of images, and their coarse cells.

Both are exact integer sums, so merging them in any order gives the same result.
"""

from colorquant.colors.cells import CELL_LIMIT, Cells, coarse_cells, merge_cells
from colorquant.colors.histogram import (
    ColorHistogram,
    count_colors,
    kernel_input,
    merge_histograms,
    pack_colors,
    sum_by_key,
    unpack_colors,
)

__all__ = [
    "CELL_LIMIT",
    "Cells",
    "coarse_cells",
    "ColorHistogram",
    "count_colors",
    "kernel_input",
    "merge_cells",
    "merge_histograms",
    "pack_colors",
    "sum_by_key",
    "unpack_colors",
]
