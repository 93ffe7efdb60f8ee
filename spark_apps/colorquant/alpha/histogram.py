"""The histogram of an image with alpha, and its cells: ``colors`` for RGBA.

A color is packed as 0xAARRGGBB, and all fully transparent colors are one color, 0.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from colorquant.alpha.premultiplied import coordinates, pack, unpack
from colorquant.colors import Cells, ColorHistogram
from colorquant.pixels import Pixels

#: The largest number of cells, by default.
CELL_LIMIT = 1 << 14

_BAND_PIXELS = 1 << 21
_OPAQUE = np.uint32(0xFF000000)


class AlphaCells(Cells):
    """Occupied cells of one level; their sums are of ``premultiplied.coordinates``, int64 (m, 4).

    At level 33 every cell is one color; lower levels are the number of bits kept of the premultiplied color, and
    whether it is opaque: above level 0, where all are one cell, no cell has opaque colors and others.
    """

    EXACT: ClassVar[int] = 33

    def within(self, limit: int) -> Self:
        """As of the base class."""
        if len(self) <= limit:
            return self
        # The number of cells does not fall from one level to the next.
        fitting = bisect_right(range(self.level), limit, key=lambda level: len(np.unique(self._keys_at(level))))
        return self.coarsened(max(fitting - 1, 0))

    def _keys_at(self, level: int) -> np.ndarray:
        keys = _premultiplied_keys(self.keys) if self.exact else self.keys
        kept = keys & np.uint32(_mask(level))
        return np.where(keys >= _OPAQUE, kept | _OPAQUE, kept) if level else kept

    @staticmethod
    def _sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _sum_by_key(keys, values)


def count_colors(pixels: Pixels) -> ColorHistogram:
    """Count the colors of RGBA pixels uint8 (h, w, 4)."""
    flat = pixels.reshape(-1, 4)
    parts = []
    for start in range(0, len(flat), _BAND_PIXELS):
        colors, counts = np.unique(pack(flat[start : start + _BAND_PIXELS]), return_counts=True)
        parts.append(ColorHistogram(colors, counts.astype(np.int64)))
    return merge_histograms(parts)


def merge_histograms(parts: Sequence[ColorHistogram]) -> ColorHistogram:
    """Add histograms of parts of an image; the result is exact, and the same for any order of the parts."""
    if len(parts) == 1:
        return parts[0]
    colors = np.concatenate([part.colors for part in parts] or [np.empty(0, np.uint32)])
    counts = np.concatenate([part.counts for part in parts] or [np.empty(0, np.int64)])
    keys, sums = _sum_by_key(colors, counts[:, None])
    return ColorHistogram(keys, sums[:, 0])


def coarse_cells(histogram: ColorHistogram, limit: int = CELL_LIMIT) -> AlphaCells:
    """The cells of a histogram at the finest level that has at most ``limit`` of them."""
    if len(histogram) > max(limit, _BAND_PIXELS):
        # Part by part: sums take 64 bytes a color. A part has no coarser cells than the whole, and sums are exact.
        parts = (slice(start, start + _BAND_PIXELS) for start in range(0, len(histogram), _BAND_PIXELS))
        cut = (ColorHistogram(histogram.colors[part], histogram.counts[part]) for part in parts)
        return merge_cells([coarse_cells(part, limit) for part in cut], limit)
    sums = coordinates(histogram.colors) * histogram.counts[:, None]
    return AlphaCells(AlphaCells.EXACT, histogram.colors, sums, histogram.counts).within(limit)


def merge_cells(parts: Sequence[Cells], limit: int = CELL_LIMIT) -> AlphaCells:
    """See ``Cells.merged``; the parts are of ``coarse_cells``."""
    return AlphaCells.merged(parts, limit)


def _premultiplied_keys(colors: np.ndarray) -> np.ndarray:
    """Packed premultiplied colors uint32 (n,) of packed colors uint32 (n,)."""
    channels = unpack(colors).astype(np.uint32)
    alpha = channels[:, 3]
    red, green, blue = ((channels[:, i] * alpha + 127) // 255 for i in range(3))
    return alpha << 24 | red << 16 | green << 8 | blue


def _mask(level: int) -> int:
    """Keep ``level`` of 32 bits: blue, red, green and alpha lose their lowest remaining bit in turn."""
    dropped = 32 - level
    blue, red, green, alpha = ((dropped + 3 - turn) // 4 for turn in range(4))
    kept = [0xFF << bits & 0xFF for bits in (alpha, red, green, blue)]
    return kept[0] << 24 | kept[1] << 16 | kept[2] << 8 | kept[3]


def _sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys uint32, ascending, and the sums of their values int64 (n, m)."""
    if len(keys) == 0:
        return keys, values
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(values[order], starts, axis=0)
