"""Cells: a bounded summary of a color histogram for the global search.

A cell is a box of the color cube with the exact integer sums of its pixels. Its level is how many of the 24
color bits it keeps (24: the cell is one color; each level below drops the lowest remaining bit of blue, red,
green in turn), so cells of parts can be coarsened and merged to exactly the cells of the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colorquant.histogram import ColorHistogram, count_distinct, sum_by_key, unpack_colors

EXACT = 24
CELL_LIMIT = 1 << 16


@dataclass(frozen=True, eq=False)
class Cells:
    """Occupied cells of one level.

    Attributes
    ----------
    level : int
        Color bits kept, 0 to 24; at 24 the cells are the exact colors.
    keys : uint32 (m,)
        Packed color with the dropped bits zero, ascending and distinct.
    sums : int64 (m, 3)
        Channel sums over the pixels of each cell.
    counts : int64 (m,)
        Pixels of each cell.
    """

    level: int
    keys: np.ndarray
    sums: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def exact(self) -> bool:
        """Whether every cell is one color."""
        return self.level == EXACT

    @property
    def means(self) -> np.ndarray:
        """float64 (m, 3): the mean color of each cell."""
        return self.sums / self.counts[:, None]


def coarse_cells(histogram: ColorHistogram, limit: int = CELL_LIMIT) -> Cells:
    """The finest cells of a histogram that are at most ``limit`` in number."""
    sums = unpack_colors(histogram.colors).astype(np.int64) * histogram.counts[:, None]
    return _coarsen_to(Cells(EXACT, histogram.colors, sums, histogram.counts), limit)


def merge_cells(parts: Sequence[Cells], limit: int = CELL_LIMIT) -> Cells:
    """Merge cells of parts, each bounded by the same limit, into the cells of the whole.

    A part has at most as many cells at a level as the whole, so it is never coarser than the whole will be:
    the result equals ``coarse_cells`` of the merged histogram, whatever the parts and their order.
    """
    level = min((part.level for part in parts if len(part)), default=EXACT)
    parts = [_coarsen(part, level) for part in parts if len(part)]
    if not parts:
        return Cells(EXACT, np.empty(0, np.uint32), np.empty((0, 3), np.int64), np.empty(0, np.int64))
    merged = _summed(
        level,
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )
    return _coarsen_to(merged, limit)


def _mask(level: int) -> int:
    dropped = EXACT - level
    blue, red, green = (dropped + 2) // 3, (dropped + 1) // 3, dropped // 3
    return (0xFF << red & 0xFF) << 16 | (0xFF << green & 0xFF) << 8 | (0xFF << blue & 0xFF)


def _coarsen_to(cells: Cells, limit: int) -> Cells:
    level = cells.level
    if len(cells) > limit:
        while level > 0 and count_distinct(cells.keys, _mask(level)) > limit:
            level -= 1
    return _coarsen(cells, level)


def _coarsen(cells: Cells, level: int) -> Cells:
    if level >= cells.level:
        return cells
    return _summed(level, cells.keys & np.uint32(_mask(level)), cells.sums, cells.counts)


def _summed(level: int, keys: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> Cells:
    keys, rows = sum_by_key(keys, np.column_stack([sums, counts]))
    return Cells(level, keys, np.ascontiguousarray(rows[:, :3]), np.ascontiguousarray(rows[:, 3]))
