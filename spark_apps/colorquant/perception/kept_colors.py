"""Colors that people look for stay as they are: white, a brand's red, full opacity.

A centroid is the mean of its cluster, so white becomes 254 where a few darker pixels are nearest to it. By the rule of
the majority, an entry is exactly what half of its pixels are exactly: the color of a flat area, or opaque. Others are
opaque too where that costs less than sending their opaque pixels, which take opaque entries only, elsewhere. And a
small flat area whose color is far from every entry gets one of its own where another entry is worth little.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant import alpha
from colorquant.colors import Cells, ColorHistogram, count_colors, kernel_input, unpack_colors
from colorquant.perception.importance import weighted_colors

_BLOCK = 4
# Of the image's pixels; a smaller part is no area.
_SMALLEST_AREA = 1 << 14
# Squared distance, in levels, from which on a color is another one.
_ANOTHER_COLOR = 32**2
# So many times the error that it removes may an entry for a small area add elsewhere.
_WORTH = 3
# By so much may entries for small areas, or for opaque pixels, raise the whole error; otherwise none is to spare.
_SPARE = 0.1


@dataclass(frozen=True, eq=False)
class KeptColors:
    """A palette, and what of it stays while the rest is fitted.

    Attributes
    ----------
    palette : uint8 (k, 3 or 4)
    fixed : bool (k,)
        Entries that stay.
    opaque : bool (k,)
        Entries whose opacity stays.
    """

    palette: npt.NDArray[np.uint8]
    fixed: npt.NDArray[np.bool_]
    opaque: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, palette: npt.NDArray[np.uint8]) -> "KeptColors":
        """A palette of which no color stays, but full transparency and opacity do."""
        if palette.shape[1] == 3:
            return cls(palette, *np.zeros((2, len(palette)), np.bool_))
        return cls(palette, palette[:, 3] == 0, palette[:, 3] == 255)

    def moved(self, entries: npt.NDArray[np.uint8], used: npt.NDArray[np.bool_]) -> "KeptColors":
        """With the entries' new colors uint8 (k, 3 or 4) where they may move, and only those that are ``used``."""
        return KeptColors(self.restored(entries)[used], self.fixed[used], self.opaque[used])

    def restored(self, moved: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Moved entries uint8 (k, 3 or 4), but as they were where they stay."""
        kept = np.where(self.fixed[:, None], self.palette, moved)
        kept[self.opaque & ~self.fixed, 3:] = 255
        return kept


def flat_colors(pixels: npt.NDArray[np.uint8], weights: npt.NDArray[np.uint8] | None = None) -> ColorHistogram:
    """The colors of flat areas and how many pixels these have: blocks of 4 x 4 pixels of one color.

    Parameters
    ----------
    pixels : uint8 (h, W, 3 or 4)
        A part of an image that begins at a multiple of 4 rows and columns, so that the parts' counts add up to its own.
    weights : uint8 (h, W), optional
        How much each pixel counts.
    """
    blocks, where = _flat_blocks(kernel_input(pixels))
    if weights is not None:
        rows, columns = (length // _BLOCK for length in weights.shape)
        cut = weights[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
        return weighted_colors(blocks, cut.sum(axis=(1, 3), dtype=np.int64).ravel()[where])
    blocks = blocks[None]
    histogram = alpha.count_colors(blocks) if pixels.shape[2] == 4 else count_colors(blocks)
    return ColorHistogram(histogram.colors, histogram.counts * _BLOCK**2)


def keep_colors(
    palette: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64], flat: ColorHistogram, cells: Cells
) -> KeptColors:
    """The palette in which the colors stand that people look for, and which entries these are.

    Parameters
    ----------
    palette : uint8 (k, 3 or 4)
    counts : int64 (k,)
        Pixels of each entry.
    flat : ``flat_colors`` of the image.
    cells : of the image.
    """
    return with_small_areas(_with_majorities(palette, counts, flat, cells), flat, cells, int(counts.sum()))


def _with_majorities(
    palette: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64], flat: ColorHistogram, cells: Cells
) -> KeptColors:
    """Make an entry exactly what half of its pixels are: the color of a flat area, or opaque; ``_opaque_entries``."""
    kept, entries = KeptColors.of(palette.copy()), _positions(palette)
    for color, count in areas(flat, palette.shape[1], int(counts.sum())):
        nearest = int(np.argmin(_distances(entries, color)))
        if 2 * count >= counts[nearest] and not kept.fixed[nearest] and not _is_another(palette, color):
            kept.palette[nearest], kept.fixed[nearest] = color, True
    if palette.shape[1] == 4:
        kept.opaque[:] = _opaque_entries(palette, kept.fixed, counts, cells)
    return KeptColors(kept.restored(kept.palette), kept.fixed, kept.opaque)


def _opaque_entries(
    palette: npt.NDArray[np.uint8], fixed: npt.NDArray[np.bool_], counts: npt.NDArray[np.int64], cells: Cells
) -> npt.NDArray[np.bool_]:
    """The entries bool (k,) of a palette uint8 (k, 4) that are to be opaque; the others have few opaque pixels.

    First those of which half of the pixels are; where there are none, the one that costs least, if that is little.
    Then, one after the other, the entry that saves most error: what its pixels lose if it is opaque, against what its
    opaque ones lose at the nearest entry that is opaque already.
    """
    columns, weights = _columns(cells), cells.counts.astype(np.float64)
    labels, own, _ = alpha.assign_columns(columns, _positions(palette))
    is_opaque = cells.sums[:, 3] == 255**2 * cells.counts
    among = np.bincount(labels, weights * is_opaque, minlength=len(palette))
    chosen: npt.NDArray[np.bool_] = (among > 0) & (2 * among >= counts)
    made_opaque = palette.copy()
    made_opaque[:, 3] = 255
    positions = _positions(made_opaque)
    # What all pixels of each entry lose if it is opaque.
    becoming = np.empty(len(labels))
    for entry, position in enumerate(positions):
        mine = labels == entry
        becoming[mine] = alpha.assign_columns(np.ascontiguousarray(columns[:, mine]), position[None])[1]
    losses = np.bincount(labels, (becoming - own) * weights, minlength=len(palette))
    if not chosen.any():
        cheapest = int(np.argmin(np.where((among > 0) & ~fixed, losses, np.inf)))
        if fixed[cheapest] or not among[cheapest] or losses[cheapest] > _SPARE * _total(own * weights):
            return chosen
        chosen[cheapest] = True
    opaque_columns, opaque_labels = np.ascontiguousarray(columns[:, is_opaque]), labels[is_opaque]
    opaque_weights, opaque_own = weights[is_opaque], own[is_opaque]
    elsewhere = alpha.assign_columns(opaque_columns, positions[chosen])[1]
    while True:
        moving = np.bincount(opaque_labels, (elsewhere - opaque_own) * opaque_weights, minlength=len(palette))
        gains = np.where(chosen | fixed, -np.inf, moving - losses)
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            return chosen
        chosen[best] = True
        elsewhere = np.minimum(elsewhere, alpha.assign_columns(opaque_columns, positions[best : best + 1])[1])


def with_small_areas(kept: KeptColors, flat: ColorHistogram, cells: Cells, pixels: int) -> KeptColors:
    """Give flat areas whose color is far from every entry an entry of their own, that which is worth least.

    Parameters
    ----------
    kept : KeptColors
    flat : ``flat_colors`` of the image.
    cells : of the image; they may be weighted.
    pixels : of the image.
    """
    palette, fixed = kept.palette.copy(), kept.fixed.copy()
    candidates = [color for color, _ in areas(flat, palette.shape[1], pixels)]
    candidates = [color for color in candidates if _is_another(palette, color)]
    if not candidates:
        return kept
    columns, weights = _columns(cells), cells.counts.astype(np.float64)
    spare = None
    for color in candidates:
        if not _is_another(palette, color):
            continue
        labels, first, second = alpha.assign_columns(columns, _positions(np.vstack([palette, color])))
        _, before, _ = alpha.assign_columns(columns, _positions(palette))
        gain = _total((before - first) * weights)
        costs = np.bincount(labels, (second - first) * weights, minlength=len(palette) + 1)[:-1]
        costs[fixed] = np.inf
        worst = int(np.argmin(costs))
        spare = _SPARE * _total(before * weights) if spare is None else spare
        if costs[worst] <= _WORTH * gain and costs[worst] - gain <= spare:
            palette[worst], fixed[worst] = color, True
            spare -= costs[worst] - gain
    return KeptColors(palette, fixed, kept.opaque)


def _is_another(palette: npt.NDArray[np.uint8], color: npt.NDArray[np.uint8]) -> bool:
    """Whether a color uint8 (3 or 4,) is another one than all of a palette."""
    unit = 1 if palette.shape[1] == 3 else alpha.UNIT**2
    return bool(_distances(_positions(palette), color).min() >= _ANOTHER_COLOR * unit)


def _total(values: npt.NDArray[np.float64]) -> float:
    """The sum in order: the rounding of numpy's own sum depends on the processor."""
    return float(np.cumsum(values)[-1])


def areas(flat: ColorHistogram, channels: int, pixels: int) -> list[tuple[npt.NDArray[np.uint8], int]]:
    """The colors uint8 (3 or 4,) and pixels of flat areas that are large enough, the largest first."""
    flat = large_areas(flat, pixels)
    order = np.argsort(-flat.counts, kind="stable")
    unpacked = (alpha.unpack if channels == 4 else unpack_colors)(flat.colors[order])
    return list(zip(unpacked, map(int, flat.counts[order]), strict=True))


def large_areas(flat: ColorHistogram, pixels: int) -> ColorHistogram:
    """The colors of flat areas that are large enough in an image of so many pixels: 2^14 colors at most."""
    large = flat.counts * _SMALLEST_AREA >= pixels
    return ColorHistogram(flat.colors[large], flat.counts[large])


def _positions(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Positions float64 (n, 4) of colors uint8 (n, 3 or 4), for ``alpha.assign_columns``."""
    if colors.shape[1] == 4:
        return alpha.coordinates(alpha.pack(colors)).astype(np.float64)
    return np.column_stack([colors.astype(np.float64), np.zeros(len(colors))])


def _columns(cells: Cells) -> npt.NDArray[np.float64]:
    """Positions float64 (4, m) of the means of cells."""
    counts = cells.counts[:, None]
    means = ((2 * cells.sums + counts) // (2 * counts)).T.astype(np.float64)
    return np.ascontiguousarray(np.vstack([means, np.zeros((4 - len(means), len(cells)))]))


def _distances(entries: npt.NDArray[np.float64], color: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Squared distances float64 (k,) of entries' positions from a color uint8 (3 or 4,)."""
    return alpha.assign_columns(np.ascontiguousarray(entries.T), _positions(color[None]))[1]


@njit(cache=True, nogil=True)
def _flat_blocks(pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The colors uint8 (n, 3 or 4) of blocks that have one, and which blocks these are, int64 (n,), row by row."""
    height, width, channels = pixels.shape
    across = width // _BLOCK
    found = np.empty(((height // _BLOCK) * across, channels), np.uint8)
    where = np.empty(len(found), np.int64)
    n = 0
    for top in range(0, height - _BLOCK + 1, _BLOCK):
        for left in range(0, width - _BLOCK + 1, _BLOCK):
            flat = True
            # From the far corner, which in a photograph has another color than the near one.
            for i in range(_BLOCK**2 - 1, 0, -1):
                row, column = i // _BLOCK, i % _BLOCK
                for channel in range(channels):
                    if pixels[top + row, left + column, channel] != pixels[top, left, channel]:
                        flat = False
                if not flat:
                    break
            if flat:
                found[n] = pixels[top, left]
                where[n] = top // _BLOCK * across + left // _BLOCK
                n += 1
    return found[:n], where[:n]
