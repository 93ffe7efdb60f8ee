"""Encoding an index map and its palette as an indexed PNG.

How the bytes come about, and the measurements behind each choice: ``docs/encoding.md``.
"""

import math
from dataclasses import dataclass, replace
from operator import itemgetter

import imagecodecs
import numpy as np

from colorquant.encode.indexed_picture import IndexedPicture, IndexMap, Order, Palette, by_luminance, in_each_order
from colorquant.encode.png_chunks import png_file
from colorquant.encode.row_filters import RowFilter, filtered, packed

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
_PROMISING = 1.04

_Try = tuple[Order, RowFilter, float]


@dataclass(frozen=True)
class _Contest:
    """Orders and filters of which the most promising are compressed to the end: so many, no farther apart than that.

    Those in one group make much the same rows, so only the better of them is compressed. With each comes the size that
    the best level makes of it, as a part of the judging level's: about the mean of Kodak images and crops of them.
    """

    groups: tuple[tuple[_Try, ...], ...]
    finalists: int = 1
    margin: float = 1.0
    bit_depth: int | None = None


_OF_BITS = _Contest(
    (
        ((Order.EDGE_FIRST, RowFilter.NONE, 0.95),),
        ((Order.LUMINANCE, RowFilter.UP, 0.90),),
        ((Order.NEIGHBORHOOD, RowFilter.STEADY, 0.905),),
    ),
    finalists=2,
    margin=1.06,
)
_OF_NIBBLES = _Contest(
    (
        ((Order.EDGE_FIRST, RowFilter.NONE, 0.96),),
        ((Order.NEIGHBORHOOD, RowFilter.STEADY, 0.92),),
    ),
    finalists=2,
    margin=1.04,
)
_OF_BYTES_INSTEAD = _Contest(
    (
        ((Order.EDGE_FIRST, RowFilter.NONE, 0.90),),
        ((Order.NEIGHBORHOOD, RowFilter.ENTROPY, 0.867),),
        ((Order.NEIGHBORHOOD, RowFilter.SUB, 0.882),),
        ((Order.LUMINANCE, RowFilter.ENTROPY, 0.885),),
    ),
    bit_depth=8,
)
_OF_BYTES = _Contest(
    (
        ((Order.NEIGHBORHOOD, RowFilter.ENTROPY, 0.91), (Order.NEIGHBORHOOD, RowFilter.STEADY, 0.91)),
        ((Order.NEIGHBORHOOD, RowFilter.SUB, 0.93),),
        ((Order.EDGE_FIRST, RowFilter.NONE, 0.945),),
    ),
    finalists=2,
    margin=1.015,
)
# Of levels, unlike of indexes, a mean of neighbors means something.
_OF_GREYS = _Contest(
    (
        ((Order.GREY, RowFilter.NONE, 0.92),),
        ((Order.GREY, RowFilter.AVERAGE, 0.92),),
        ((Order.GREY, RowFilter.ENTROPY, 0.91),),
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
    picture = by_luminance(palette, indexes)
    pictures = in_each_order(picture)
    level = _BEST_LEVEL if indexes.size <= _LARGE_PIXELS else _LARGE_LEVEL
    best = b""
    for contest in [*_CONTESTS[picture.bit_depth], *([_OF_GREYS] if pictures[Order.GREY] else [])]:
        for candidate in _finalists(contest, pictures, _PROMISING * len(best) if best else math.inf):
            encoded = candidate.encoded(level)
            best = min(best or encoded, encoded, key=len)
    return best


@dataclass(frozen=True)
class _Candidate:
    picture: IndexedPicture
    row_filter: RowFilter
    gain: float

    def expected_size(self) -> float:
        """Bytes of the compressed rows, as a sample of them at the judging level makes one expect."""
        return self.gain * self.sampled_size(_JUDGING_LEVEL)

    def sampled_size(self, level: int) -> float:
        """Bytes of the rows at a level, by a sample of them."""
        sample = _sample(self.picture)
        return len(_compressed(sample, self.row_filter, level)) * len(self.picture.indexes) / len(sample.indexes)

    def encoded(self, level: int) -> bytes:
        """The whole file."""
        picture = self.picture
        height, width = picture.indexes.shape
        palette = None if picture.grey else picture.palette
        return png_file(width, height, picture.bit_depth, palette, _compressed(picture, self.row_filter, level))


def _finalists(contest: _Contest, pictures: dict[Order, list[IndexedPicture]], limit: float) -> list[_Candidate]:
    """The candidates of a contest that are worth compressing, the best first; none that is expected above the limit.

    Of a picture above `_FULL_TRIAL_PIXELS` one at most: its finalists are compared on the sample.
    """
    best_of_groups = []
    for group in contest.groups:
        candidates = [
            _Candidate(picture if contest.bit_depth is None else picture.at(contest.bit_depth), row_filter, gain)
            for order, row_filter, gain in group
            for picture in pictures[order]
        ]
        expected = [candidate.expected_size() for candidate in candidates]
        best_of_groups.append(min(zip(expected, candidates, strict=True), key=itemgetter(0)))
    best_of_groups.sort(key=itemgetter(0))
    most = min(limit, contest.margin * best_of_groups[0][0])
    finalists = [candidate for size, candidate in best_of_groups[: contest.finalists] if size <= most]
    if len(finalists) > 1 and finalists[0].picture.indexes.size > _FULL_TRIAL_PIXELS:
        return [min(finalists, key=lambda candidate: candidate.sampled_size(_LARGE_LEVEL))]
    return finalists


def _sample(picture: IndexedPicture) -> IndexedPicture:
    """Bands of rows spread over the picture that have `_FULL_TRIAL_PIXELS` together; all of a smaller one."""
    height, width = picture.indexes.shape
    if height * width <= _FULL_TRIAL_PIXELS:
        return picture
    rows = max(1, _FULL_TRIAL_PIXELS // _SAMPLE_BANDS // width)
    tops = np.linspace(0, max(0, height - rows), _SAMPLE_BANDS, dtype=int)
    kept = np.unique(np.concatenate([np.arange(top, min(height, top + rows)) for top in tops]))
    return replace(picture, indexes=picture.indexes[kept])


def _compressed(picture: IndexedPicture, row_filter: RowFilter, level: int) -> bytes:
    rows = filtered(packed(picture.written(), picture.bit_depth), row_filter)
    # It takes any buffer, whatever its annotation says.
    return bytes(imagecodecs.deflate_encode(rows, level, raw=False))  # type: ignore[arg-type]
