"""Limits: what one image may ask for, each a setting of the deployment; and types of numbers within limits.

``docs/limits.md`` says what each limit is for. Standard library only.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Self

from colorquant.errors import InvalidSetting

#: Most entries of a palette: an index is one byte.
MAX_COLORS = 256


@dataclass(frozen=True)
class Range:
    """The values that a number may have, both ends included. An annotation that the reader of JSON files checks."""

    minimum: float
    maximum: float = math.inf

    def __contains__(self, number: float) -> bool:
        return self.minimum <= number <= self.maximum

    def __str__(self) -> str:
        maximum = math.isfinite(self.maximum)
        return f"from {self.minimum:g} to {self.maximum:g}" if maximum else f"at least {self.minimum:g}"


#: A number of things.
Count = Annotated[int, Range(0)]
#: A number of things of which there is at least one.
PositiveInt = Annotated[int, Range(1)]
#: k: the largest number of colors that an output may have.
PaletteSize = Annotated[int, Range(1, MAX_COLORS)]


def _limit(variable: str, default: int, maximum: int) -> Any:
    return field(default=default, metadata={"variable": variable, "maximum": maximum})


@dataclass(frozen=True)
class Limits:
    """What one image may ask of the process that decodes it. An image that asks for more is refused: exit code 65.

    Attributes
    ----------
    pixels : int
        Of an image that is decoded as a whole: 268 megapixels, 0.8 GB as RGB. Larger TIFFs are read by regions.
    memory : int
        Bytes that the process of an image's job may come to need; 2**50, which is no limit, by default.
    file_bytes : int
        Of a file that is decoded as a whole; at most 2 GiB, since decoders count bytes in 32-bit ints.
    frames : int
        Frames of an animation, and directories of a TIFF, that are looked at to find the one image of a file.
    ratio : int
        Decoded bytes for each stored byte. DEFLATE and LZW reach 1,400 at most. Images of up to ``FREE_PIXELS`` may
        have any ratio: a white page is a few hundred bytes.
    seconds : int
        From the start of an image's job to its end; in a library, for all palette sizes of the image.
    preview_memory : int
        Bytes of the process that decodes previews, for reports and for the pages in Airflow's UI.
    """

    pixels: int = _limit("COMPRESSION_MAX_PIXELS", 2**28, 10**12)
    memory: int = _limit("COMPRESSION_MAX_MEMORY", 2**50, 2**50)
    file_bytes: int = _limit("COMPRESSION_MAX_FILE_BYTES", 2**31 - 1, 2**31 - 1)
    frames: int = _limit("COMPRESSION_MAX_FRAMES", 100, 10**6)
    ratio: int = _limit("COMPRESSION_MAX_RATIO", 2000, 10**9)
    seconds: int = _limit("COMPRESSION_MAX_SECONDS", 6600, 10**7)
    preview_memory: int = _limit("COMPRESSION_MAX_PREVIEW_MEMORY", 2**30, 2**50)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The limits that environment variables set; the others have their defaults.

        Raises
        ------
        InvalidSetting
            For anything but a whole number within its range. The message names the variable.
        """
        values = {}
        for each in fields(cls):
            variable, maximum = each.metadata["variable"], each.metadata["maximum"]
            # Docker Compose sets a variable that is missing in .env to an empty text.
            if text := environment.get(variable, "").strip():
                if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= maximum:
                    raise InvalidSetting(f"{variable}={text!r} is not a whole number from 1 to {maximum}.")
                values[each.name] = int(text)
        return cls(**values)

    def pixels_in_memory(self, file_bytes: int, bytes_per_pixel: int) -> int:
        """The most pixels of an image whose job stays within the limit of memory."""
        return max(0, self.memory - JOB_BYTES - file_bytes) // bytes_per_pixel

    def ratio_allows(self, pixels: int, decoded_bytes: int, stored_bytes: int) -> bool:
        """Whether an image may be decoded, of so many pixels and bytes, and of so many bytes in its file."""
        return pixels <= FREE_PIXELS or decoded_bytes <= self.ratio * stored_bytes


#: Images up to this size may have any ratio of decoded to stored bytes: 67 megapixels, 0.2 GB as RGB.
FREE_PIXELS = 2**26

#: What decoding takes at most for each pixel, besides the file itself: measured for every format and type of samples,
#: the most being 21.4 for WebP with alpha and JPEG 2000 of 16 bits (docs/limits.md). A decoder that asks for more is
#: stopped.
DECODING_BYTES_PER_PIXEL = 28

#: What the process of a job takes without its image: interpreter, JVM, libraries and kernels (docs/limits.md).
JOB_BYTES = 700_000_000
#: What a job takes at most for each pixel of an image, besides the file itself: opaque (WebP takes 17.4 while it is
#: decoded), JPEG 2000 of more than 8 bits (25.3), and with alpha, where nearly every pixel has a color of its own.
BYTES_PER_PIXEL, DEEP_JPEG2000_BYTES_PER_PIXEL, ALPHA_BYTES_PER_PIXEL = 18, 26, 65

#: The limits where nobody has set any.
DEFAULT_LIMITS = Limits()
