"""Direct search for the index map whose errors the eye sees least: dithering that no diffusion rule limits.

Every pixel in turn takes the entry with which the energy of the blurred error (see ``eye_model``) is least, given the
entries of its neighbors, until little changes: direct binary search (Analoui and Allebach, 1992), for palettes known as
spatial color quantization (Puzicha, Held, Ketterer, Buhmann and Fellner, 2000), by iterated conditional modes (Besag,
1986). The first pass, in which the pixels ahead have no error yet, is error diffusion with the kernel's weights.

The energy of errors e is the sum over pairs of pixels p, q of ``KERNEL[p - q] e(p) e(q)``. A field holds the sum over q
of ``KERNEL[p - q] e(q)`` for every pixel, so that a change costs a few products to judge, and only an accepted one the
size of the kernel.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.perception.eye_model import KERNEL, LIMIT, NO_BLUR, Places, places_of
from colorquant.remap import BAND_ROWS

PASSES = 3
# What the error of the neighbors asks for is looked up in boxes of this many steps a side, each with its entries.
_BOX_BITS = 6
_BOXES = (LIMIT >> _BOX_BITS) + 1
_CANDIDATES = 10


@dataclass(frozen=True)
class DirectSearch:
    """In the place of a ``rate_aware.RateModel``: pixels go to palette entries by the eye's model.

    Attributes
    ----------
    blurred : bool
        Whether errors of neighbors cancel each other (dithering), or each pixel takes its nearest entry.
    price : int
        Energy that a pixel may cost to have the entry of one more of its four neighbors (Potts, 1952): what lets
        DEFLATE go on with a run, or with a copy of the row above.
    """

    blurred: bool = True
    price: int = 0

    @property
    def kernel(self) -> npt.NDArray[np.int32]:
        """What errors of two pixels count together, int32 (2 r + 1, 2 r + 1)."""
        return KERNEL if self.blurred else NO_BLUR


def remap_directly(
    pixels: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8], search: DirectSearch
) -> npt.NDArray[np.uint8]:
    """Index map uint8 (h, W) of pixels uint8 (h, W, 3), rows of an image from a multiple of ``BAND_ROWS`` on.

    Parameters
    ----------
    palette : uint8 (k, 3), 1 <= k <= 256
    """
    entries = places_of(palette).astype(np.int64)
    near = near_entries(entries)
    indexes = np.empty(pixels.shape[:2], np.uint8)
    for top in range(0, len(pixels), BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        indexes[band] = search_band(places_of(pixels[band]), entries, near, search)
    return indexes


def search_band(
    places: Places, entries: npt.NDArray[np.int64], near: npt.NDArray[np.uint8], search: DirectSearch
) -> npt.NDArray[np.uint8]:
    """Index map uint8 (h, W) of one band of at most ``BAND_ROWS`` rows.

    Parameters
    ----------
    places : int32 (h, W, 3)
        Of the pixels.
    entries : int64 (k, 3)
        Places of the palette's entries.
    near : of ``near_entries``.
    """
    indexes = np.zeros(places.shape[:2], np.uint8)
    passes = PASSES if search.blurred or search.price else 1
    _search(places, entries, near, search.kernel, search.price, passes, indexes)
    return indexes


def near_entries(entries: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The entries that are nearest to the middle of each box of the space, uint8 (boxes, boxes, boxes, m)."""
    near = np.empty((_BOXES, _BOXES, _BOXES, min(_CANDIDATES, len(entries))), np.uint8)
    _fill_near(entries, near)
    return near


@njit(cache=True, nogil=True)
def _fill_near(entries, near):  # type: ignore[no-untyped-def]
    wanted = near.shape[3]
    nearest = np.empty(wanted, np.int64)
    half = 1 << _BOX_BITS >> 1
    for a in range(_BOXES):
        for b in range(_BOXES):
            for c in range(_BOXES):
                found = 0
                for j in range(len(entries)):
                    x = (a << _BOX_BITS) + half - entries[j, 0]
                    y = (b << _BOX_BITS) + half - entries[j, 1]
                    z = (c << _BOX_BITS) + half - entries[j, 2]
                    distance = x * x + y * y + z * z
                    if found < wanted:
                        found += 1
                    elif distance >= nearest[wanted - 1]:
                        continue
                    rank = found - 1
                    while rank > 0 and nearest[rank - 1] > distance:
                        nearest[rank], near[a, b, c, rank] = nearest[rank - 1], near[a, b, c, rank - 1]
                        rank -= 1
                    nearest[rank], near[a, b, c, rank] = distance, j


@njit(cache=True, nogil=True)
def _search(places, entries, near, kernel, price, passes, indexes):  # type: ignore[no-untyped-def]
    """Passes over a band; the arithmetic is exact: errors below 2^11, kernel sums below 2^13, fields below 2^24."""
    height, width = indexes.shape
    radius, candidates, own = kernel.shape[0] // 2, near.shape[3], np.int64(kernel.max())
    field = np.zeros((3, height + 2 * radius, width + 2 * radius), np.int32)
    errors = np.zeros((height, width, 3), np.int32)
    for step in range(passes):
        changed = 0
        for y in range(height):
            for x in range(width):
                place, error = places[y, x], errors[y, x]
                # Of the neighbors alone. Halved, it is what the pixel's error is multiplied with beside itself.
                u = np.int64(field[0, y + radius, x + radius]) - own * error[0]
                v = np.int64(field[1, y + radius, x + radius]) - own * error[1]
                w = np.int64(field[2, y + radius, x + radius]) - own * error[2]
                box = near[
                    min(max((place[0] - u // own) >> _BOX_BITS, 0), _BOXES - 1),
                    min(max((place[1] - v // own) >> _BOX_BITS, 0), _BOXES - 1),
                    min(max((place[2] - w // own) >> _BOX_BITS, 0), _BOXES - 1),
                ]
                current = indexes[y, x]
                least, best = np.int64(1 << 62), current
                # With a price, the neighbors' entries are candidates too; those ahead have none in the first pass.
                left = indexes[y, x - 1] if x > 0 else -1
                above = indexes[y - 1, x] if y > 0 else -1
                right = indexes[y, x + 1] if step > 0 and x < width - 1 else -1
                below = indexes[y + 1, x] if step > 0 and y < height - 1 else -1
                for candidate in range(candidates + (4 if price > 0 else 0)):
                    if candidate < candidates:
                        j = np.int64(box[candidate])
                    else:
                        j = np.int64((left, above, right, below)[candidate - candidates])
                        if j < 0:
                            continue
                    a, b, c = entries[j, 0] - place[0], entries[j, 1] - place[1], entries[j, 2] - place[2]
                    energy = a * (own * a + 2 * u) + b * (own * b + 2 * v) + c * (own * c + 2 * w)
                    if price > 0:
                        energy -= price * ((j == left) + (j == above) + (j == right) + (j == below))
                    if energy < least or (energy == least and j == current):
                        least, best = energy, j
                if step > 0 and best == current:
                    continue
                changed += 1
                indexes[y, x] = best
                for axis in range(3):
                    moved = np.int32(entries[best, axis] - place[axis] - error[axis])
                    error[axis] += moved
                    if moved != 0:
                        for row in range(kernel.shape[0]):
                            for column in range(kernel.shape[1]):
                                field[axis, y + row, x + column] += kernel[row, column] * moved
        if changed == 0:
            break
