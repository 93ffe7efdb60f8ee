"""A small file that looks right: the index map with the least visible error for its bits, one row after another.

Each row is the cheapest path through a trellis whose states are how DEFLATE may code a pixel, with the prices of
``remap.rate_aware``: a literal, a run of the left neighbor, or a copy of indexes nearby in the rows above. Unlike there

- errors are those of the eye's space, and count by ``importance``: texture hides them, so that bits are saved there;
- errors of neighbors cancel each other, as in ``direct_search``: each state carries the errors of its own path's last
  pixels (per-survivor processing: Raheli, Polydoros and Tzou, 1995), and the rows above have left theirs. Dithering so
  appears where it is worth its bits.

Bands of 64 rows do not depend on each other. All decisions are in whole numbers.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.perception.entries import BOX_BITS, BOXES, OPAQUE, TRANSLUCENT, TRANSPARENT, Entries
from colorquant.perception.eye_model import KERNEL
from colorquant.perception.importance import importance
from colorquant.remap import RateModel, cheapest, copied_from, write_path

# What errors of two pixels count together, as a part of what the eye's model says. With all of it more of the picture
# is dithered: files of five Kodak images were 4 % larger at equal SSIMULACRA2.
_TOGETHER = 0.5
# Weights are those of the palette to this power: 1 makes files 4 % larger, 2 makes them 1 % larger.
_POWER = 1.5
_LARGEST_WEIGHT = 64
_WEIGHTS = np.maximum(
    1, np.rint(_LARGEST_WEIGHT * (np.arange(_LARGEST_WEIGHT + 1) / _LARGEST_WEIGHT) ** _POWER)
).astype(np.int64)
# So many times the weight has the error of a pixel in a flat area whose very color is an entry: where an area is lost
# in its ground, SSIMULACRA2 falls by far. With 64 times files are larger again.
_EXACT = 8
_UNREACHABLE = np.int64(1 << 61)


def kernel_of(blurred: bool) -> npt.NDArray[np.int32]:
    """What errors of two pixels count together, int32 (2 r + 1, 2 r + 1)."""
    kernel = np.rint(KERNEL * (_TOGETHER if blurred else 0.0)).astype(np.int32)
    middle = len(kernel) // 2
    kernel[middle, middle] = KERNEL[middle, middle]
    return kernel


def path_of_least_cost(
    pixels: npt.NDArray[np.uint8],
    coordinates: npt.NDArray[np.int32],
    entries: Entries,
    calm: npt.NDArray[np.bool_],
    model: RateModel,
    blurred: bool,
) -> npt.NDArray[np.uint8]:
    """Index map uint8 (h, W) of one band of at most 64 rows.

    Parameters
    ----------
    pixels : uint8 (h, W, 3 or 4)
    coordinates : int32 (h, W, 3 or 6)
        Of the pixels.
    entries : Entries
        Of the palette.
    calm : bool (h, W)
        Pixels where errors do not cancel each other.
    model : RateModel
        Prices, in energies of an error that counts most.
    blurred : bool
        Whether errors of neighbors cancel each other.
    """
    indexes = np.empty(pixels.shape[:2], np.uint8)
    kinds = np.full(indexes.shape, OPAQUE, np.uint8)
    if pixels.shape[2] == 4:
        kinds[pixels[..., 3] < 255] = TRANSLUCENT
        kinds[pixels[..., 3] == 0] = TRANSPARENT
    _PATHS[coordinates.shape[2]](
        coordinates,
        _WEIGHTS[importance(coordinates)],
        kinds,
        calm,
        entries.coordinates,
        entries.allowed,
        entries.near,
        kernel_of(blurred),
        (model.literal, model.run, model.copies, model.offsets),
        indexes,
    )
    return indexes


def _compiled(axes):  # type: ignore[no-untyped-def]
    """The search in 3 or 6 dimensions, a constant to the compiler."""
    sides = axes // 3

    @njit(cache=True, nogil=True)
    def energy(point, entries, j, pulls, state, own):  # type: ignore[no-untyped-def]
        """Of an error, with twice its product with the errors around it; below 2^38."""
        found = np.int64(0)
        for axis in range(axes):
            off = entries[j, axis] - point[axis]
            found += off * (own * off + 2 * pulls[state, axis])
        return found

    @njit(cache=True, nogil=True)
    def is_flat(points, y, x):  # type: ignore[no-untyped-def]
        """Whether a pixel has the color of one next to it."""
        for row, column in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= row < points.shape[0] and 0 <= column < points.shape[1]:
                same = True
                for axis in range(axes):
                    if points[row, column, axis] != points[y, x, axis]:
                        same = False
                if same:
                    return True
        return False

    @njit(cache=True, nogil=True)
    def entry_of(point, entries, near):  # type: ignore[no-untyped-def]
        """The entry that has exactly the coordinates of a point; -1 where none has."""
        for candidate in range(near.shape[3]):
            j = np.int64(near[point[0] >> BOX_BITS, point[1] >> BOX_BITS, point[2] >> BOX_BITS, candidate])
            same = True
            for axis in range(axes):
                if entries[j, axis] != point[axis]:
                    same = False
            if same:
                return j
        return np.int64(-1)

    @njit(cache=True, nogil=True)
    def search(points, weights, kinds, calm, entries, allowed, near, kernel, model, indexes):  # type: ignore[no-untyped-def]
        literal, run, copies, offsets = model
        height, width = indexes.shape
        radius = kernel.shape[0] // 2
        own = np.int64(kernel[radius, radius])
        candidates = near.shape[3]
        dithered = kernel[radius, radius - 1] > 0
        states = 2 + len(offsets)
        came_from = np.zeros((width, states), np.uint8)
        chosen = np.zeros((width, states), np.uint8)
        before, costs = np.zeros(states, np.int64), np.zeros(states, np.int64)
        # Errors of each path's last pixels, the latest first; and what all rows above pull each pixel to.
        errors = np.zeros((states, radius, axes), np.int32)
        moved = np.zeros((states, radius, axes), np.int32)
        field = np.zeros((height + radius, width + 2 * radius, axes), np.int32)
        pulls = np.zeros((states, axes), np.int64)
        point = np.zeros(axes, np.int64)
        target = np.zeros(3, np.int64)
        for y in range(height):
            before[:] = 0
            errors[:] = 0
            # After so many calm pixels no path has an error that counts.
            still = radius
            for x in range(width):
                weight, kind = weights[y, x], kinds[y, x]
                best = cheapest(before)
                # Costs are those above the cheapest, so that no width of an image makes them overflow.
                base = before[best]
                for state in range(states):
                    before[state] -= base
                for axis in range(axes):
                    point[axis] = points[y, x, axis]
                exact = entry_of(point, entries, near) if kind == OPAQUE and is_flat(points, y, x) else -1
                if exact >= 0:
                    weight *= _EXACT
                if not dithered or calm[y, x]:
                    pulls[:] = 0
                for state in range(states if dithered and not calm[y, x] else 0):
                    for axis in range(axes):
                        pull = field[y, x + radius, axis]
                        for back in range(radius):
                            pull += kernel[radius, radius - 1 - back] * errors[state, back, axis]
                        pulls[state, axis] = pull

                for axis in range(3):
                    # With alpha in the middle of black and white.
                    pulled = pulls[best, axis] // own
                    if sides == 2:
                        pulled = (pulls[best, axis] + pulls[best, axis + 3]) // (2 * own)
                    target[axis] = min(max((point[axis] - pulled) >> BOX_BITS, 0), BOXES - 1)
                least = _UNREACHABLE
                if exact >= 0:
                    least, chosen[x, 0] = (
                        energy(point, entries, exact, pulls, best, own) * weight + literal[exact],
                        exact,
                    )
                opaque = kind == OPAQUE
                for candidate in range(0 if exact >= 0 else candidates if opaque else len(entries)):
                    j = np.int64(candidate)
                    if opaque:
                        j = np.int64(near[target[0], target[1], target[2], candidate])
                    if not allowed[kind, j]:
                        continue
                    cost = energy(point, entries, j, pulls, best, own) * weight + literal[j]
                    if cost < least:
                        least = cost
                        chosen[x, 0] = j
                costs[0] = before[best] + least
                came_from[x, 0] = best

                costs[1] = _UNREACHABLE
                if x > 0:
                    for previous in (1, best):
                        j = np.int64(chosen[x - 1, previous])
                        if not allowed[kind, j]:
                            continue
                        cost = before[previous] + energy(point, entries, j, pulls, previous, own) * weight
                        if previous != 1:
                            cost += run
                        if cost < costs[1]:
                            costs[1] = cost
                            came_from[x, 1] = previous
                            chosen[x, 1] = j

                for copy in range(len(offsets)):
                    state = copy + 2
                    j = copied_from(indexes, y, x, offsets[copy, 0], offsets[copy, 1])
                    if j < 0 or not allowed[kind, j]:
                        costs[state] = _UNREACHABLE
                        continue
                    going_on = x > 0 and before[state] <= before[best] + copies[copy]
                    previous = state if going_on else best
                    came_from[x, state] = previous
                    chosen[x, state] = j
                    costs[state] = before[previous] + energy(point, entries, j, pulls, previous, own) * weight
                    if not going_on:
                        costs[state] += copies[copy]

                for state in range(states if dithered and not (calm[y, x] and still >= radius) else 0):
                    previous = came_from[x, state]
                    for axis in range(axes):
                        for back in range(radius - 1, 0, -1):
                            moved[state, back, axis] = errors[previous, back - 1, axis]
                        error = np.int32(entries[np.int64(chosen[x, state]), axis] - point[axis])
                        moved[state, 0, axis] = np.int32(0) if calm[y, x] else error
                if dithered and not (calm[y, x] and still >= radius):
                    errors, moved = moved, errors
                still = still + 1 if calm[y, x] else 0
                before, costs = costs, before
            write_path(cheapest(before), came_from, chosen, indexes[y])
            for x in range(width):
                if dithered and not calm[y, x]:
                    for axis in range(axes):
                        error = np.int32(entries[np.int64(indexes[y, x]), axis] - points[y, x, axis])
                        if error != 0:
                            for row in range(1, radius + 1):
                                for column in range(2 * radius + 1):
                                    field[y + row, x + column, axis] += kernel[radius + row, column] * error

    return search


_PATHS = {axes: _compiled(axes) for axes in (3, 6)}
