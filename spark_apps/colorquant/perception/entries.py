"""The entries of a palette, as pixels look for theirs: in the eye's space, by nearness, by kind of pixel."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.alpha import pack
from colorquant.perception.eye_model import LIMIT, coordinates_of

# Candidates are looked up in boxes of the eye's space, of this many bits a side.
BOX_BITS = 6
BOXES = (LIMIT >> BOX_BITS) + 1
_CANDIDATES = 10
OPAQUE, TRANSPARENT, TRANSLUCENT = range(3)
"""Kinds of pixels, and the rows of the table of what entries they may take."""


@dataclass(frozen=True, eq=False)
class Entries:
    """The entries of a palette, as the search uses them.

    Attributes
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha; 1 <= k <= 256
    """

    palette: npt.NDArray[np.uint8]

    @cached_property
    def coordinates(self) -> npt.NDArray[np.int64]:
        """int64 (k, 3 or 6), as of ``coordinates_of``."""
        return coordinates_of(self.palette).astype(np.int64)

    @cached_property
    def near(self) -> npt.NDArray[np.uint8]:
        """The entries that are nearest to the middle of each box, uint8 (boxes, boxes, boxes, m).

        Only those that opaque pixels may take.
        """
        candidates = np.flatnonzero(self.allowed[OPAQUE])
        near = np.empty((BOXES, BOXES, BOXES, min(_CANDIDATES, len(candidates))), np.uint8)
        _fill_near(self.coordinates[candidates], near)
        return candidates.astype(np.uint8)[near]

    @cached_property
    def allowed(self) -> npt.NDArray[np.bool_]:
        """The entries that opaque, transparent, and other pixels may take, bool (3, k).

        Opaque pixels take opaque entries, and fully transparent ones fully transparent entries, if there are any.
        """
        allowed = np.ones((3, len(self.palette)), np.bool_)
        if self.palette.shape[1] == 4:
            for kind, alpha in ((OPAQUE, 255), (TRANSPARENT, 0)):
                if (self.palette[:, 3] == alpha).any():
                    allowed[kind] = self.palette[:, 3] == alpha
        return allowed

    def exact(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
        """For pixels uint8 (h, W, 3 or 4) the entry of exactly their color, int16 (h, W); -1 if there is none."""
        entries, colors = _packed(self.palette), _packed(pixels)
        order = np.argsort(entries, kind="stable")
        found = order[np.minimum(np.searchsorted(entries, colors, sorter=order), len(order) - 1)]
        return np.where(entries[found] == colors, found, -1).astype(np.int16).reshape(pixels.shape[:2])


def _packed(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    if colors.shape[-1] == 4:
        return pack(colors)
    return colors.reshape(-1, 3).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)


@njit(cache=True, nogil=True)
def _fill_near(entries, near):  # type: ignore[no-untyped-def]
    wanted = near.shape[3]
    nearest = np.empty(wanted, np.int64)
    half = 1 << BOX_BITS >> 1
    for a in range(BOXES):
        for b in range(BOXES):
            for c in range(BOXES):
                found = 0
                for j in range(len(entries)):
                    x = (a << BOX_BITS) + half - entries[j, 0]
                    y = (b << BOX_BITS) + half - entries[j, 1]
                    z = (c << BOX_BITS) + half - entries[j, 2]
                    distance = x * x + y * y + z * z
                    if found < wanted:
                        found += 1
                    elif distance >= nearest[wanted - 1]:
                        continue
                    rank = found - 1
                    while rank > 0 and nearest[rank - 1] > distance:
                        nearest[rank], near[a, b, c, rank] = nearest[rank - 1], near[a, b, c, rank - 1]
                        rank -= 1
                    nearest[rank], near[a, b, c, rank] = distance, j
