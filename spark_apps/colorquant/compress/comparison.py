"""What other formats need for the quality of an output: the bytes of lossy encoders at its SSIMULACRA2.

A palette is the right tool for graphics. A photograph as WebP or AVIF is often a fraction of its size at the same
quality, and whoever publishes a palette should see that number.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from PIL import Image

from colorquant.encode import MAX_SIDE
from colorquant.jobs import NeededBytes
from colorquant.pixels import Pixels
from colorquant.quality import perceptual_similarity
from colorquant.settings import COMPARED_FORMATS

# Distance of JPEG XL in just noticeable differences for each step of quality below 100.
_JPEG_XL_STEP = 0.15


@dataclass(frozen=True)
class LossyFormat:
    """A lossy encoder with a quality from 1 to 100, and the decoder of its files.

    Attributes
    ----------
    encode : callable
        Pixels uint8 (H, W, 3 or 4) and the quality, to bytes.
    max_side : int
        The most pixels on a side.
    alpha : bool
        Whether the format holds alpha.
    """

    encode: Callable[[Pixels, int], bytes]
    max_side: int
    alpha: bool = True

    def holds(self, pixels: Pixels) -> bool:
        """Whether the format can hold an image uint8 (H, W, 3 or 4)."""
        return max(pixels.shape[:2]) <= self.max_side and (self.alpha or pixels.shape[2] == 3)

    def decode(self, encoded: bytes, channels: int) -> Pixels:
        """Pixels uint8 (H, W, channels) of an encoded image."""
        if self is FORMATS["jxl"]:
            return np.ascontiguousarray(imagecodecs.jpegxl_decode(encoded))
        return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA" if channels == 4 else "RGB"))


def _pillow(name: str, **options: object) -> Callable[[Pixels, int], bytes]:
    def encode(pixels: Pixels, quality: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, name, quality=quality, **options)
        return buffer.getvalue()

    return encode


def _jpeg_xl(pixels: Pixels, quality: int) -> bytes:
    distance = max(_JPEG_XL_STEP / 2, _JPEG_XL_STEP * (100 - quality))
    return bytes(imagecodecs.jpegxl_encode(pixels, distance=distance, numthreads=1))


#: By the name that the setting ``compare`` takes.
FORMATS = {
    "jpeg": LossyFormat(_pillow("JPEG", optimize=True, progressive=True), 65_500, alpha=False),
    "webp": LossyFormat(_pillow("WEBP", method=4), MAX_SIDE),
    "avif": LossyFormat(_pillow("AVIF", speed=6, max_threads=1), 65_536),
    "jxl": LossyFormat(_jpeg_xl, 2**30),
}
assert FORMATS.keys() == COMPARED_FORMATS.keys()


def needed_bytes(pixels: Pixels, name: str, ssimulacra2: float) -> NeededBytes | None:
    """The bytes that a lossy format needs for a quality, by bisection over its encoder's quality: seven trials.

    Parameters
    ----------
    pixels : uint8 (H, W, 3 or 4)
        The original.
    name : {"jpeg", "webp", "avif", "jxl"}
    ssimulacra2 : float
        The least SSIMULACRA2 of the file.

    Returns
    -------
    NeededBytes or None
        None where the format reaches that at no quality, or cannot hold the image.
    """
    encoder = FORMATS[name]
    if not encoder.holds(pixels):
        return None
    tried: dict[int, NeededBytes] = {}

    def reaches(quality: int) -> bool:
        encoded = encoder.encode(pixels, quality)
        value = perceptual_similarity(pixels, encoder.decode(encoded, pixels.shape[2]))
        tried[quality] = NeededBytes(bytes=len(encoded), quality=quality, ssimulacra2=value)
        return value >= ssimulacra2

    below, above = 0, 101
    while above - below > 1:
        middle = (below + above) // 2
        if reaches(middle):
            above = middle
        else:
            below = middle
    return tried.get(above)
