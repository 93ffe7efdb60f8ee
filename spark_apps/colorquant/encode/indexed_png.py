"""Encoding an index map and its palette as an indexed PNG.

How the bytes come about, and the measurements behind each choice: ``docs/encoding.md``.
"""

import math
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import NamedTuple

import imagecodecs
import numpy as np

from colorquant.encode.indexed_picture import (
    IndexedPicture,
    IndexMap,
    Order,
    Palette,
    as_given,
    by_luminance,
    in_each_order,
)
from colorquant.encode.png_chunks import png_file
from colorquant.encode.row_filters import Filter, Filtering, Rows, Strategy, filtered, packed

# Up to here candidates are judged on the whole picture; above, on rows that add up to this.
_FULL_TRIAL_PIXELS = 3 << 19
_SAMPLE_BANDS = 16

# Levels of libdeflate. Judging by 6 takes a twentieth of the time of 12, the best, on pixels of a byte. Where pixels
# repeat, 6 misjudges, and 8 takes a thirtieth.
_JUDGING_LEVEL = 6
_FLAT_JUDGING_LEVEL = 8
_BEST_LEVEL = 12
_LARGE_LEVEL = 10
_LARGE_PIXELS = 1 << 22
# With high effort: 2.0 % smaller files of 13 graphics in 2.0 s. Three rounds: 1.9 % in 1.6 s, but some gain nothing.
_ZOPFLI_ITERATIONS = 5
# A file of a later contest is tried where no larger is expected than that, as a part of the best so far: what is
# expected of one picture is wrong by 2 to 3 %.
_PROMISING = 1.04

# A picture is flat where the judging level leaves at most that part of the bits of its pixels: of a small one
# more, since it costs less there. A tiny one is treated alike.
_FLAT = 1 / 7
_SMALL_PIXELS, _SMALL_FLAT = 1 << 16, 0.3
_TINY_PIXELS = 1 << 14


class _Try(NamedTuple):
    """An order and a filtering; and the size that the best level makes of it, as a part of the judging level's.

    Gains are about the means of Kodak images and crops of them; of graphics for flat pictures.
    """

    order: Order
    filtering: Filtering
    gain: float
    whole_bytes: bool = False
    """Whether a pixel is a byte in any case."""


@dataclass(frozen=True)
class _Contest:
    """Tries of which the most promising are compressed to the end: so many, no farther apart than that.

    Those of one filtering and depth make much the same rows, so only the best of them is compressed.
    """

    tries: tuple[_Try, ...]
    finalists: int = 1
    margin: float = 1.0
    judging_level: int = _JUDGING_LEVEL


_OF_BITS = _Contest(
    (
        _Try(Order.EDGE_FIRST, Filter.NONE, 0.95),
        _Try(Order.LUMINANCE, Filter.UP, 0.90),
        _Try(Order.NEIGHBORHOOD, Strategy.STEADY, 0.905),
    ),
    finalists=2,
    margin=1.06,
)
_OF_NIBBLES = _Contest(
    (
        _Try(Order.EDGE_FIRST, Filter.NONE, 0.96),
        _Try(Order.NEIGHBORHOOD, Strategy.STEADY, 0.92),
    ),
    finalists=2,
    margin=1.04,
)
_OF_BYTES_INSTEAD = _Contest(
    (
        _Try(Order.EDGE_FIRST, Filter.NONE, 0.90, whole_bytes=True),
        _Try(Order.NEIGHBORHOOD, Strategy.ENTROPY, 0.867, whole_bytes=True),
        _Try(Order.NEIGHBORHOOD, Filter.SUB, 0.882, whole_bytes=True),
        _Try(Order.LUMINANCE, Strategy.ENTROPY, 0.885, whole_bytes=True),
    )
)
_OF_BYTES = _Contest(
    (
        _Try(Order.NEIGHBORHOOD, Strategy.ENTROPY, 0.905),
        _Try(Order.NEIGHBORHOOD, Strategy.STEADY, 0.90),
        _Try(Order.NEIGHBORHOOD, Filter.SUB, 0.91),
        _Try(Order.EDGE_FIRST, Filter.NONE, 0.935),
    ),
    finalists=2,
    margin=1.015,
)
# Of levels, unlike of indexes, a mean of neighbors means something.
_OF_GREYS = _Contest(
    (
        _Try(Order.GREY, Filter.NONE, 0.92),
        _Try(Order.GREY, Filter.AVERAGE, 0.92),
        _Try(Order.GREY, Strategy.ENTROPY, 0.91),
    )
)
# Where pixels repeat, what is best is harder to foretell, and a trial takes less time.
_OF_FLAT = _Contest(
    tuple(
        _Try(order, filtering, gains[whole_bytes], whole_bytes)
        for filtering, gains, orders in (
            (Filter.NONE, (0.91, 0.89), (Order.EDGE_FIRST, Order.LUMINANCE, Order.HUE, Order.NEIGHBORHOOD)),
            (Filter.UP, (0.9, 0.9), (Order.LUMINANCE, Order.HUE, Order.NEIGHBORHOOD)),
            (Filter.SUB, (0.9, 0.9), (Order.LUMINANCE, Order.HUE, Order.NEIGHBORHOOD)),
            (Strategy.ENTROPY, (0.9, 0.9), (Order.EDGE_FIRST, Order.LUMINANCE, Order.NEIGHBORHOOD)),
            (Strategy.STEADY, (0.9, 0.9), (Order.LUMINANCE, Order.NEIGHBORHOOD)),
            (Strategy.BIGRAMS, (0.9, 0.9), (Order.EDGE_FIRST, Order.NEIGHBORHOOD)),
        )
        for order in orders
        for whole_bytes in (False, True)
    ),
    finalists=3,
    margin=1.25,
    judging_level=_FLAT_JUDGING_LEVEL,
)
_CONTESTS = {1: [_OF_BITS], 2: [_OF_BITS], 4: [_OF_NIBBLES, _OF_BYTES_INSTEAD], 8: [_OF_BYTES]}


def encode_indexed_png(palette: Palette, indexes: IndexMap, *, effort: str = "normal", in_order: bool = False) -> bytes:
    """Encode as a PNG of color type 3 at the least bit depth (1, 2, 4 or 8) that holds the palette.

    Where all colors are grey and that is smaller, as one of color type 0, which needs no palette.

    Instead of the least it may be 8 bits where that file is smaller: DEFLATE matches bytes, and pixels that share one
    hide what repeats. Palette entries that no pixel uses are dropped. The bytes depend on the picture alone: not on the
    order of the palette's entries, nor on threads. The palette is ordered by luminance, by neighborhood
    (`palette_order.neighbor_order`) and by hue, with and without row filters; the smallest file wins. More is tried on
    flat pictures.

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha, 1 <= k <= 256
    indexes : uint8 (H, W)
        Each below k.
    effort : {"normal", "high", "max"}
        With "high" Zopfli compresses the rows of flat pictures too, in about a second. "max" takes many for the last
        percent: oxipng and zopflipng try as well (`optimizers`). The file may then be of another color type, where that
        makes a tiny one smaller.
    in_order : bool
        Whether the file's palette has every entry, in the given order, so that indexes mean what they meant. That
        costs bytes; only the row filters are chosen.

    Raises
    ------
    ValueError
        Where the shapes or dtypes are not as above, or an index is out of the palette.
    """
    picture = as_given(palette, indexes) if in_order else by_luminance(palette, indexes)
    pictures = dict.fromkeys(Order, [picture]) | {Order.GREY: []} if in_order else in_each_order(picture)
    flat = _is_flat(pictures)
    contests = [_OF_FLAT] if flat else _CONTESTS[picture.bit_depth]
    level = _BEST_LEVEL if indexes.size <= _LARGE_PIXELS else _LARGE_LEVEL
    ours = _best_of([*contests, _OF_GREYS], pictures, level)
    if effort == "normal" or (effort == "high" and not flat):
        return ours
    from colorquant.encode.optimizers import compressed_by_zopfli, smaller_files  # Start-up time: few jobs need it.

    if effort == "high" or in_order:  # oxipng and zopflipng drop and sort entries.
        iterations = _ZOPFLI_ITERATIONS if effort == "high" else None
        return min(ours, compressed_by_zopfli(ours, iterations), key=len)
    plain = _Candidate(picture, Filter.NONE, 1.0).encoded(level)
    return min([ours, *smaller_files(ours, plain)], key=len)


def _is_flat(pictures: dict[Order, list[IndexedPicture]]) -> bool:
    (picture,) = pictures[Order.EDGE_FIRST]
    pixels = picture.indexes.size
    if pixels <= _TINY_PIXELS:
        return True
    size = _Candidate(picture, Filter.NONE, 1.0).sampled_size(_JUDGING_LEVEL)
    part = _FLAT if pixels > _SMALL_PIXELS else _SMALL_FLAT
    return 8 * size <= part * picture.bit_depth * pixels


@dataclass(frozen=True)
class _Candidate:
    picture: IndexedPicture
    filtering: Filtering
    gain: float

    def expected_size(self, judging_level: int) -> float:
        """Bytes of the compressed rows, as a sample of them at the judging level makes one expect."""
        return self.gain * self.sampled_size(judging_level)

    def sampled_size(self, level: int) -> float:
        """Bytes of the rows at a level, by a sample of them."""
        sample = _sample(self.picture)
        return len(_compressed(sample, self.filtering, level)) * len(self.picture.indexes) / len(sample.indexes)

    def encoded(self, level: int) -> bytes:
        """The whole file."""
        return self._file(_compressed(self.picture, self.filtering, level))

    def _file(self, compressed: bytes) -> bytes:
        picture = self.picture
        height, width = picture.indexes.shape
        return png_file(width, height, picture.bit_depth, None if picture.grey else picture.palette, compressed)


def _best_of(contests: list[_Contest], pictures: dict[Order, list[IndexedPicture]], level: int) -> bytes:
    """The smallest file of contests one after the other."""
    best = b""
    for contest in contests:
        for candidate in _finalists(contest, pictures, _PROMISING * len(best) if best else math.inf):
            encoded = candidate.encoded(level)
            best = min(best or encoded, encoded, key=len)
    return best


def _finalists(contest: _Contest, pictures: dict[Order, list[IndexedPicture]], limit: float) -> list[_Candidate]:
    """The candidates of a contest that are worth compressing, the best first; none that is expected above the limit.

    Of a picture above `_FULL_TRIAL_PIXELS` one at most: its finalists are compared on the sample.
    """
    best_of: dict[tuple[Filtering, bool], tuple[float, _Candidate]] = {}
    for tried in contest.tries:
        for candidate in _candidates(tried, pictures):
            expected = candidate.expected_size(contest.judging_level), candidate
            alike = tried.filtering, tried.whole_bytes
            best_of[alike] = min(best_of.get(alike, expected), expected, key=itemgetter(0))
    ranked = sorted(best_of.values(), key=itemgetter(0))
    finalists = [
        candidate
        for size, candidate in ranked[: contest.finalists]
        if size <= min(limit, contest.margin * ranked[0][0])
    ]
    if len(finalists) > 1 and finalists[0].picture.indexes.size > _FULL_TRIAL_PIXELS:
        return [min(finalists, key=lambda candidate: candidate.sampled_size(_LARGE_LEVEL))]
    return finalists


def _candidates(tried: _Try, pictures: dict[Order, list[IndexedPicture]]) -> list[_Candidate]:
    """Those of a try: none where they would be those of another, two for an order that there are two of."""
    order, filtering, gain, whole_bytes = tried
    return [
        _Candidate(picture.at(8) if whole_bytes else picture, filtering, gain)
        for picture in pictures[order]
        if not whole_bytes or picture.bit_depth < 8
    ]


def _sample(picture: IndexedPicture) -> IndexedPicture:
    """Bands of rows spread over the picture that have `_FULL_TRIAL_PIXELS` together; all of a smaller one."""
    height, width = picture.indexes.shape
    if height * width <= _FULL_TRIAL_PIXELS:
        return picture
    rows = max(1, _FULL_TRIAL_PIXELS // _SAMPLE_BANDS // width)
    tops = np.linspace(0, max(0, height - rows), _SAMPLE_BANDS, dtype=int)
    kept = np.unique(np.concatenate([np.arange(top, min(height, top + rows)) for top in tops]))
    return replace(picture, indexes=picture.indexes[kept])


def _rows(picture: IndexedPicture, filtering: Filtering) -> Rows:
    return filtered(packed(picture.written(), picture.bit_depth), filtering)


def _compressed(picture: IndexedPicture, filtering: Filtering, level: int) -> bytes:
    # It takes any buffer, whatever its annotation says.
    return bytes(imagecodecs.deflate_encode(_rows(picture, filtering), level, raw=False))  # type: ignore[arg-type]
