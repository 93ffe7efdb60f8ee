"""Encoding an index map and its palette as an indexed PNG.

How the bytes come about, and the measurements behind each choice: ``docs/encoding.md``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import oxipng

from colorquant.palette_order import luminance_order, neighbor_order, transparent_first

# Up to here candidates are judged on the whole picture; above, on rows that add up to this.
_FULL_TRIAL_PIXELS = 1 << 20
_SAMPLE_BANDS = 16

# Levels of libdeflate. 12 costs twice to three times as long as 10 and saves 1 %. 10 is the first that seeks the best
# sequence of matches; the levels below prefer other candidates than those that become smallest.
_JUDGING_LEVEL = 10
_BEST_LEVEL = 12
# Level 11 is now and then better than 12 where rows have no filter.
_OTHER_LEVEL = 11
# Sizes that far apart may change places when the level does: the best few are compressed to the end then.
_CLOSE = 1.02
_FINALISTS = 3
_LARGE_LEVEL = 10
_LARGE_PIXELS = 1 << 22

# Bit depths of grey PNGs, and what one step of their levels is.
_GREY_STEPS = ((1, 255), (2, 85), (4, 17), (8, 1))
# Of levels, unlike of indexes, a mean of neighbors means something.
_GREY_FILTERS = (
    oxipng.RowFilter.Entropy,
    oxipng.RowFilter.MinSum,
    oxipng.RowFilter.Average,
    oxipng.RowFilter.NoOp,
)

# What oxipng leaves alone: it would turn grey palettes into grayscale and tiny images into RGB or 8 bits per pixel.
_AS_GIVEN: dict[str, Any] = {
    "bit_depth_reduction": False,
    "color_type_reduction": False,
    "palette_reduction": False,
    "grayscale_reduction": False,
}

Palette = npt.NDArray[np.uint8]
IndexMap = npt.NDArray[np.uint8]


def encode_indexed_png(palette: Palette, indexes: IndexMap) -> bytes:
    """Encode as a PNG of color type 3 at the least bit depth (1, 2, 4 or 8) that holds the palette.

    Where all colors are grey and that is smaller, as one of color type 0, which needs no palette.

    Instead of 4 bits it may be 8 where that file is smaller: DEFLATE matches bytes, and two pixels in one byte hide
    what repeats. Palette entries that no pixel uses are dropped. The bytes depend on the picture alone: not on the
    order of the palette's entries, nor on threads. The palette is ordered by luminance, with and without row filters,
    and by neighborhood (`palette_order.neighbor_order`); the smallest file wins.

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha, 1 <= k <= 256
    indexes : uint8 (H, W)
        Each below k.

    Raises
    ------
    ValueError
        Where the shapes or dtypes are not as above, or an index is out of the palette.
    """
    by_luminance = _by_luminance(palette, indexes)
    by_neighborhood = _by_neighborhood(by_luminance)
    edge_first = by_luminance.reordered(_edge_color_first(by_luminance))
    least = by_luminance.bit_depth
    plain = (edge_first.at(least), oxipng.RowFilter.NoOp)
    candidates: list[_Candidate] = [plain]
    for depth in (4, 8) if least == 4 else (least,):
        candidates += [(picture.at(depth), filters) for picture in by_neighborhood for filters in _filters(depth)]
        candidates.append((by_luminance.at(depth), oxipng.RowFilter.Entropy))
        if depth != least:
            candidates.append((edge_first.at(depth), oxipng.RowFilter.NoOp))
    if grey := _as_grey(by_luminance):
        candidates += [(grey, row_filter) for row_filter in _GREY_FILTERS]
    judged = sorted(((_judged_size(candidate), number) for number, candidate in enumerate(candidates)))
    close = [number for size, number in judged if size <= _CLOSE * judged[0][0]]
    if indexes.size > _FULL_TRIAL_PIXELS:
        return _compressed(*candidates[close[0]], _BEST_LEVEL if indexes.size <= _LARGE_PIXELS else _LARGE_LEVEL)
    files = [_compressed(*candidates[number], _BEST_LEVEL) for number in close[:_FINALISTS]]
    if 0 in close:
        files.append(_compressed(*plain, _OTHER_LEVEL))
    return min(files, key=len)


@dataclass(frozen=True)
class _Picture:
    palette: Palette
    indexes: IndexMap
    bit_depth: int
    grey: bool = False
    """Whether ``indexes`` are grey levels, in steps of 255 / (2^bit_depth - 1), and not of the palette."""

    def reordered(self, order: npt.NDArray[np.intp]) -> "_Picture":
        rank = np.zeros(256, dtype=np.uint8)
        rank[order] = np.arange(len(order))
        return replace(self, palette=self.palette[order], indexes=rank[self.indexes])

    def at(self, bit_depth: int) -> "_Picture":
        return replace(self, bit_depth=bit_depth)

    def sample(self) -> "_Picture":
        """Bands of rows spread over the picture that have `_FULL_TRIAL_PIXELS` together; all of a smaller one."""
        height, width = self.indexes.shape
        if height * width <= _FULL_TRIAL_PIXELS:
            return self
        rows = max(1, _FULL_TRIAL_PIXELS // _SAMPLE_BANDS // width)
        tops = np.linspace(0, max(0, height - rows), _SAMPLE_BANDS, dtype=int)
        kept = np.unique(np.concatenate([np.arange(top, min(height, top + rows)) for top in tops]))
        return replace(self, indexes=self.indexes[kept])


_Candidate = tuple[_Picture, oxipng.RowFilter]


def _by_luminance(palette: Palette, indexes: IndexMap) -> _Picture:
    """The same picture by the distinct colors that it uses, in the order of luminance."""
    if palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] not in (3, 4) or not 1 <= len(palette) <= 256:
        raise ValueError(f"a palette is uint8 (k, 3 or 4) with k from 1 to 256, not {palette.dtype} {palette.shape}")
    if indexes.dtype != np.uint8 or indexes.ndim != 2 or indexes.size == 0:
        raise ValueError(f"an index map is uint8 (H, W), not {indexes.dtype} {indexes.shape}")
    # By rows: numpy counts in 64-bit copies of what it is given.
    occurrences = sum(np.bincount(row, minlength=256) for row in indexes)
    used = np.flatnonzero(occurrences)
    if used[-1] >= len(palette):
        raise ValueError(f"index {used[-1]} is not in a palette of {len(palette)} colors")
    colors, position = np.unique(palette[used], axis=0, return_inverse=True)
    order = luminance_order(colors)
    rank = np.argsort(order).astype(np.uint8)
    new_index = np.zeros(256, dtype=np.uint8)
    new_index[used] = rank[position.ravel()]
    bit_depth = next(depth for depth in (1, 2, 4, 8) if len(colors) <= 1 << depth)
    return _Picture(colors[order], new_index[indexes], bit_depth)


def _by_neighborhood(picture: _Picture) -> list[_Picture]:
    """By neighborhood; with alpha also with transparent entries first, which shortens the list of alphas."""
    palette = picture.palette
    order = neighbor_order(picture.indexes, len(palette))
    orders = [order] if palette.shape[1] == 3 else [order, transparent_first(order, palette)]
    return [picture.reordered(order) for order in orders]


def _as_grey(picture: _Picture) -> _Picture | None:
    """The grey levels themselves at the least bit depth that has them; None for a picture that is not all grey."""
    levels = picture.palette[:, 0]
    if picture.palette.shape[1] == 4 or (picture.palette != levels[:, None]).any():
        return None
    depth, step = next((depth, step) for depth, step in _GREY_STEPS if not (levels % step).any())
    return _Picture(picture.palette, (levels // step)[picture.indexes], depth, grey=True)


def _filters(bit_depth: int) -> tuple[oxipng.RowFilter, ...]:
    """By least entropy of each row, and by trial compression of the last rows; Sub for all rows only of whole bytes."""
    adaptive = (oxipng.RowFilter.Entropy, oxipng.RowFilter.Brute)
    return (*adaptive, oxipng.RowFilter.Sub) if bit_depth == 8 else adaptive


def _edge_color_first(picture: _Picture) -> npt.NDArray[np.intp]:
    """The order that the palette has, but for one color: the most frequent one at the picture's left and right edges.

    Index 0 is also the byte before each row that says "no filter". Where it continues the run of pixels around the
    line break, a picture of few colors gets up to 1 % smaller (the idea is oxipng's).
    """
    colors = len(picture.palette)
    first = int(np.argmax(np.bincount(picture.indexes[:, [0, -1]].ravel(), minlength=colors)))
    return np.array([first, *(other for other in range(colors) if other != first)])


def _judged_size(candidate: _Candidate) -> int:
    picture, row_filter = candidate
    return len(_compressed(picture.sample(), row_filter, _JUDGING_LEVEL))


def _compressed(picture: _Picture, row_filter: oxipng.RowFilter, level: int) -> bytes:
    height, width = picture.indexes.shape
    colors = [(*color, 255)[:4] for color in picture.palette.tolist()]
    image = oxipng.RawImage(
        b"".join(_packed_rows(picture)),
        width,
        height,
        color_type=oxipng.ColorType.grayscale() if picture.grey else oxipng.ColorType.indexed(colors),
        bit_depth=picture.bit_depth,
    )
    return image.create_optimized_png(filter=[row_filter], deflate=oxipng.Deflaters.libdeflater(level), **_AS_GIVEN)


def _packed_rows(picture: _Picture) -> Iterator[bytes]:
    """Rows of pixels as PNG has them: the leftmost pixel in the high bits, each row filled up to a whole byte."""
    per_byte = 8 // picture.bit_depth
    shifts = np.arange(8 - picture.bit_depth, -1, -picture.bit_depth, dtype=np.uint8)
    width = picture.indexes.shape[1]
    filler = np.zeros(-width % per_byte, dtype=np.uint8)
    for row in picture.indexes:
        slots = np.concatenate([row, filler]).reshape(-1, per_byte)
        yield np.bitwise_or.reduce(slots << shifts, axis=1).tobytes()
