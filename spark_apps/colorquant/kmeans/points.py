"""Weighted points along a Hilbert curve, cut in blocks with bounding boxes: what the centroid search works on.

Coordinates are color channels in steps of 1/8 (``GRID``), as whole numbers in float32: squared distances stay
below 2^24, so they are exact, and sums are integers. Nothing here depends on the order of summation.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from colorquant.arithmetic import ceil_div
from colorquant.colors import Cells, kernel_input
from colorquant.kmeans.hilbert import hilbert_order

GRID_BITS = 3
GRID = 1 << GRID_BITS
# 64 points fill four vector registers, and few centroids come near a block of that size; 8 blocks, a run, share a
# first, coarser selection of centroids.
BLOCK = 64
SUPER = 8
MOST_COARSE = 8
# Of all points together: a point's weight is an unsigned 32-bit number in ``annealing``.
MAX_WEIGHT_BITS = 32


class Points(NamedTuple):
    """Weighted points, padded to whole blocks with copies of the last point that have no weight.

    A named tuple, because compiled functions take it as one argument. They are given a plain ``tuple`` of it, for
    which Numba finds the compiled function in a microsecond instead of five.

    Attributes
    ----------
    coordinates : float32 (3, n)
        Channels times ``GRID``, whole numbers.
    moments : int64 (n, 4)
        Weight times each coordinate, and the weight.
    lows, highs : float32 (3, n / BLOCK)
        Bounding boxes of the blocks.
    super_lows, super_highs : float32 (3, blocks / SUPER, rounded up)
        Bounding boxes of runs of blocks.
    block_moments : int64 (n / BLOCK, 4)
        Sums of ``moments`` over the blocks.
    squares : int
        Sum of weight times squared norm of the coordinates.
    size : int
        Number of points before padding.
    """

    coordinates: np.ndarray
    moments: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    super_lows: np.ndarray
    super_highs: np.ndarray
    block_moments: np.ndarray
    squares: int
    size: int

    @property
    def weight(self) -> int:
        """Total weight."""
        return int(self.block_moments[:, 3].sum())

    def coarsened(self, group: int) -> "Points":
        """Fewer points: each is the weighted mean, on the grid, of ``group`` neighbors on the curve.

        Parameters
        ----------
        group : int
            A power of two, at most ``MOST_COARSE``.
        """
        moments = self.moments.reshape(-1, group, 4).sum(axis=1)
        moments = moments[moments[:, 3] > 0]
        weights = moments[:, 3:]
        means = (2 * moments[:, :3] + weights) // (2 * weights)
        return _blocked(means, moments[:, 3], np.arange(len(means)))


def points_of(cells: Cells) -> Points:
    """The cells' mean colors, rounded to the grid, with their ``weights_of`` pixels."""
    counts = cells.counts[:, None]
    return points_at((2 * GRID * cells.sums + counts) // (2 * counts), weights_of(cells))


def weights_of(cells: Cells) -> np.ndarray:
    """The cells' numbers of pixels int64 (m,), scaled down where all together are more than the search can add up."""
    scale = max(0, int(cells.counts.sum()).bit_length() - MAX_WEIGHT_BITS)
    return np.maximum(cells.counts >> scale, 1) if scale else cells.counts


def points_at(positions: np.ndarray, weights: np.ndarray) -> Points:
    """Points at given positions.

    Parameters
    ----------
    positions : int64 (n, 3), n >= 1
        In steps of the grid, from 0 to ``255 * GRID``.
    weights : int64 (n,)
        Positive.
    """
    return _blocked(positions, weights, hilbert_order(positions, GRID_BITS))


def _blocked(positions: np.ndarray, weights: np.ndarray, order: np.ndarray) -> Points:
    """Points in the given order, int64 (n,), padded and cut in blocks."""
    size = len(order)
    blocks = ceil_div(size, BLOCK)
    coordinates, moments = np.empty((3, blocks * BLOCK), np.float32), np.empty((blocks * BLOCK, 4), np.int64)
    lows, highs = np.empty((3, blocks), np.float32), np.empty((3, blocks), np.float32)
    block_moments = np.zeros((blocks, 4), np.int64)
    given = kernel_input(positions), kernel_input(weights), order
    squares = _fill_blocks(*given, coordinates, moments, lows, highs, block_moments)
    runs = np.arange(0, blocks, SUPER)
    super_lows, super_highs = np.minimum.reduceat(lows, runs, axis=1), np.maximum.reduceat(highs, runs, axis=1)
    return Points(coordinates, moments, lows, highs, super_lows, super_highs, block_moments, int(squares), size)


@njit(cache=True, nogil=True)
def _fill_blocks(  # type: ignore[no-untyped-def]
    positions, weights, order, coordinates, moments, lows, highs, block_moments
):
    """Write what the fields of ``Points`` with these names say, in one pass; returns ``squares``."""
    squares, last = np.int64(0), len(order) - 1
    for i in range(len(moments)):
        block, at = i // BLOCK, order[min(i, last)]
        weight = weights[at] if i <= last else np.int64(0)
        for a in range(3):
            position = positions[at, a]
            coordinate, moment = np.float32(position), position * weight
            coordinates[a, i] = coordinate
            moments[i, a] = moment
            block_moments[block, a] += moment
            squares += moment * position
            first = i % BLOCK == 0
            lows[a, block] = coordinate if first else min(lows[a, block], coordinate)
            highs[a, block] = coordinate if first else max(highs[a, block], coordinate)
        moments[i, 3] = weight
        block_moments[block, 3] += weight
    return squares
