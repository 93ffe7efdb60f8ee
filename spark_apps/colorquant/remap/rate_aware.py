"""Rate-aware remap: among palette entries that are nearly as near as the nearest, the one that compresses better.

The nearest entry is not the best one for a file of a given size: where the pixel's left or upper neighbor has an entry
that is almost as near, repeating its index costs a fraction of a bit instead of several. Choosing by
``squared distance + lambda x bits`` is entropy-constrained quantization (Chou, Lookabaugh and Gray, 1989); finding the
cheapest choice for a whole row by dynamic programming over a model of the coder is trellis quantization, known from
video coders (Ramchandran and Vetterli, 1994). The coder modeled here is DEFLATE: an index is a literal, or continues a
run of its left neighbor, or continues a copy of indexes nearby in the rows above.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from colorquant.arithmetic import ceil_div
from colorquant.pixels import Pixels
from colorquant.remap.bands import bands_of
from colorquant.remap.nearest import remap

# A literal may be any of the entries nearest to the nearest one.
_LITERAL_CANDIDATES = 8

# Where copies come from: (rows above, columns to the left). More offsets brought less than 0.3 % of bytes.
_COPY_OFFSETS = ((1, 0), (1, -1), (1, 1), (1, -2), (1, 2), (2, -1), (2, 0), (2, 1))

# Bits of the model. Larger than what DEFLATE spends on one of them alone, since a choice also makes the choices after
# it cheaper, which the model of one row cannot see; measured to give the best rate-distortion curve.
_LITERAL_EXTRA_BITS = 4
_RUN_BITS = 12
_COPY_BITS = 12

# Costs are integers, in 1/1024 of a squared RGB distance, so that they are the same on every machine.
_COST_SCALE = 1024
_UNREACHABLE = np.int64(1 << 60)


@dataclass(frozen=True, eq=False)
class RateModel:
    """Prices, in 1/1024 of a squared RGB distance, common to all bands of an image.

    Attributes
    ----------
    literal : int64 (k,)
        Price of each palette entry as a literal.
    run, copies : int, int64 (m,)
        Price of beginning a run, or a copy from each of ``offsets``; to continue one is free.
    offsets : int64 (m, 2)
        Rows above and columns to the left.
    """

    literal: npt.NDArray[np.int64]
    run: int
    copies: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


def remap_with(pixels: Pixels, palette: Pixels, model: RateModel | None) -> Pixels:
    """Remap pixels to their nearest entries, or to those that a rate model chooses.

    Parameters
    ----------
    pixels : uint8 (h, W, 3)
        An image, or rows of it from a multiple of `BAND_ROWS` on.
    palette : uint8 (k, 3), 1 <= k <= 256
    model : RateModel, optional

    Returns
    -------
    uint8 (h, W)
    """
    indexes = remap(pixels, palette)
    if model is None:
        return indexes
    bands = zip(bands_of(pixels), bands_of(indexes), strict=True)
    return np.concatenate([remap_band(band, nearest, palette, model) for band, nearest in bands])


def rate_model(occurrences: npt.NDArray[np.int64], mean_squared_error: float, strength: float, width: int) -> RateModel:
    """Prices for an image, from sums over its pixels.

    Parameters
    ----------
    occurrences : int64 (k,)
        Number of pixels that each entry is the nearest of.
    mean_squared_error : float
        Of the nearest entries: mean over pixels of the squared RGB distance.
    strength : float
        A bit may cost this part of the mean squared error; ``docs/encoding.md`` has measurements.
    width : int
        Of the image, in pixels.
    """
    colors = len(occurrences)
    pixels_per_byte = next(8 // depth for depth in (1, 2, 4, 8) if colors <= 1 << depth)
    price_of_bit = strength * mean_squared_error * _COST_SCALE
    # One more pixel each: an entry that no pixel has nearest still has a price.
    share = (occurrences + 1) / (occurrences.sum() + colors)
    literal_bits = _LITERAL_EXTRA_BITS - np.log2(share)
    # Whole bytes only: DEFLATE copies bytes, and a byte may hold several pixels.
    offsets = np.array(sorted({(rows, columns * pixels_per_byte) for rows, columns in _COPY_OFFSETS}))
    row_bytes = 1 + ceil_div(width, pixels_per_byte)
    distances = offsets[:, 0] * row_bytes + offsets[:, 1] // pixels_per_byte
    # DEFLATE writes a distance as a code and floor(log2(distance)) - 1 plain bits.
    copy_bits = _COPY_BITS + np.maximum(0, np.floor(np.log2(np.maximum(distances, 1))) - 1)
    return RateModel(
        literal=np.rint(price_of_bit * literal_bits).astype(np.int64),
        run=round(price_of_bit * _RUN_BITS),
        copies=np.rint(price_of_bit * copy_bits).astype(np.int64),
        offsets=offsets.astype(np.int64),
    )


def remap_band(
    pixels: Pixels,
    nearest: Pixels,
    palette: Pixels,
    model: RateModel,
) -> Pixels:
    """Remap one band by a rate model.

    Parameters
    ----------
    pixels : uint8 (h, W, 3)
        At most ``BAND_ROWS`` rows, from a multiple of that on.
    nearest : uint8 (h, W)
        Indexes of the nearest entries.
    palette : uint8 (k, 3)
    model : RateModel

    Returns
    -------
    uint8 (h, W)
    """
    colors = palette.astype(np.int64)
    distances = ((colors[:, None] - colors[None]) ** 2).sum(axis=2)
    alternatives = np.argsort(distances, axis=1, kind="stable")[:, :_LITERAL_CANDIDATES].astype(np.uint8)
    indexes = np.empty(nearest.shape, dtype=np.uint8)
    _choose_rows(
        np.ascontiguousarray(pixels),
        np.ascontiguousarray(nearest),
        colors,
        np.ascontiguousarray(alternatives),
        (model.literal, model.run, model.copies, model.offsets),
        indexes,
    )
    return indexes


@numba.njit(cache=True, nogil=True, inline="always")
def _distance(pixel: Pixels, color: npt.NDArray[np.int64]) -> int:
    """Squared RGB distance times ``_COST_SCALE``."""
    red = np.int64(pixel[0]) - color[0]
    green = np.int64(pixel[1]) - color[1]
    blue = np.int64(pixel[2]) - color[2]
    return (red * red + green * green + blue * blue) * _COST_SCALE


@numba.njit(cache=True, nogil=True)
def cheapest(costs: npt.NDArray[np.int64]) -> int:
    """Index of the least cost, int64 (states,); of equal ones the first."""
    best = 0
    for state in range(1, len(costs)):
        if costs[state] < costs[best]:
            best = state
    return best


@numba.njit(cache=True, nogil=True)
def copied_from(indexes: Pixels, y: int, x: int, rows: int, columns: int) -> int:
    """The index that a copy from so many rows above and columns to the left gives a pixel; -1 outside of the band."""
    from_y, from_x = y - rows, x - columns
    if from_y < 0 or from_x < 0 or from_x >= indexes.shape[1]:
        return -1
    return int(indexes[from_y, from_x])


@numba.njit(cache=True, nogil=True)
def write_path(state: int, came_from: Pixels, chosen: Pixels, row: Pixels) -> None:
    """Write the indexes uint8 (w,) of the path that ends in a state, from the last pixel to the first.

    Parameters
    ----------
    came_from, chosen : uint8 (w, states)
        For each pixel and state the state before, and the index.
    """
    for x in range(len(row) - 1, -1, -1):
        row[x] = chosen[x, state]
        state = came_from[x, state]


@numba.njit(cache=True, nogil=True)
def _choose_rows(pixels, nearest, colors, alternatives, model, indexes):  # type: ignore[no-untyped-def]
    """The cheapest path through each row; a state is how the pixel is coded: 0 a literal, 1 a run, 2 and on a copy.

    Parameters
    ----------
    pixels : uint8 (h, w, 3)
    nearest : uint8 (h, w)
    colors : int64 (k, 3)
    alternatives : uint8 (k, m)
        The literals that are tried for each nearest entry.
    model : fields of ``RateModel``
    indexes : uint8 (h, w)
        Receives the entries that are chosen.
    """
    literal, run, copies, offsets = model
    height, width = nearest.shape
    states = 2 + len(offsets)
    came_from = np.zeros((width, states), dtype=np.uint8)
    chosen = np.zeros((width, states), dtype=np.uint8)
    before = np.zeros(states, dtype=np.int64)
    costs = np.zeros(states, dtype=np.int64)
    for y in range(height):
        before[:] = 0
        for x in range(width):
            pixel = pixels[y, x]
            best = cheapest(before)

            literal_cost = _UNREACHABLE
            for index in alternatives[nearest[y, x]]:
                cost = _distance(pixel, colors[index]) + literal[index]
                if cost < literal_cost:
                    literal_cost = cost
                    chosen[x, 0] = index
            costs[0] = before[best] + literal_cost
            came_from[x, 0] = best

            costs[1] = _UNREACHABLE
            if x > 0:
                for previous in (1, best):
                    index = chosen[x - 1, previous]
                    cost = before[previous] + _distance(pixel, colors[index]) + (0 if previous == 1 else run)
                    if cost < costs[1]:
                        costs[1] = cost
                        came_from[x, 1] = previous
                        chosen[x, 1] = index

            for copy in range(len(offsets)):
                state = copy + 2
                index = copied_from(indexes, y, x, offsets[copy, 0], offsets[copy, 1])
                if index < 0:
                    costs[state] = _UNREACHABLE
                    continue
                going_on = x > 0 and before[state] <= before[best] + copies[copy]
                came_from[x, state] = state if going_on else best
                chosen[x, state] = index
                start = before[state] if going_on else before[best] + copies[copy]
                costs[state] = start + _distance(pixel, colors[index])
            before[:] = costs
        write_path(cheapest(before), came_from, chosen, indexes[y])
