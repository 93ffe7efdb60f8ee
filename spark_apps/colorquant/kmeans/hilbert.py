"""The Hilbert curve through the color cube (Hilbert 1891): neighbors on the curve are neighbors in the cube.

Points in this order, cut in blocks, give bounding boxes nearly as tight as those of a k-d tree, in a fraction of the
time: two passes of counting instead of a recursion.
"""

import numpy as np
from numba import njit

# Cells of the curve along each axis: 2^8, one for each level of an 8-bit channel.
BITS = 8
_DIGIT_BITS = 12


def hilbert_order(positions: np.ndarray, shift: int) -> np.ndarray:
    """The order of positions along the curve; those in one cell stay in the order given.

    Parameters
    ----------
    positions : int64 (n, 3)
        Below ``2 ** (BITS + shift)``.
    shift : int
        Low bits of the positions that are ignored.

    Returns
    -------
    int64 (n,)
        Row of the first position on the curve, of the second, and so on.
    """
    return _sorted_order(_ranks(np.ascontiguousarray(positions), shift, _DIGITS, _NEXT_STATES))


def _curve_tables() -> tuple[np.ndarray, np.ndarray]:
    """For each state of the curve and octant of a cube: the octant's rank on the curve, and the state within it.

    A state is where the curve enters the cube and along which axis it leaves it: 8 corners times 3 axes. After
    Hamilton (2006), "Compact Hilbert Indices", with its names.
    """

    def rotate(bits: int, by: int) -> int:
        by %= 3
        return (bits << by | bits >> (3 - by)) & 7

    gray = [rank ^ rank >> 1 for rank in range(8)]
    rank_of = {code: rank for rank, code in enumerate(gray)}
    turns = (0, 1, 0, 2, 0, 1, 0, 0)
    digits, states = np.empty((24, 8), np.uint32), np.empty((24, 8), np.uint8)
    for entry in range(8):
        for axis in range(3):
            for octant in range(8):
                rank = rank_of[rotate(octant ^ entry, -(axis + 1))]
                enters = gray[2 * ((rank - 1) // 2)] if rank else 0
                turn = 0 if rank == 0 else turns[rank - 1] if rank % 2 == 0 else turns[rank]
                digits[entry * 3 + axis, octant] = rank
                within = entry ^ rotate(enters, axis + 1)
                states[entry * 3 + axis, octant] = within * 3 + (axis + turn + 1) % 3
    return digits, states


_DIGITS, _NEXT_STATES = _curve_tables()


@njit(cache=True, nogil=True)
def _ranks(positions, shift, digits, next_states):  # type: ignore[no-untyped-def]
    """The rank on the curve, uint32 (n,), of the cell of each position int64 (n, 3); tables of ``_curve_tables``."""
    ranks = np.empty(len(positions), np.uint32)
    for i in range(len(positions)):
        x, y, z = positions[i, 0] >> shift, positions[i, 1] >> shift, positions[i, 2] >> shift
        rank, state = np.uint32(0), 0
        for level in range(BITS - 1, -1, -1):
            octant = (x >> level & 1) << 2 | (y >> level & 1) << 1 | (z >> level & 1)
            rank = rank << np.uint32(3) | digits[state, octant]
            state = next_states[state, octant]
        ranks[i] = rank
    return ranks


@njit(cache=True, nogil=True)
def _sorted_order(keys):  # type: ignore[no-untyped-def]
    """Rows int64 (n,) of keys uint32 (n,), ascending and stable: a radix sort by two digits of 12 bits."""
    order = np.arange(len(keys))
    other = np.empty_like(order)
    for shift in range(0, 3 * BITS, _DIGIT_BITS):
        ends = np.zeros((1 << _DIGIT_BITS) + 1, np.int64)
        for key in keys:
            ends[(key >> np.uint32(shift) & np.uint32((1 << _DIGIT_BITS) - 1)) + 1] += 1
        for digit in range(1 << _DIGIT_BITS):
            ends[digit + 1] += ends[digit]
        for i in order:
            digit = keys[i] >> np.uint32(shift) & np.uint32((1 << _DIGIT_BITS) - 1)
            other[ends[digit]] = i
            ends[digit] += 1
        order, other = other, order
    return order
