"""Orientation: turning an image upright, as its EXIF data ask for."""

import numpy as np
from PIL import ExifTags, Image

from colorquant.decode import png_file
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


def orientation_of(image: Image.Image, content: bytes) -> int:
    """The orientation of an opened file, whose bytes are ``content``: 1 to 8; 1, which is upright, if it has none.

    Only EXIF data count, as in browsers: in PNG the chunk eXIf, in TIFF the tag. For AVIF, where it is a property of
    the image, Pillow makes EXIF data of it. XMP, which ``Image.getexif`` also reads, does not count.
    """
    try:
        if image.format == "TIFF":
            return int(image.tag_v2.get(ExifTags.Base.Orientation, 1))  # type: ignore[attr-defined]
        exif = Image.Exif()
        exif.load(png_file.exif(content) if image.format == "PNG" else image.info.get("exif") or b"")
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # Damaged EXIF data do not damage the pixels: viewers show the image as it is stored.
        return 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels uint8 (H, W, channels) turned upright from an EXIF orientation; C-contiguous."""
    transposed, rows, columns = _UPRIGHT.get(orientation, (False, False, False))
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])
