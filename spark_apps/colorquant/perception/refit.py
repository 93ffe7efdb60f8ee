"""The palette with which an index map looks best: least squares of the blurred error.

For a given index map the energy of the blurred error (see ``eye_model``) is quadratic in the palette's entries, so that
the best ones solve a system of k linear equations, one for each entry, whose sums are integers that bands of the image
add up to. It is what the update is in K-Means, which is the case of an eye that does not blur (Puzicha et al., 2000).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.perception.direct_search import DirectSearch, search_band
from colorquant.perception.entries import Entries
from colorquant.perception.eye_model import LIMIT, coordinates_of
from colorquant.remap import BAND_ROWS

_SWEEPS = 5


@dataclass(frozen=True, eq=False)
class RefitSums:
    """The equations' sums over bands of an image; exact, mergeable in any order with ``+``.

    Attributes
    ----------
    pairs : int64 (k, k)
        Sums of the kernel over pairs of pixels that have two given entries.
    targets : int64 (k, 3 or 6)
        Sums over the pixels of each entry of the blurred image.
    """

    pairs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]

    @property
    def used(self) -> npt.NDArray[np.bool_]:
        """The entries that the index maps use, bool (k,)."""
        return self.pairs.diagonal() > 0

    def energy(self, entries: npt.NDArray[np.int32]) -> int:
        """The energy of the blurred error with these ``used`` entries (k', 3 or 6), less that of the image itself."""
        entries = entries.astype(np.int64)
        pairs, targets = self.pairs[self.used][:, self.used], self.targets[self.used]
        # Of 100 megapixels and more the whole sum is above 2^63.
        return int((entries.astype(object) * (pairs @ entries - 2 * targets)).sum())

    def __add__(self, other: Self) -> Self:
        return type(self)(self.pairs + other.pairs, self.targets + other.targets)


def refit_sums(pixels: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8], search: DirectSearch) -> RefitSums:
    """The sums of rows uint8 (h, W, 3 or 4) from a multiple of 64 on, with the index map that a search finds."""
    entries = Entries(palette)
    k = len(palette)
    sums = RefitSums(np.zeros((k, k), np.int64), np.zeros(entries.coordinates.shape, np.int64))
    for top in range(0, len(pixels), BAND_ROWS):
        band = pixels[top : top + BAND_ROWS]
        coordinates = coordinates_of(band)
        indexes = search_band(band, coordinates, entries, search)
        _add_sums(coordinates, indexes, search.kernel, sums.pairs, sums.targets)
    return sums


def refitted(entries: npt.NDArray[np.float64], sums: RefitSums, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Coordinates float64 (k, 3 or 6) of better entries, by sweeps of Gauss and Seidel's method from the present ones.

    Parameters
    ----------
    free : bool (k, 3 or 6)
        Coordinates that may change.
    """
    moved = np.array(entries, np.float64)
    _sweep(sums.pairs, sums.targets, free, moved)
    return moved


@njit(cache=True, nogil=True)
def _add_sums(coordinates, indexes, kernel, pairs, targets):  # type: ignore[no-untyped-def]
    height, width = indexes.shape
    radius = kernel.shape[0] // 2
    for y in range(height):
        for x in range(width):
            entry = indexes[y, x]
            for row in range(max(0, y - radius), min(height, y + radius + 1)):
                for column in range(max(0, x - radius), min(width, x + radius + 1)):
                    weight = np.int64(kernel[row - y + radius, column - x + radius])
                    pairs[entry, indexes[row, column]] += weight
                    for axis in range(targets.shape[1]):
                        targets[entry, axis] += weight * coordinates[row, column, axis]


@njit(cache=True, nogil=True)
def _sweep(pairs, targets, free, entries):  # type: ignore[no-untyped-def]
    for _ in range(_SWEEPS):
        for i in range(len(entries)):
            if pairs[i, i] == 0:
                continue
            for axis in range(entries.shape[1]):
                if free[i, axis]:
                    left = float(targets[i, axis])
                    for j in range(len(entries)):
                        left -= pairs[i, j] * entries[j, axis]
                    entries[i, axis] = min(max(entries[i, axis] + left / pairs[i, i], 0.0), float(LIMIT))
