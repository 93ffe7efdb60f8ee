"""The weights of an image's pixels, read from a grey picture: an image like any other, with the same limits."""

from dataclasses import replace

import numpy as np

from colorquant.compress.source import Source
from colorquant.decode import changed, read_image
from colorquant.errors import ChangedImage, UnsupportedImage
from colorquant.jobs import WeightsFile
from colorquant.limits import Limits
from colorquant.pixels import Pixels
from colorquant.quantizer import WeightedColors, weights_of
from colorquant.storage import sha256_of


def read_weights(file: WeightsFile, shape: tuple[int, ...], limits: Limits) -> Pixels:
    """The weights uint8 (H, W) of an image with the shape (H, W, ...).

    Of a picture with colors the luma counts, and transparent pixels are black.

    Raises
    ------
    UnsupportedImage
        The picture cannot be decoded, or has another size. The message says what is done.
    ChangedImage
        It is not the planned one.
    """
    height, width = shape[:2]
    try:
        # A larger one has another size: it is refused before it takes memory.
        decoded = read_image(file.path, replace(limits, pixels=min(limits.pixels, height * width)))
    except UnsupportedImage as error:
        if file.sha256 and _sha256_of(file.path) != file.sha256:
            raise changed(file.path) from error
        raise UnsupportedImage(f"All pixels count the same: {error}") from error
    if file.sha256 not in (None, decoded.sha256):
        raise changed(file.path)
    rows, columns = decoded.pixels.shape[:2]
    if (rows, columns) != (height, width):
        raise UnsupportedImage(
            f"All pixels count the same: {file.path!r} has {columns} x {rows} pixels, and its image {width} x {height}."
        )
    return weights_of(_grey(decoded.pixels))


def weighted(
    source: Source, pixels: Pixels, file: WeightsFile, limits: Limits
) -> tuple[WeightedColors | None, str | None]:
    """The colors of an image with its weights, or None; and why a picture of weights has no effect."""
    try:
        return WeightedColors(source, pixels, read_weights(file, pixels.shape, limits)), None
    except ChangedImage:
        raise
    except UnsupportedImage as error:
        return None, str(error)


def _sha256_of(path: str) -> str | None:
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return None


def _grey(pixels: Pixels) -> Pixels:
    """Rec. 601 luma uint8 (H, W) of pixels (H, W, 3 or 4), in whole numbers that keep each grey."""
    grey = (pixels[..., 0] * np.uint32(77) + pixels[..., 1] * np.uint32(150) + pixels[..., 2] * np.uint32(29)) >> 8
    if pixels.shape[2] == 4:
        grey = grey * pixels[..., 3] // 255
    return grey.astype(np.uint8)
