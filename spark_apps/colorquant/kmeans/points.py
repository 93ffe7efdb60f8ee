"""Weighted points along a Hilbert curve, cut in blocks with bounding boxes: what the search works on.

Coordinates are color channels in steps of 1/8 (``GRID``), as whole numbers in float32: squared distances stay
below 2^24, so they are exact, and sums are integers. Nothing here depends on the order of summation.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from colorquant.colors import Cells
from colorquant.kmeans.hilbert import hilbert_order

GRID_BITS = 3
GRID = 1 << GRID_BITS
# 64 points a block fill four vector registers and keep the list of centroids near a block short; 8 blocks share
# a first, coarser selection of centroids.
BLOCK = 64
SUPER = 8
MOST_COARSE = 8


@dataclass(frozen=True, eq=False)
class Points:
    """Weighted points, padded with weightless copies of the last to whole blocks.

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
    count : int
        Points before padding.
    """

    coordinates: np.ndarray
    moments: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    super_lows: np.ndarray
    super_highs: np.ndarray
    block_moments: np.ndarray
    squares: int
    count: int

    @property
    def weight(self) -> int:
        """Total weight."""
        return int(self.block_moments[:, 3].sum())

    def coarsened(self, group: int) -> "Points":
        """Every ``group`` (a power of two up to ``MOST_COARSE``) neighbors on the curve as one point, their mean."""
        moments = self.moments.reshape(-1, group, 4).sum(axis=1)
        moments = moments[moments[:, 3] > 0]
        weights = moments[:, 3:]
        means = (2 * moments[:, :3] + weights) // (2 * weights)
        return _blocked(means, moments[:, 3], np.arange(len(means)))


def points_of(cells: Cells) -> Points:
    """The cells' means, rounded to the grid, with their numbers of pixels as weights."""
    weights = cells.counts[:, None]
    return points_at((2 * GRID * cells.sums + weights) // (2 * weights), cells.counts)


def points_at(positions: np.ndarray, weights: np.ndarray) -> Points:
    """Points at grid positions int64 (n, 3), from 0 to 255 times ``GRID``, with weights int64 (n,)."""
    return _blocked(positions, weights, hilbert_order(positions, GRID_BITS))


def _blocked(positions: np.ndarray, weights: np.ndarray, order: np.ndarray) -> Points:
    count = len(order)
    blocks = -(-count // BLOCK)
    coordinates, moments = np.empty((3, blocks * BLOCK), np.float32), np.empty((blocks * BLOCK, 4), np.int64)
    lows, highs = np.empty((3, blocks), np.float32), np.empty((3, blocks), np.float32)
    block_moments = np.zeros((blocks, 4), np.int64)
    squares = _fill_blocks(positions, weights, order, coordinates, moments, lows, highs, block_moments)
    runs = np.arange(0, blocks, SUPER)
    super_lows, super_highs = np.minimum.reduceat(lows, runs, axis=1), np.maximum.reduceat(highs, runs, axis=1)
    return Points(coordinates, moments, lows, highs, super_lows, super_highs, block_moments, int(squares), count)


@njit(cache=True, nogil=True)
def _fill_blocks(  # type: ignore[no-untyped-def]
    positions, weights, order, coordinates, moments, lows, highs, block_moments
):
    """Everything that ``Points`` says of each point and block, in one pass; returns the weighted squares."""
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
