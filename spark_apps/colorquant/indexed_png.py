"""Encoding an index map and its palette as an indexed PNG.

How the bytes come about, and the measurements behind each choice: ``docs/encoding.md``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

import imagecodecs
import numpy as np
import numpy.typing as npt

from colorquant.palette_order import luminance_order, neighbor_order, transparent_first
from colorquant.png_chunks import png_file
from colorquant.row_filters import RowFilter, filtered, packed

# Up to here candidates are judged on the whole picture; above, on rows that add up to this.
_FULL_TRIAL_PIXELS = 1 << 20
_SAMPLE_BANDS = 16

# Levels of libdeflate. Judging by 6 takes a twentieth of the time of 12, the best, on pixels of a byte.
_JUDGING_LEVEL = 6
_BEST_LEVEL = 12
_LARGE_LEVEL = 10
_LARGE_PIXELS = 1 << 22
# A file of a later contest is tried where no larger is expected than that, as a part of the best so far: what is
# expected of one picture is wrong by 2 to 3 %.
_PROMISING = 1.06

# Bit depths of grey PNGs, and what one step of their levels is.
_GREY_STEPS = ((1, 255), (2, 85), (4, 17), (8, 1))

Palette = npt.NDArray[np.uint8]
IndexMap = npt.NDArray[np.uint8]


class _Order(Enum):
    """In what order the palette is, or that there is none: the rows are grey levels."""

    LUMINANCE = auto()
    EDGE_FIRST = auto()
    NEIGHBORHOOD = auto()
    GREY = auto()


@dataclass(frozen=True)
class _Contest:
    """Orders and filters of which the most promising are compressed to the end: so many, no farther apart than that.

    With each comes the size that the best level makes of it, as a part of the judging level's: the mean over 312 index
    maps of the Kodak images and of crops of them.
    """

    tries: tuple[tuple[_Order, RowFilter, float], ...]
    finalists: int = 1
    margin: float = 1.0
    bit_depth: int | None = None


_OF_BITS = _Contest(
    (
        (_Order.EDGE_FIRST, RowFilter.NONE, 0.95),
        (_Order.LUMINANCE, RowFilter.UP, 0.90),
        (_Order.NEIGHBORHOOD, RowFilter.NONE, 0.95),
        (_Order.NEIGHBORHOOD, RowFilter.UP, 0.90),
    ),
    finalists=4,
    margin=1.06,
)
_OF_NIBBLES = _Contest(
    (
        (_Order.EDGE_FIRST, RowFilter.NONE, 0.96),
        (_Order.NEIGHBORHOOD, RowFilter.STEADY, 0.92),
        (_Order.NEIGHBORHOOD, RowFilter.UP, 0.915),
    )
)
_OF_BYTES_INSTEAD = _Contest(
    (
        (_Order.EDGE_FIRST, RowFilter.NONE, 0.90),
        (_Order.NEIGHBORHOOD, RowFilter.ENTROPY, 0.867),
        (_Order.NEIGHBORHOOD, RowFilter.SUB, 0.882),
        (_Order.LUMINANCE, RowFilter.ENTROPY, 0.885),
    ),
    bit_depth=8,
)
_OF_BYTES = _Contest(
    (
        (_Order.NEIGHBORHOOD, RowFilter.ENTROPY, 0.91),
        (_Order.NEIGHBORHOOD, RowFilter.STEADY, 0.91),
        (_Order.NEIGHBORHOOD, RowFilter.SUB, 0.93),
        (_Order.LUMINANCE, RowFilter.ENTROPY, 0.945),
    ),
    finalists=2,
    margin=1.01,
)
# Of levels, unlike of indexes, a mean of neighbors means something.
_OF_GREYS = _Contest(
    (
        (_Order.GREY, RowFilter.NONE, 0.92),
        (_Order.GREY, RowFilter.AVERAGE, 0.92),
        (_Order.GREY, RowFilter.ENTROPY, 0.91),
    )
)
_CONTESTS = {1: [_OF_BITS], 2: [_OF_BITS], 4: [_OF_NIBBLES, _OF_BYTES_INSTEAD], 8: [_OF_BYTES]}


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
    pictures = _pictures(by_luminance)
    level = _BEST_LEVEL if indexes.size <= _LARGE_PIXELS else _LARGE_LEVEL
    best = b""
    for contest in [*_CONTESTS[by_luminance.bit_depth], *([_OF_GREYS] if pictures[_Order.GREY] else [])]:
        for candidate in _finalists(contest, pictures, _PROMISING * len(best) if best else math.inf):
            encoded = candidate.encoded(level)
            best = min(best or encoded, encoded, key=len)
    return best


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


@dataclass(frozen=True)
class _Candidate:
    picture: _Picture
    row_filter: RowFilter
    gain: float

    def expected_size(self) -> float:
        """Bytes of the compressed rows, as a sample of them at the judging level makes one expect."""
        sample = self.picture.sample()
        size = len(_compressed(sample, self.row_filter, _JUDGING_LEVEL))
        return self.gain * size * len(self.picture.indexes) / len(sample.indexes)

    def encoded(self, level: int) -> bytes:
        """The whole file."""
        picture = self.picture
        height, width = picture.indexes.shape
        palette = None if picture.grey else picture.palette
        return png_file(width, height, picture.bit_depth, palette, _compressed(picture, self.row_filter, level))


def _finalists(contest: _Contest, pictures: dict[_Order, list[_Picture]], limit: float) -> Iterator[_Candidate]:
    """The candidates of a contest that are worth compressing, the best first; none that is expected above the limit."""
    candidates = [
        _Candidate(picture if contest.bit_depth is None else picture.at(contest.bit_depth), row_filter, gain)
        for order, row_filter, gain in contest.tries
        for picture in pictures[order]
    ]
    large = candidates[0].picture.indexes.size > _FULL_TRIAL_PIXELS
    expected = sorted((candidate.expected_size(), number) for number, candidate in enumerate(candidates))
    most = min(limit, contest.margin * expected[0][0])
    for size, number in expected[: 1 if large else contest.finalists]:
        if size <= most:
            yield candidates[number]


def _pictures(by_luminance: _Picture) -> dict[_Order, list[_Picture]]:
    """The picture in each order; by neighborhood, with alpha, in two (``_by_neighborhood``)."""
    grey = _as_grey(by_luminance)
    return {
        _Order.LUMINANCE: [by_luminance],
        _Order.EDGE_FIRST: [by_luminance.reordered(_edge_color_first(by_luminance))],
        _Order.NEIGHBORHOOD: _by_neighborhood(by_luminance),
        _Order.GREY: [] if grey is None else [grey],
    }


def _by_luminance(palette: Palette, indexes: IndexMap) -> _Picture:
    """The same picture by the distinct colors that it uses, in the order of luminance."""
    if palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] not in (3, 4) or not 1 <= len(palette) <= 256:
        raise ValueError(f"a palette is uint8 (k, 3 or 4) with k from 1 to 256, not {palette.dtype} {palette.shape}")
    if indexes.dtype != np.uint8 or indexes.ndim != 2 or indexes.size == 0:
        raise ValueError(f"an index map is uint8 (H, W), not {indexes.dtype} {indexes.shape}")
    # By parts: numpy counts in 64-bit copies of what it is given.
    flat = indexes.ravel()
    parts = (flat[start : start + _FULL_TRIAL_PIXELS] for start in range(0, flat.size, _FULL_TRIAL_PIXELS))
    occurrences = sum(np.bincount(part, minlength=256) for part in parts)
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


def _edge_color_first(picture: _Picture) -> npt.NDArray[np.intp]:
    """The order that the palette has, but for one color: the most frequent one at the picture's left and right edges.

    Index 0 is also the byte before each row that says "no filter". Where it continues the run of pixels around the
    line break, a picture of few colors gets up to 1 % smaller (the idea is oxipng's).
    """
    colors = len(picture.palette)
    first = int(np.argmax(np.bincount(picture.indexes[:, [0, -1]].ravel(), minlength=colors)))
    return np.array([first, *(other for other in range(colors) if other != first)])


def _compressed(picture: _Picture, row_filter: RowFilter, level: int) -> bytes:
    rows = filtered(packed(picture.indexes, picture.bit_depth), row_filter)
    # It takes any buffer, whatever its annotation says.
    return bytes(imagecodecs.deflate_encode(rows, level, raw=False))  # type: ignore[arg-type]
