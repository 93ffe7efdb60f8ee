"""Color histograms of images, and their coarse cells.

Both are exact integer sums, so that merging them in any order gives the same result.
"""

from colorquant.colors.cells import Cells
from colorquant.colors.histogram import ColorHistogram, count_colors, kernel_input, unpack_colors

__all__ = ["Cells", "ColorHistogram", "count_colors", "kernel_input", "unpack_colors"]
