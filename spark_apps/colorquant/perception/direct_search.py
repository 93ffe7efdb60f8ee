"""Direct search for the index map whose errors the eye sees least: dithering that no diffusion rule limits.

Every pixel in turn takes the entry with which the energy of the blurred error (see ``eye_model``) is least, given the
entries of its neighbors, until little changes: direct binary search (Analoui and Allebach, 1992), for palettes known as
spatial color quantization (Puzicha, Held, Ketterer, Buhmann and Fellner, 2000), by iterated conditional modes (Besag,
1986). The first pass, in which the pixels ahead have no error yet, is error diffusion with the kernel's weights.

Pixels are mixed only where that removes a band: a pixel whose very color is an entry keeps it, one in a flat area that
ends at edges takes its nearest entry, and an entry that differs from that of an equal neighbor costs something.

With alpha, a color is two: how it looks on black and on white. Opaque pixels take opaque entries.

The energy of errors e is the sum over pairs of pixels p, q of ``KERNEL[p - q] e(p) e(q)``. A field holds the sum over q
of ``KERNEL[p - q] e(q)`` for every pixel, so that a change costs a few products to judge, and only an accepted one the
size of the kernel.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.perception.entries import BOX_BITS, BOXES, Entries
from colorquant.perception.eye_model import KERNEL, NO_BLUR, Coordinates, coordinates_of
from colorquant.perception.trellis import path_of_least_cost
from colorquant.remap import BAND_ROWS, RateModel

PASSES = 3
# The largest difference of a gradient's steps, 5 % of the range; and the energy that a pixel may cost to have the entry
# of a neighbor of its very color. Measured: pixel art is a third as large, a heat map 4 to 20 % smaller.
_GRADIENT_STEP = 120
_FLAT_PRICE = 12_000


@dataclass(frozen=True, eq=False)
class DirectSearch:
    """How pixels are assigned to palette entries by the eye's model; see ``rate_aware.RateModel`` for another way.

    Attributes
    ----------
    blurred : bool
        Whether errors of neighbors cancel each other (dithering), or each pixel takes its nearest entry.
    prices : RateModel, optional
        Of bits, in energies of an error that counts most: with them the index map is that of ``trellis``.
    """

    blurred: bool = True
    prices: RateModel | None = None

    @property
    def kernel(self) -> npt.NDArray[np.int32]:
        """What errors of two pixels count together, int32 (2 r + 1, 2 r + 1)."""
        return KERNEL if self.blurred else NO_BLUR


def remap_directly(
    pixels: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8], search: DirectSearch
) -> npt.NDArray[np.uint8]:
    """Index map uint8 (h, W) of pixels uint8 (h, W, 3 or 4), rows of an image from a multiple of ``BAND_ROWS`` on.

    Parameters
    ----------
    palette : uint8 (k, 3 or 4), 1 <= k <= 256
    """
    entries = Entries(palette)
    indexes = np.empty(pixels.shape[:2], np.uint8)
    for top in range(0, len(pixels), BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        indexes[band] = search_band(pixels[band], coordinates_of(pixels[band]), entries, search)
    return indexes


def search_band(
    pixels: npt.NDArray[np.uint8], coordinates: Coordinates, entries: Entries, search: DirectSearch
) -> npt.NDArray[np.uint8]:
    """Index map uint8 (h, W) of one band of at most ``BAND_ROWS`` rows.

    Parameters
    ----------
    pixels : uint8 (h, W, 3 or 4)
    coordinates : int32 (h, W, 3 or 6)
        Of the pixels.
    """
    indexes = np.zeros(pixels.shape[:2], np.uint8)
    calm = np.zeros(indexes.shape, np.bool_)
    if search.blurred:
        _find_calm(coordinates, _GRADIENT_STEP**2, calm)
    if search.prices is not None:
        return path_of_least_cost(pixels, coordinates, entries, calm, search.prices, search.blurred)
    opaque = pixels[..., 3] == 255 if pixels.shape[2] == 4 else np.ones(indexes.shape, np.bool_)
    _SEARCHES[coordinates.shape[2]](
        coordinates,
        opaque,
        calm,
        entries.exact(pixels),
        entries.coordinates,
        entries.near,
        search.kernel,
        _FLAT_PRICE if search.blurred else 0,
        PASSES if search.blurred else 1,
        indexes,
    )
    return indexes


@njit(cache=True, nogil=True)
def _find_calm(points, smooth, calm):  # type: ignore[no-untyped-def]
    """Mark pixels of flat areas whose edges are no steps of a gradient, so that there is no band to remove.

    A pixel is of a flat area if a neighbor has its color. In each of four directions the first other color decides,
    which is a step of a gradient up to a squared distance of ``smooth``.
    """
    height, width, axes = points.shape
    flat = np.zeros((height, width), np.bool_)
    band = np.zeros((height, width), np.bool_)
    steps = np.zeros((height, width), np.bool_)
    for rows, columns, towards in ((0, 1, 1), (0, 1, -1), (1, 0, 1), (1, 0, -1)):
        for i in range(height):
            y = i if towards > 0 else height - 1 - i
            for j in range(width):
                x = j if towards > 0 else width - 1 - j
                row, column = y - rows * towards, x - columns * towards
                steps[y, x] = False
                if 0 <= row < height and 0 <= column < width:
                    distance = np.int64(0)
                    for axis in range(axes):
                        off = np.int64(points[y, x, axis]) - points[row, column, axis]
                        distance += off * off
                    if distance == 0:
                        flat[y, x] = True
                        steps[y, x] = steps[row, column]
                    else:
                        steps[y, x] = distance <= smooth
                band[y, x] |= steps[y, x]
    for y in range(height):
        for x in range(width):
            calm[y, x] = flat[y, x] and not band[y, x]


def _compiled(axes):  # type: ignore[no-untyped-def]
    """The search in 3 or 6 dimensions, a constant to the compiler, which makes the search faster."""
    sides = axes // 3

    @njit(cache=True, nogil=True)
    def search(points, opaque, calm, exact, entries, near, kernel, flat_price, passes, indexes):  # type: ignore[no-untyped-def]
        """Passes over a band; the arithmetic is exact: errors below 2^11, kernel sums below 2^13, fields below 2^24."""
        height, width = indexes.shape
        radius, own = kernel.shape[0] // 2, np.int64(kernel.max())
        field = np.zeros((axes, height + 2 * radius, width + 2 * radius), np.int32)
        errors = np.zeros((height, width, axes), np.int32)
        pull = np.empty(axes, np.int64)
        target = np.empty(3, np.int64)
        around = np.empty(4, np.int64)
        for step in range(passes):
            changed = 0
            for y in range(height):
                for x in range(width):
                    if exact[y, x] >= 0:
                        indexes[y, x] = exact[y, x]
                        continue
                    if step > 0 and calm[y, x]:
                        continue
                    point, error = points[y, x], errors[y, x]
                    # Of the neighbors alone. Halved, it is what the error of the pixel itself is multiplied by.
                    for axis in range(axes):
                        pull[axis] = np.int64(field[axis, y + radius, x + radius]) - own * error[axis]
                        if calm[y, x]:
                            pull[axis] = 0
                    for axis in range(3):
                        # With alpha in the middle of black and white.
                        pulled = pull[axis] // own if sides == 1 else (pull[axis] + pull[axis + 3]) // (2 * own)
                        target[axis] = min(max((point[axis] - pulled) >> BOX_BITS, 0), BOXES - 1)
                    box = near[target[0], target[1], target[2]]
                    candidates = len(box) if opaque[y, x] else len(entries)
                    current = indexes[y, x]
                    least, best = np.int64(1 << 62), np.int64(current)
                    # Entries of neighbors of the pixel's very color; those ahead have none in the first pass.
                    neighbors = 0
                    for side in range((4 if step > 0 else 2) if flat_price > 0 else 0):
                        row, column = y - (side == 1) + (side == 3), x - (side == 0) + (side == 2)
                        if 0 <= row < height and 0 <= column < width and opaque[row, column] >= opaque[y, x]:
                            same = True
                            for axis in range(axes):
                                if points[row, column, axis] != point[axis]:
                                    same = False
                            if same:
                                around[neighbors] = indexes[row, column]
                                neighbors += 1
                    for candidate in range(candidates + neighbors):
                        if candidate >= candidates:
                            j = around[candidate - candidates]
                        elif opaque[y, x]:
                            j = np.int64(box[candidate])
                        else:
                            j = np.int64(candidate)
                        energy = np.int64(0)
                        for axis in range(axes):
                            off = entries[j, axis] - point[axis]
                            energy += off * (own * off + 2 * pull[axis])
                        for i in range(neighbors):
                            if around[i] == j:
                                energy -= flat_price
                        if energy < least or (energy == least and j == current):
                            least, best = energy, j
                    if step > 0 and best == current:
                        continue
                    changed += 1
                    indexes[y, x] = best
                    if calm[y, x]:
                        continue
                    for axis in range(axes):
                        moved = np.int32(entries[best, axis] - point[axis] - error[axis])
                        error[axis] += moved
                        if moved != 0:
                            for row in range(kernel.shape[0]):
                                for column in range(kernel.shape[1]):
                                    field[axis, y + row, x + column] += kernel[row, column] * moved
            if changed == 0:
                break

    return search


_SEARCHES = {axes: _compiled(axes) for axes in (3, 6)}
