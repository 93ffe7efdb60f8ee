"""Samples of any depth to the 256 levels of 8 bits."""

import numpy as np

from colorquant.pixels import Pixels


def scaled(samples: np.ndarray, maximum: int) -> Pixels:
    """Unsigned samples from 0 to a maximum, rounded to the nearest of 256 levels."""
    if maximum == 255:
        return np.asarray(samples, np.uint8)
    # A table keeps memory small. A sample above the maximum, which no decoder should give, is white.
    levels = np.minimum(np.arange(1 << (8 * samples.dtype.itemsize), dtype=np.uint64), maximum)
    table: Pixels = ((levels * 255 + maximum // 2) // maximum).astype(np.uint8)
    return table[samples]
