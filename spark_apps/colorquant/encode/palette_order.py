"""The order of palette entries that makes an indexed PNG small.

PNG's predictive filters subtract the neighbor's index, so they help only where neighboring pixels have close indexes.
The order is found from how often two colors meet: as in Zeng's method (Zeng, Li and Lei, 2000; Pinho and Neves, 2004)
colors are placed one after the other in a chain, the one that meets those placed most often first, but anywhere in the
chain and not only at its ends; then swaps of entries lower what is left.
"""

import numba
import numpy as np
import numpy.typing as npt

_SWAP_REACH = 50
_SWAP_ROUNDS = 6

# Cost of an index difference, in 1/1024 bit: about the length of a code for it. Integers, so that sums of costs are
# exact and the order is the same on every machine.
_DIFFERENCE_COST = np.rint(1024 * np.log2(1 + np.arange(256))).astype(np.int64)
# The difference itself has fewer local minima, so the search begins with it.
_DIFFERENCE = np.arange(256)


def luminance_order(palette: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Palette positions from light to dark by Rec. 601 luma; equal lumas in lexicographic order of (R, G, B).

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4): then transparent entries come first (``transparent_first``).
    """
    luma = palette[:, :3] @ np.array([299, 587, 114])
    order = np.lexsort((*palette.T[3:], palette[:, 2], palette[:, 1], palette[:, 0], -luma))
    return transparent_first(order, palette)


def hue_order(palette: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Palette positions by 24 classes of hue, from light to dark in each, as pixel artists' ramps are; greys first.

    Ramps of as many shades then make the same differences, so the same shape in other colors repeats.

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha, which is left out of account
    """
    red, green, blue = palette[:, :3].T.astype(np.int64)
    largest, spread = palette[:, :3].max(axis=1).astype(np.int64), np.ptp(palette[:, :3], axis=1).astype(np.int64)
    sixth = np.where(largest == red, green - blue, np.where(largest == green, blue - red, red - green))
    sector = np.where(largest == red, 0, np.where(largest == green, 2, 4))
    # Rounded to the next 24th of the circle.
    hue = (8 * (sector * spread + sixth) + spread) // np.maximum(1, 2 * spread) % 24
    hue[10 * spread < largest] = -1
    luma = palette[:, :3] @ np.array([299, 587, 114])
    return np.lexsort((*palette.T, -luma, hue))


def transparent_first(order: npt.NDArray[np.intp], palette: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """The same order, but opaque entries last: a PNG stores the alpha of all entries up to the last that has any.

    Parameters
    ----------
    palette : uint8 (k, 3 or 4), which the order is of
    """
    if palette.shape[1] == 3:
        return order
    opaque = palette[order, 3] == 255
    return np.concatenate([order[~opaque], order[opaque]])


def neighbor_order(indexes: npt.NDArray[np.uint8], colors: int) -> npt.NDArray[np.intp]:
    """Palette positions such that horizontal and vertical neighbors in the image have close ranks.

    A chain, then swaps of any two entries at most 50 ranks apart while they lower the sum of the rank differences of
    neighbors, then while they lower ``sum over pairs of neighbors of log2(1 + rank difference)``. The result depends on
    the order the palette has: give it in one order, for instance `luminance_order`, where the bytes of a file must not.

    Parameters
    ----------
    indexes : uint8 (H, W), each below ``colors``
    colors : int
        Size of the palette, 1 to 256.
    """
    meetings = count_meetings(indexes, colors)
    order = _chain(meetings)
    for difference_cost in (_DIFFERENCE, _DIFFERENCE_COST):
        _swap_entries(order, meetings, difference_cost, _SWAP_REACH, _SWAP_ROUNDS)
    return order


@numba.njit(cache=True, nogil=True)
def count_meetings(indexes: npt.NDArray[np.uint8], colors: int) -> npt.NDArray[np.int64]:
    """How often two palette entries are horizontal or vertical neighbors.

    Returns
    -------
    int64 (colors, colors)
        Symmetric, the diagonal zero.
    """
    height, width = indexes.shape
    meetings = np.zeros((colors, colors), dtype=np.int64)
    for y in range(height):
        for x in range(width):
            here = indexes[y, x]
            if x > 0:
                meetings[here, indexes[y, x - 1]] += 1
            if y > 0:
                meetings[here, indexes[y - 1, x]] += 1
    for a in range(colors):
        meetings[a, a] = 0
        for b in range(a):
            meetings[a, b] += meetings[b, a]
            meetings[b, a] = meetings[a, b]
    return meetings


@numba.njit(cache=True, nogil=True)
def _chain(meetings: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Grow a chain from one of the pair that meets most, each time by the entry that meets the chain most often.

    The entry goes where the sum of (meetings x distance) of the whole chain grows least.
    """
    colors = len(meetings)
    chain = np.empty(colors, dtype=np.intp)
    chain[0] = np.argmax(meetings) // colors
    placed = np.zeros(colors, dtype=np.bool_)
    placed[chain[0]] = True
    affinity = meetings[chain[0]].copy()
    for length in range(1, colors):
        entry = -1
        for other in range(colors):
            if not placed[other] and (entry < 0 or affinity[other] > affinity[entry]):
                entry = other
        # Before the first place nothing is pushed apart, and all of the chain is to the right.
        apart = np.int64(0)
        to_left, to_right, reach = np.int64(0), np.int64(0), np.int64(0)
        for at in range(length):
            to_right += meetings[entry, chain[at]]
            reach += meetings[entry, chain[at]] * (at + 1)
        best, least = 0, reach
        for at in range(1, length + 1):
            passed = chain[at - 1]
            for other in range(length):
                apart += meetings[passed, chain[other]] * (1 if other >= at else -1 if other < at - 1 else 0)
            # To the left of the entry now, at the same distance as before; the others move: left farther, right closer.
            to_right -= meetings[entry, passed]
            reach += to_left - to_right
            to_left += meetings[entry, passed]
            if reach + apart < least:
                best, least = at, reach + apart
        for at in range(length, best, -1):
            chain[at] = chain[at - 1]
        chain[best] = entry
        placed[entry] = True
        affinity += meetings[entry]
    return chain


@numba.njit(cache=True, nogil=True)
def _swap_entries(
    order: npt.NDArray[np.intp],
    meetings: npt.NDArray[np.int64],
    difference_cost: npt.NDArray[np.int64],
    reach: int,
    rounds: int,
) -> None:
    colors = len(order)
    by_rank = np.empty((colors, colors), np.int64)
    for i in range(colors):
        for j in range(colors):
            by_rank[i, j] = meetings[order[i], order[j]]
    # What a difference costs, by its place behind one of -(colors - 1): the inner loop then reads side by side.
    cost = np.empty(2 * colors - 1, np.int64)
    for place in range(2 * colors - 1):
        cost[place] = difference_cost[abs(place - (colors - 1))]
    for _ in range(rounds):
        swapped = False
        for i in range(colors):
            from_i = cost[colors - 1 - i : 2 * colors - 1 - i]
            for j in range(i + 1, min(colors, i + 1 + reach)):
                from_j = cost[colors - 1 - j : 2 * colors - 1 - j]
                change = np.int64(0)
                for at in range(colors):
                    change += (by_rank[i, at] - by_rank[j, at]) * (from_j[at] - from_i[at])
                # The distance between the two stays.
                change -= (by_rank[i, i] - by_rank[j, i]) * (from_j[i] - from_i[i])
                change -= (by_rank[i, j] - by_rank[j, j]) * (from_j[j] - from_i[j])
                if change < 0:
                    order[i], order[j] = order[j], order[i]
                    for at in range(colors):
                        by_rank[i, at], by_rank[j, at] = by_rank[j, at], by_rank[i, at]
                    for at in range(colors):
                        by_rank[at, i], by_rank[at, j] = by_rank[at, j], by_rank[at, i]
                    swapped = True
        if not swapped:
            return
