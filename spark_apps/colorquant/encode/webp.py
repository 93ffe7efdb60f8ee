"""Encoding an index map and its palette as a lossless WebP, by libwebp."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_SIDE = 16_383
"""What WebP's header has room for."""

# Of libwebp's 0 to 6. With 6 files are 3 % smaller for 30 to 60 times the time.
_METHOD = 4


def encode_lossless_webp(palette: npt.NDArray[np.uint8], indexes: npt.NDArray[np.uint8], exif: bytes = b"") -> bytes:
    """Encode as a lossless WebP; libwebp finds the palette anew, and its order.

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha
    indexes : uint8 (H, W)
        Each below k; no side longer than ``MAX_SIDE``.
    exif : bytes
        EXIF data that the file is to have.
    """
    stream = io.BytesIO()
    # exact: or the color below full transparency would be any.
    picture = Image.fromarray(palette[indexes])
    picture.save(stream, "WEBP", lossless=True, quality=100, method=_METHOD, exact=True, exif=exif)
    return stream.getvalue()
