"""An indexed picture, and the orders its palette can have."""

from dataclasses import dataclass, replace
from enum import Enum, auto

import cv2
import numpy as np
import numpy.typing as npt

from colorquant.encode.palette_order import hue_order, luminance_order, neighbor_order, transparent_first

# Pixels that numpy counts at a time: it does so in 64-bit copies.
_PART = 1 << 20

# Bit depths of grey PNGs, and what one step of their levels is.
_GREY_STEPS = ((1, 255), (2, 85), (4, 17), (8, 1))

Palette = npt.NDArray[np.uint8]
IndexMap = npt.NDArray[np.uint8]


class Order(Enum):
    """In what order the palette is, or that there is none: the rows are grey levels."""

    LUMINANCE = auto()
    EDGE_FIRST = auto()
    NEIGHBORHOOD = auto()
    HUE = auto()
    GREY = auto()


@dataclass(frozen=True)
class IndexedPicture:
    """A palette, an index map, uint8 (H, W), and the bits of a pixel."""

    palette: Palette
    indexes: IndexMap
    bit_depth: int
    written_as: npt.NDArray[np.uint8] | None = None
    """What each index is in the file, uint8 (256,); None: itself. The index map is turned into that only when it is
    compressed: an image may be large, and has many orders."""
    grey: bool = False
    """Whether that are grey levels, in steps of 255 / (2^bit_depth - 1), and not entries of the palette."""

    def reordered(self, order: npt.NDArray[np.intp]) -> "IndexedPicture":
        """The same picture with its palette in another order."""
        rank = np.zeros(256, dtype=np.uint8)
        rank[order] = np.arange(len(order))
        return replace(self, palette=self.palette[order], written_as=rank)

    def at(self, bit_depth: int) -> "IndexedPicture":
        """The same picture at another bit depth."""
        return replace(self, bit_depth=bit_depth)

    def written(self) -> IndexMap:
        """The index map as it is in the file."""
        if self.written_as is None:
            return self.indexes
        return np.asarray(cv2.LUT(self.indexes, self.written_as), np.uint8)  # A third of numpy's time.


def in_each_order(picture: IndexedPicture) -> dict[Order, list[IndexedPicture]]:
    """The picture in each order, given that of luminance; by neighborhood, with alpha, there are two."""
    grey = _as_grey(picture)
    return {
        Order.LUMINANCE: [picture],
        Order.EDGE_FIRST: [picture.reordered(_edge_color_first(picture))],
        Order.HUE: [picture.reordered(transparent_first(hue_order(picture.palette), picture.palette))],
        Order.NEIGHBORHOOD: _by_neighborhood(picture),
        Order.GREY: [] if grey is None else [grey],
    }


def as_given(palette: Palette, indexes: IndexMap) -> IndexedPicture:
    """The picture with every entry of its palette, in the order that they have.

    Parameters and errors as of ``indexed_png.encode_indexed_png``.
    """
    _check(palette, indexes)
    if (last := int(indexes.max())) >= len(palette):
        raise ValueError(f"index {last} is not in a palette of {len(palette)} colors")
    return IndexedPicture(palette, indexes, _least_bit_depth(len(palette)))


def by_luminance(palette: Palette, indexes: IndexMap) -> IndexedPicture:
    """The picture by the distinct colors that it uses, in the order of luminance, at the least bit depth.

    Parameters and errors as of ``indexed_png.encode_indexed_png``.
    """
    _check(palette, indexes)
    used = _used_entries(indexes)
    if used[-1] >= len(palette):
        raise ValueError(f"index {used[-1]} is not in a palette of {len(palette)} colors")
    colors, color_of_used = np.unique(palette[used], axis=0, return_inverse=True)
    order = luminance_order(colors)
    new_index = np.zeros(256, dtype=np.uint8)
    new_index[used] = np.argsort(order)[color_of_used.ravel()]
    return IndexedPicture(colors[order], new_index[indexes], _least_bit_depth(len(colors)))


def _check(palette: Palette, indexes: IndexMap) -> None:
    if palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] not in (3, 4) or not 1 <= len(palette) <= 256:
        raise ValueError(f"a palette is uint8 (k, 3 or 4) with k from 1 to 256, not {palette.dtype} {palette.shape}")
    if indexes.dtype != np.uint8 or indexes.ndim != 2 or indexes.size == 0:
        raise ValueError(f"an index map is uint8 (H, W), not {indexes.dtype} {indexes.shape}")


def _used_entries(indexes: IndexMap) -> npt.NDArray[np.intp]:
    """The entries that pixels have, ascending."""
    flat = indexes.ravel()
    parts = (flat[start : start + _PART] for start in range(0, flat.size, _PART))
    return np.flatnonzero(sum(np.bincount(part, minlength=256) for part in parts))


def _least_bit_depth(colors: int) -> int:
    return next(depth for depth in (1, 2, 4, 8) if colors <= 1 << depth)


def _by_neighborhood(picture: IndexedPicture) -> list[IndexedPicture]:
    """By neighborhood; with alpha also with transparent entries first, which shortens the list of alphas."""
    palette = picture.palette
    order = neighbor_order(picture.indexes, len(palette))
    orders = [order] if palette.shape[1] == 3 else [order, transparent_first(order, palette)]
    return [picture.reordered(order) for order in orders]


def _as_grey(picture: IndexedPicture) -> IndexedPicture | None:
    """The grey levels themselves at the least bit depth that has them; None for a picture that is not all grey."""
    levels = picture.palette[:, 0]
    if picture.palette.shape[1] == 4 or (picture.palette != levels[:, None]).any():
        return None
    depth, step = next((depth, step) for depth, step in _GREY_STEPS if not (levels % step).any())
    table = np.zeros(256, dtype=np.uint8)
    table[: len(levels)] = levels // step
    return replace(picture, bit_depth=depth, written_as=table, grey=True)


def _edge_color_first(picture: IndexedPicture) -> npt.NDArray[np.intp]:
    """The order that the palette has, but for one color: the most frequent one at the picture's left and right edges.

    Index 0 is also the byte before each row that says "no filter". Where it continues the run of pixels around the
    line break, a picture of few colors gets up to 1 % smaller (the idea is oxipng's).
    """
    colors = len(picture.palette)
    first = int(np.argmax(np.bincount(picture.indexes[:, [0, -1]].ravel(), minlength=colors)))
    return np.array([first, *(other for other in range(colors) if other != first)])
