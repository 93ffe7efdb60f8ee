"""Cells: a summary of a color histogram, of limited size, for the centroid search.

A cell is a box of the color cube with the exact integer sums of its pixels. Its level is the number of the 24 color
bits that it keeps. At level 24 a cell is one color; each lower level drops the lowest remaining bit of blue, red, and
green in turn. So cells of parts can be coarsened and merged to exactly the cells of the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from colorquant.colors.histogram import ColorHistogram, count_distinct, sum_by_key, unpack_colors

#: The largest number of cells, by default.
CELL_LIMIT = 1 << 16


@dataclass(frozen=True, eq=False)
class Cells:
    """Occupied cells of one level.

    Attributes
    ----------
    level : int
        Color bits kept, 0 to ``EXACT``; at ``EXACT`` every cell is one color.
    keys : uint32 (m,)
        Packed colors with the dropped bits zero, ascending and distinct.
    sums : int64 (m, d)
        Sums over the pixels of each cell, of each of the d coordinates of a color.
    counts : int64 (m,)
        Pixels of each cell.
    """

    EXACT: ClassVar[int] = 24

    level: int
    keys: np.ndarray
    sums: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def exact(self) -> bool:
        """Whether every cell is one color."""
        return self.level == self.EXACT

    @property
    def means(self) -> np.ndarray:
        """float64 (m, d): the mean color of each cell."""
        return self.sums / self.counts[:, None]

    @classmethod
    def merged(cls, parts: "Sequence[Cells]", limit: int) -> Self:
        """Merge the cells of the parts of a histogram.

        A part has at most as many cells at a level as the whole, so it is never coarser than the whole will be:
        the result equals the cells of the merged histogram, for any parts in any order.

        Parameters
        ----------
        parts : sequence of cells of this class
            At least one, each made with the same limit.
        limit : int
            The largest number of cells.
        """
        level = min((part.level for part in parts if len(part)), default=cls.EXACT)
        parts = [part.coarsened(level) for part in parts if len(part)] or list(parts[:1])
        merged = cls._summed(
            level,
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )
        return merged.within(limit)

    def within(self, limit: int) -> Self:
        """These cells, coarsened by as few levels as it takes to have at most ``limit``."""
        level = self.level
        if len(self) > limit:
            while level > 0 and count_distinct(self.keys, _mask(level)) > limit:
                level -= 1
        return self.coarsened(level)

    def coarsened(self, level: int) -> Self:
        """These cells at a lower level; the same cells where ``level`` is not lower."""
        if level >= self.level:
            return self
        return self._summed(level, self._keys_at(level), self.sums, self.counts)

    def _keys_at(self, level: int) -> np.ndarray:
        return self.keys & np.uint32(_mask(level))

    @classmethod
    def _summed(cls, level: int, keys: np.ndarray, sums: np.ndarray, counts: np.ndarray) -> Self:
        keys, rows = cls._sum_by_key(keys, np.column_stack([sums, counts]))
        return cls(level, keys, np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, -1]))

    @staticmethod
    def _sum_by_key(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sum_by_key(keys, values)


def coarse_cells(histogram: ColorHistogram, limit: int = CELL_LIMIT) -> Cells:
    """The cells of a histogram at the finest level that has at most ``limit`` of them."""
    sums = unpack_colors(histogram.colors).astype(np.int64) * histogram.counts[:, None]
    return Cells(Cells.EXACT, histogram.colors, sums, histogram.counts).within(limit)


def merge_cells(parts: Sequence[Cells], limit: int = CELL_LIMIT) -> Cells:
    """See ``Cells.merged``."""
    return Cells.merged(parts, limit)


def _mask(level: int) -> int:
    """The bits of a packed color that are kept at a level."""
    dropped = Cells.EXACT - level
    blue, red, green = (dropped + 2) // 3, (dropped + 1) // 3, dropped // 3
    return (0xFF << red & 0xFF) << 16 | (0xFF << green & 0xFF) << 8 | (0xFF << blue & 0xFF)
