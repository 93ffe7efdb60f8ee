"""Rate-aware remap: among palette entries nearly as near, the one that compresses better.

The nearest entry is not the best one for a file of a given size: where the index before it, or the one above it, is
almost as near, repeating it costs the compressor a fraction of a bit instead of several. Choosing by
``squared distance + lambda x bits`` is entropy-constrained quantization (Chou, Lookabaugh and Gray, 1989); finding
the cheapest choice for a whole row at once by dynamic programming over a model of the coder is trellis quantization,
known from video coders (Ramchandran and Vetterli, 1994). The coder modelled here is DEFLATE: an index is a literal,
or goes on with a run of the index before it, or goes on with a copy of what stands nearby in the rows above.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from colorquant.remap.nearest import remap

BAND_ROWS = 64
"""Rows that depend on each other. Bands that begin at its multiples give the same indexes wherever they are made."""

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
        Price of each palette entry on its own.
    run, copies : int, int64 (m,)
        Price of beginning a run, or a copy from each of ``offsets``; going on with one is free.
    offsets : int64 (m, 2)
        Rows above and columns to the left.
    """

    literal: npt.NDArray[np.int64]
    run: int
    copies: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


def bands_of(rows: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """Rows of an image, or of a part of it that begins at a multiple of `BAND_ROWS`, as bands."""
    return [rows[top : top + BAND_ROWS] for top in range(0, len(rows), BAND_ROWS)]


def remap_with(
    pixels: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8], model: RateModel | None
) -> npt.NDArray[np.uint8]:
    """Index of every pixel: of the nearest entry, or of the one that a rate model prefers.

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
    """Prices for an image from sums over it, which may have been made anywhere.

    Parameters
    ----------
    occurrences : int64 (k,)
        Pixels whose nearest entry each one is.
    mean_squared_error : float
        Of the nearest entries: mean over pixels of the squared RGB distance.
    strength : float
        A bit may cost this part of the mean squared error; what that brings is measured in ``docs/encoding.md``.
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
    row_bytes = 1 - -width // pixels_per_byte
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
    pixels: npt.NDArray[np.uint8],
    nearest: npt.NDArray[np.uint8],
    palette: npt.NDArray[np.uint8],
    model: RateModel,
) -> npt.NDArray[np.uint8]:
    """Indexes of one band of at most `BAND_ROWS` rows, whose first row is a multiple of that.

    Parameters
    ----------
    pixels : uint8 (h, W, 3)
    nearest : uint8 (h, W)
        Indexes of the nearest entries.
    palette : uint8 (k, 3)
    model : RateModel
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
        model.literal,
        model.run,
        model.copies,
        model.offsets,
        indexes,
    )
    return indexes


@numba.njit(cache=True, nogil=True, inline="always")
def _distance(pixel: npt.NDArray[np.uint8], color: npt.NDArray[np.int64]) -> int:
    red = np.int64(pixel[0]) - color[0]
    green = np.int64(pixel[1]) - color[1]
    blue = np.int64(pixel[2]) - color[2]
    return (red * red + green * green + blue * blue) * _COST_SCALE


@numba.njit(cache=True, nogil=True)
def _cheapest(costs: npt.NDArray[np.int64]) -> int:
    best = 0
    for state in range(1, len(costs)):
        if costs[state] < costs[best]:
            best = state
    return best


@numba.njit(cache=True, nogil=True)
def _choose_rows(pixels, nearest, colors, alternatives, literal, run, copies, offsets, indexes):  # type: ignore[no-untyped-def]
    """Cheapest path through each row; a state is how the pixel is coded: 0 literal, 1 run, 2 and on a copy."""
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
            best = _cheapest(before)

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
                from_y, from_x = y - offsets[copy, 0], x - offsets[copy, 1]
                if from_y < 0 or from_x < 0 or from_x >= width:
                    costs[state] = _UNREACHABLE
                    continue
                index = indexes[from_y, from_x]
                going_on = x > 0 and before[state] <= before[best] + copies[copy]
                came_from[x, state] = state if going_on else best
                chosen[x, state] = index
                start = before[state] if going_on else before[best] + copies[copy]
                costs[state] = start + _distance(pixel, colors[index])
            before[:] = costs
        state = _cheapest(before)
        for x in range(width - 1, -1, -1):
            indexes[y, x] = chosen[x, state]
            state = came_from[x, state]
