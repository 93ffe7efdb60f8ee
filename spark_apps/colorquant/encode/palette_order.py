"""The order of palette entries that makes an indexed PNG small.

PNG's predictive filters subtract the neighbor's index, so they help only where neighboring pixels have close indexes.
The order is found from how often two colors meet: modified Zeng (Zeng, Li and Lei, 2000; Pinho and Neves, 2004)
places the colors one after the other at either end of a chain, then swaps of entries lower what is left.
"""

import numba
import numpy as np
import numpy.typing as npt

_SWAP_REACH = 50
_SWAP_ROUNDS = 6

# Cost of an index difference, in 1/1024 bit: about the length of a code for it. Integers, so that sums of costs are
# exact and the order is the same on every machine.
_DIFFERENCE_COST = np.rint(1024 * np.log2(1 + np.arange(256))).astype(np.int64)


def luminance_order(palette: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Palette positions from light to dark by Rec. 601 luma; equal lumas in lexicographic order of (R, G, B).

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4): then transparent entries come first (``transparent_first``).
    """
    luma = palette[:, :3] @ np.array([299, 587, 114])
    order = np.lexsort((*palette.T[3:], palette[:, 2], palette[:, 1], palette[:, 0], -luma))
    return transparent_first(order, palette)


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

    Modified Zeng, then swaps of any two entries at most 50 ranks apart while they lower
    ``sum over pairs of neighbors of log2(1 + rank difference)``. The result depends on the order the palette
    has: give it in one order, for instance `luminance_order`, where the bytes of a file must not.

    Parameters
    ----------
    indexes : uint8 (H, W), each below ``colors``
    colors : int
        Size of the palette, 1 to 256.
    """
    meetings = count_meetings(indexes, colors)
    order = _modified_zeng(meetings)
    _swap_entries(order, meetings, _DIFFERENCE_COST, _SWAP_REACH, _SWAP_ROUNDS)
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
def _modified_zeng(meetings: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Grow a chain from the pair that meets most, each time by the entry that meets the chain most often.

    The entry goes to the end where the sum of (meetings x distance) is smaller.
    """
    colors = len(meetings)
    # The chain grows both ways from the middle of an array of twice its length.
    chain = np.empty(2 * colors + 2, dtype=np.intp)
    first = last = colors
    chain[first] = np.argmax(meetings) // colors
    placed = np.zeros(colors, dtype=np.bool_)
    placed[chain[first]] = True
    affinity = meetings[chain[first]].copy()
    for _ in range(colors - 1):
        best = -1
        for entry in range(colors):
            if not placed[entry] and (best < 0 or affinity[entry] > affinity[best]):
                best = entry
        lean = 0
        for at in range(first, last + 1):
            lean += meetings[best, chain[at]] * (first + last - 2 * at)
        if lean > 0:
            first -= 1
            chain[first] = best
        else:
            last += 1
            chain[last] = best
        placed[best] = True
        affinity += meetings[best]
    return chain[first : last + 1].copy()


@numba.njit(cache=True, nogil=True)
def _swap_entries(
    order: npt.NDArray[np.intp],
    meetings: npt.NDArray[np.int64],
    difference_cost: npt.NDArray[np.int64],
    reach: int,
    rounds: int,
) -> None:
    colors = len(order)
    for _ in range(rounds):
        swapped = False
        for i in range(colors):
            for j in range(i + 1, min(colors, i + 1 + reach)):
                a, b = order[i], order[j]
                change = 0
                for at in range(colors):
                    if at != i and at != j:
                        other = order[at]
                        change += (meetings[a, other] - meetings[b, other]) * (
                            difference_cost[abs(j - at)] - difference_cost[abs(i - at)]
                        )
                if change < 0:
                    order[i], order[j] = b, a
                    swapped = True
        if not swapped:
            return
