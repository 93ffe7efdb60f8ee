"""Orientation: an image as its EXIF data say that it is to be looked at."""

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

Pixels = npt.NDArray[np.uint8]

# How an image turned by an EXIF orientation is put upright: transposed?, rows reversed?, columns reversed?
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
    """The orientation that an opened file declares, 1 to 8; 1, which is upright, where what it declares is no such."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # What is wrong with EXIF data is no fault of the pixels: every viewer shows them as they are.
        return 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels uint8 (H, W, channels) put upright, C-contiguous."""
    transposed, rows, columns = _UPRIGHT.get(orientation, (False, False, False))
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])
