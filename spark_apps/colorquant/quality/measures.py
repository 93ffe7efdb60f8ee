"""The distance of a compressed image from its original, and its size, measured on decoded pixels.

All functions work on rows or bands of the image, so they need only some tens of megabytes besides the two images, at
any size. The structural similarity equals scikit-image's to 1e-12 (the tests compare them).
"""

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial

import cv2
import numpy as np

from colorquant import alpha, colors
from colorquant.pixels import Pixels
from colorquant.quality.gaussian import RADIUS, WINDOW
from colorquant.quality.ssim import similarity_sum
from colorquant.quality.ssimulacra2 import ssimulacra2

_BAND_PIXELS = 1 << 18
_CHANNELS = 3
_WITH_ALPHA = 4
_PEAK = 255

#: Radius of the window of the structural similarity, in pixels.
HALO = RADIUS


def mean_squared_error(reference: Pixels, decoded: Pixels) -> float:
    """Mean over pixels of the squared Euclidean RGB distance (the sum over three channels).

    With alpha, the mean of the distances on black and on white.

    Parameters
    ----------
    reference, decoded : uint8 (H, W, 3), or both (H, W, 4)

    Returns
    -------
    float
        0 to 195075 (3 x 255^2). The sum behind it is an exact integer.

    Raises
    ------
    ValueError
        The shapes or dtypes are not as above, or differ.
    """
    _check_pair(reference, decoded)
    if reference.shape[2] == _WITH_ALPHA:
        return alpha.mean_squared_error(reference, decoded)
    height, width = reference.shape[:2]
    occurrences = np.zeros(_PEAK + 1, dtype=np.int64)
    for band in _bands(height, width):
        difference = cv2.absdiff(reference[band], decoded[band])
        occurrences += np.bincount(difference.ravel(), minlength=_PEAK + 1)
    squares = np.arange(_PEAK + 1, dtype=np.int64) ** 2
    return int(occurrences @ squares) / (height * width)


def psnr_db(mse: float) -> float | None:
    """Peak signal-to-noise ratio in dB of a ``mean_squared_error``; None, for infinity, where that is 0."""
    if mse == 0:
        return None
    return 10 * math.log10(_PEAK**2 / (mse / _CHANNELS))


def structural_similarity(reference: Pixels, decoded: Pixels, pool: Executor | None = None) -> float:
    """Mean structural similarity over the three channels (Wang, Bovik, Sheikh and Simoncelli, 2004).

    The value of scikit-image's ``structural_similarity(..., gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255, channel_axis=2)``: windows that lie wholly inside the image, each
    channel by itself. Images with a side shorter than the window (11 pixels), which that function refuses, are
    padded to 11 by repeating their edges. With alpha, the mean of the similarities on black and on white.
    DOI 10.1109/TIP.2003.819861.

    Parameters
    ----------
    reference, decoded : uint8 (H, W, 3), or both (H, W, 4)
    pool : Executor, optional
        Of threads, which then share the work. The value is the same.

    Returns
    -------
    float
        -1 to 1; exactly 1 for equal images.

    Raises
    ------
    ValueError
        The shapes or dtypes are not as above, or differ.
    """
    _check_pair(reference, decoded)
    if reference.shape[2] == _WITH_ALPHA:
        return alpha.on_both_backgrounds(partial(structural_similarity, pool=pool), reference, decoded)
    reference, decoded = _pad_to_window(reference), _pad_to_window(decoded)
    rows, columns = (side - 2 * HALO for side in reference.shape[:2])
    return similarity_sum(reference, decoded, pool) / (rows * columns * _CHANNELS)


def perceptual_similarity(reference: Pixels, decoded: Pixels, pool: Executor | None = None) -> float:
    """SSIMULACRA2 (see ``ssimulacra2``). With alpha, the mean of the values on black and on white.

    Parameters
    ----------
    reference, decoded : uint8 (H, W, 3), or both (H, W, 4)
    pool : Executor, optional
        Of threads, which then share the work. The value is the same.

    Returns
    -------
    float
        At most 100, which equal images have; below 0 for bad ones.

    Raises
    ------
    ValueError
        The shapes or dtypes are not as above, or differ.
    """
    _check_pair(reference, decoded)
    if reference.shape[2] == _WITH_ALPHA:
        return alpha.on_both_backgrounds(partial(ssimulacra2, pool=pool), reference, decoded)
    return ssimulacra2(reference, decoded, pool)


def quality(measure: str, reference: Pixels, decoded: Pixels) -> float:
    """The value of a measure by its name in ``target.MEASURES``; a PSNR is infinite for equal images.

    Parameters
    ----------
    measure : str
    reference, decoded : uint8 (H, W, 3), or both (H, W, 4)
    """
    if measure == "ssim":
        return structural_similarity(reference, decoded)
    if measure == "ssimulacra2":
        return perceptual_similarity(reference, decoded)
    psnr = psnr_db(mean_squared_error(reference, decoded))
    return math.inf if psnr is None else psnr


def count_colors(pixels: Pixels) -> int:
    """Number of distinct colors in ``pixels``, uint8 (H, W, 3 or 4)."""
    if pixels.shape[2] == _WITH_ALPHA:
        return len(alpha.count_colors(pixels))
    return len(colors.count_colors(pixels))


def compression_ratio(original_bytes: int, compressed_bytes: int) -> float:
    """Size of the original file divided by that of the compressed file, both in bytes; below 1 if that is larger."""
    if compressed_bytes <= 0:
        raise ValueError(f"a compressed file has at least one byte, not {compressed_bytes}")
    return original_bytes / compressed_bytes


def bits_per_pixel(compressed_bytes: int, width: int, height: int) -> float:
    """Bits of the compressed file for each pixel of the image."""
    if width <= 0 or height <= 0:
        raise ValueError(f"an image has at least one pixel, not {width}x{height}")
    return 8 * compressed_bytes / (width * height)


def _bands(height: int, width: int) -> Iterator[slice]:
    rows = max(1, _BAND_PIXELS // width)
    return (slice(top, top + rows) for top in range(0, height, rows))


def _check_pair(reference: Pixels, decoded: Pixels) -> None:
    for pixels in (reference, decoded):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (_CHANNELS, _WITH_ALPHA):
            raise ValueError(f"pixels must be uint8 (H, W, 3 or 4), not {pixels.dtype} {pixels.shape}")
        if pixels.size == 0:
            raise ValueError(f"pixels must be uint8 (H, W, 3 or 4), not {pixels.dtype} {pixels.shape}")
    if reference.shape != decoded.shape:
        raise ValueError(f"images of different shapes: {reference.shape} and {decoded.shape}")


def _pad_to_window(pixels: Pixels) -> Pixels:
    missing_rows, missing_columns = (max(0, WINDOW - side) for side in pixels.shape[:2])
    if not missing_rows and not missing_columns:
        return pixels
    return np.pad(pixels, ((0, missing_rows), (0, missing_columns), (0, 0)), mode="edge")
