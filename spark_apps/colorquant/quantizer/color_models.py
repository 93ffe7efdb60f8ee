"""The color model of an image, RGB or RGBA: the same functions for each kind of pixels."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from colorquant import alpha, colors
from colorquant.colors import Cells, ColorHistogram
from colorquant.kmeans import MergeableSums, nearest, partial_sums
from colorquant.perception import DirectSearch, remap_directly
from colorquant.pixels import Pixels
from colorquant.quantizer.alpha_solver import solve_rgba
from colorquant.quantizer.solution import Remapping, Solution
from colorquant.quantizer.solver import ColorSource, solve_rgb
from colorquant.remap import Dither, dithered, index_table, mixtures, remap_with
from colorquant.settings import Settings


@dataclass(frozen=True)
class ColorModel:
    """What is done to pixels and histograms of one kind; each field is a function.

    Attributes
    ----------
    count_colors : pixels uint8 (h, w, 3 or 4) to their histogram.
    merge_histograms : histograms of parts to that of the whole.
    coarse_cells : a histogram to cells of a limited number.
    merge_cells : cells of parts, made by ``coarse_cells``, to those of the whole.
    partial_sums : a histogram, or a part of one, and centroids (k, d) to the sums of the clusters.
    solve : a source of colors to a palette; parameters as of ``solver.solve``.
    remap : pixels, palette, and remapping to the index map uint8 (h, w).
    index_table : packed colors uint32 (n,) and palette to a table from packed color to the index of the nearest entry,
        for ``remap.look_up``; None where there are too many colors for a table.
    channels : 3 or 4, an int.
    pack : colors uint8 (n, channels) to packed colors uint32 (n,), as histograms have them.
    positions : colors uint8 (n, channels) to centroids, as ``partial_sums`` takes them.
    colors_at : centroids to the nearest colors uint8 (n, channels).
    """

    count_colors: Callable[[Pixels], ColorHistogram]
    merge_histograms: Callable[[Sequence[ColorHistogram]], ColorHistogram]
    coarse_cells: Callable[[ColorHistogram], Cells]
    merge_cells: Callable[[Sequence[Cells]], Cells]
    partial_sums: Callable[[ColorHistogram, np.ndarray], MergeableSums]
    solve: Callable[[ColorSource, int, Settings, Executor | None], Solution]
    remap: Callable[[Pixels, Pixels, Remapping], Pixels]
    index_table: Callable[[np.ndarray, Pixels], np.ndarray] | None
    channels: int
    pack: Callable[[Pixels], np.ndarray]
    positions: Callable[[Pixels], np.ndarray]
    colors_at: Callable[[np.ndarray], Pixels]


def _remap_rgb(pixels: Pixels, palette: Pixels, remapping: Remapping = None) -> Pixels:
    """Index map uint8 (h, w) of pixels uint8 (h, w, 3); for a rate model, rows of an image from a multiple of 64 on."""
    if isinstance(remapping, DirectSearch):
        return remap_directly(pixels, palette, remapping)
    if not isinstance(remapping, Dither):
        return remap_with(pixels, palette, remapping)
    distinct = colors.count_colors(pixels).colors
    mixed = mixtures(colors.unpack_colors(distinct).astype(np.float64), palette.astype(np.float64))
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return dithered(pixels.shape, remapping, np.searchsorted(distinct, packed), *mixed)


def _remap_rgba(pixels: Pixels, palette: Pixels, remapping: Remapping = None) -> Pixels:
    """Index map uint8 (h, w) of pixels uint8 (h, w, 4); in a direct search, rows from a multiple of 64 on."""
    if isinstance(remapping, DirectSearch):
        return remap_directly(pixels, palette, remapping)
    return alpha.remap_alpha(pixels, palette, remapping)


def _rounded(centroids: np.ndarray) -> Pixels:
    return np.clip(np.floor(centroids + 0.5), 0, 255).astype(np.uint8)


def _as_given(palette: Pixels) -> np.ndarray:
    return palette


def _index_table(distinct: np.ndarray, palette: Pixels) -> np.ndarray:
    return index_table(distinct, nearest(distinct, palette))


RGB = ColorModel(
    count_colors=colors.count_colors,
    merge_histograms=colors.merge_histograms,
    coarse_cells=colors.coarse_cells,
    merge_cells=colors.merge_cells,
    partial_sums=partial_sums,
    solve=solve_rgb,
    remap=_remap_rgb,
    index_table=_index_table,
    channels=3,
    pack=colors.pack_colors,
    positions=_as_given,
    colors_at=_rounded,
)
RGBA = ColorModel(
    count_colors=alpha.count_colors,
    merge_histograms=alpha.merge_histograms,
    coarse_cells=alpha.coarse_cells,
    merge_cells=alpha.merge_cells,
    partial_sums=alpha.partial_sums,
    solve=solve_rgba,
    remap=_remap_rgba,
    index_table=None,
    channels=4,
    pack=alpha.pack,
    positions=lambda palette: alpha.coordinates(alpha.pack(palette)),
    colors_at=alpha.nearest_colors,
)


def color_model(pixels: Pixels) -> ColorModel:
    """The model of pixels uint8 (H, W, 3 or 4)."""
    return RGBA if pixels.shape[2] == 4 else RGB


def load_kernels() -> None:
    """Load the compiled kernels that every image needs, by running them on one pixel; it takes a tenth of a second."""
    pixels = np.zeros((1, 1, 3), np.uint8)
    RGB.merge_cells([RGB.coarse_cells(RGB.count_colors(pixels))])
    RGB.remap(pixels, pixels[0], None)
