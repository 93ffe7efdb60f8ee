"""Orientation: turning an image upright, as its EXIF data ask for."""

import numpy as np
from PIL import ExifTags, Image

from colorquant.pixels import Pixels

# EXIF orientation to what turns the image upright: transpose?, reverse rows?, reverse columns?
_UPRIGHT = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def tagged_orientation(image: Image.Image) -> int:
    """The EXIF orientation of an opened file, 1 to 8; 1, which is upright, if it has none or a damaged one."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Damaged EXIF data do not damage the pixels: viewers show the image as it is stored.
        return 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels uint8 (H, W, channels) turned upright from an EXIF orientation; C-contiguous."""
    transposed, rows, columns = _UPRIGHT.get(orientation, (False, False, False))
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])
