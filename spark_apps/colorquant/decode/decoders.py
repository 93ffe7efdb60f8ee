"""Decoding: the bytes of an image file to upright 8-bit sRGB pixels, or the reason why they cannot be decoded.

Pillow reads the header before anything is decoded, and decodes most formats. Two kinds it decodes wrongly without an
error: damaged JPEGs (decoded by simplejpeg, whose strict mode reports damage), and 16 bits per channel, whose low byte
Pillow drops (decoded by OpenCV).
"""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from colorquant.arithmetic import ceil_div
from colorquant.decode import integrity
from colorquant.decode.color_management import color_space_of
from colorquant.decode.memory import bounded_memory
from colorquant.decode.orientation import tagged_orientation, upright
from colorquant.decode.tiff_directories import count_pages
from colorquant.errors import Undecodable, UnknownColorSpace
from colorquant.limits import (
    ALPHA_BYTES_PER_PIXEL,
    BYTES_PER_PIXEL,
    DEEP_JPEG2000_BYTES_PER_PIXEL,
    JOB_BYTES,
    Limits,
)
from colorquant.pixels import Pixels
from colorquant.storage import FORMATS

MAX_SIDE = 1_000_000

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"})
_MODES = _GREY_MODES | {"P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_BAND_PIXELS = 1 << 20
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR_CONFIGURATION, _EXTRA_SAMPLES = 258, 262, 284, 338


def decode(content: bytes, limits: Limits) -> Pixels:
    """Decode a still image.

    Parameters
    ----------
    content : bytes
        Of an image file.
    limits : Limits
        An image beyond one of them is refused before it is decoded.

    Returns
    -------
    uint8 (H, W, 3), or (H, W, 4) where pixels are transparent
        sRGB, and straight alpha; the orientation applied, C-contiguous.

    Raises
    ------
    Undecodable
        The content is not an image of a known format, is animated or has several pages, is beyond a limit, truncated
        or damaged, or has pixels or a color space of an unsupported type.
    """
    with opened(content) as image:
        return decode_opened(image, content, limits)


def decode_opened(image: Image.Image, content: bytes, limits: Limits) -> Pixels:
    """Decode an image file that is open already, from ``opened``; otherwise as ``decode``."""
    _check_header(image, content, limits)
    with bounded_memory(image.width * image.height):
        with _damage_as_undecodable():
            if image.format == "TIFF":
                integrity.check_strips(image.tag_v2)  # type: ignore[attr-defined]
            color_space = color_space_of(image, content)
            # A TIFF file is upright once it is loaded, whoever loads it.
            orientation = 1 if image.format == "TIFF" else tagged_orientation(image)
            decode_samples = _decode_deep if _is_deep(image, content) else _decode_samples
            color, alpha = decode_samples(image, content)
            integrity.check(image.format or "", content, image.mode)
        with _damage_as_undecodable():
            pixels = color_space.to_srgb(color)
        if alpha is not None and alpha.min() < 255:
            pixels = np.dstack([pixels, alpha])
        return upright(pixels, orientation)


@contextlib.contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """Open an image file of a known format and read its header. Raises Undecodable for anything else."""
    with _no_pixel_limit(), _open(content) as image:
        yield image


def _open(content: bytes) -> Image.Image:
    # A GIF may have a gigapixel cleared before its size can be seen. Of a WebP, whose decoder allocates its canvas
    # before, that is 16,383 x 16,383 pixels at most, in memory that is not touched.
    bounded = contextlib.nullcontext() if content[8:12] == b"WEBP" else bounded_memory(0)
    try:
        with bounded:
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except (MemoryError, Undecodable):
        raise
    except Exception as error:  # Pillow's plugins raise various errors on damaged headers.
        raise Undecodable(f"is not an image of a known format ({', '.join(FORMATS)}); convert it to PNG.") from error


@contextlib.contextmanager
def _damage_as_undecodable() -> Iterator[None]:
    try:
        yield
    except (MemoryError, Undecodable):
        raise
    except UnknownColorSpace as error:
        raise Undecodable(f"has colors that cannot be converted to sRGB: {error}; convert it to sRGB.") from error
    except Exception as error:
        why = str(error) or type(error).__name__
        raise Undecodable(f"is truncated or damaged ({why}); copy it again or save it again.") from error


def _check_header(image: Image.Image, content: bytes, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.pixels:
        raise Undecodable(
            f"has {width} x {height} pixels, more than the limit of {limits.pixels:,}; scale it down or raise the "
            "limit."
        )
    each = _bytes_per_pixel(image, content)
    if width * height > limits.pixels_in_memory(len(content), each):
        needed = JOB_BYTES + len(content) + width * height * each
        raise Undecodable(
            f"has {width} x {height} pixels, whose job may need {needed / 1e9:.1f} GB of memory, more than the limit, "
            f"{limits.memory / 1e9:.1f} GB; scale it down or raise the limit."
        )
    if max(width, height) > MAX_SIDE:
        raise Undecodable(f"has {width} x {height} pixels, a side longer than {MAX_SIDE:,}; split it.")
    if image.mode not in _MODES or (image.mode == "I" and image.format != "PPM"):
        raise Undecodable(f"has pixels of type {image.mode}, which is not supported; convert it to 8-bit RGB.")
    _check_ratio(image, content, limits)
    with _damage_as_undecodable():
        pages = _pages(image, content, limits)
    if pages > 1:
        raise Undecodable("is animated or has several pages; save one of them as its own image.")


def _bytes_per_pixel(image: Image.Image, content: bytes) -> int:
    """The memory that a job may need for each pixel of an image."""
    if image.has_transparency_data and len(image.getbands()) > 1:  # An opaque palette leads to few colors.
        return ALPHA_BYTES_PER_PIXEL
    deep = image.format == "JPEG2000" and _is_deep(image, content)
    return DEEP_JPEG2000_BYTES_PER_PIXEL if deep else BYTES_PER_PIXEL


def _check_ratio(image: Image.Image, content: bytes, limits: Limits) -> None:
    stored = len(content)
    if image.format == "TIFF":
        with _damage_as_undecodable():
            stored = integrity.stored_bytes(*integrity.strips_of(image.tag_v2), stored)  # type: ignore[attr-defined]
    pixels = image.width * image.height
    bits = 1 if image.mode == "1" else (16 if image.mode.startswith("I") else 8) * len(image.getbands())
    if not limits.ratio_allows(pixels, ceil_div(pixels * bits, 8), stored):
        raise Undecodable(
            f"has {image.width} x {image.height} pixels in {stored:,} bytes, more than {limits.ratio:,} decoded bytes "
            "for each stored one; save it again or raise the limit."
        )


def _pages(image: Image.Image, content: bytes, limits: Limits) -> int:
    """How many pages or frames an image has; of an animated GIF, whose frames would have to be read, just 2."""
    # Phones write MPO: the photograph as a JPEG, followed by previews or depth maps.
    if image.format == "MPO":
        return 1
    if image.format == "GIF":
        return 1 + getattr(image, "is_animated", False)
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1)
    pages = count_pages(io.BytesIO(content), limits.frames)
    if pages is None:
        raise Undecodable(
            f"has more than {limits.frames:,} directories of pages, previews or masks, which is the limit; save one "
            "page as its own image or raise the limit."
        )
    return pages


def _tag(image: Image.Image, tag: int, default: Any) -> Any:
    """The value of a TIFF tag."""
    return image.tag_v2.get(tag, default)  # type: ignore[attr-defined]


def _is_deep(image: Image.Image, content: bytes) -> bool:
    """Whether a channel has more bits than Pillow keeps. It keeps 16 bits only for grey."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        return False
    if image.format == "PNG":
        return content[24] == 16
    if image.format == "TIFF":
        return max(_tag(image, _BITS_PER_SAMPLE, (1,))) > 8
    if image.format == "JPEG2000":
        # The first component's precision in the codestream's SIZ segment (ISO 15444-1, A.5.1).
        start = content.find(b"\xff\x4f\xff\x51")
        return start >= 0 and (content[start + 42] & 0x7F) + 1 > 8
    return False


def _decode_samples(image: Image.Image, content: bytes) -> tuple[Pixels, Pixels | None]:
    """Color samples uint8 (H, W, 1, 3 or 4: grey, RGB or CMYK) and alpha uint8 (H, W)."""
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
        return integrity.decode_jpeg(content, image.mode, image.size), None
    tiles = getattr(image, "tile", None)
    shown = tiles[0].extents if image.format == "GIF" and tiles else None
    image.load()
    if image.mode.startswith("I"):
        return _decode_deep_grey(image)
    kind = "CMYK" if image.mode == "CMYK" else "L" if image.mode in _GREY_MODES else "RGB"
    if image.has_transparency_data:
        kind = {"L": "LA", "RGB": "RGBA"}[kind]
    width, height = image.size
    samples = np.empty((height, width, len(kind)), np.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        # By bands, since Pillow makes several copies during a conversion.
        band = image.crop((0, top, width, min(height, top + rows)))
        samples[top : top + rows] = np.asarray(band.convert(kind)).reshape(-1, width, len(kind))
    if image.has_transparency_data:
        return np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])
    return samples, None if shown is None else _alpha_around(shown, width, height)


def _alpha_around(shown: tuple[int, int, int, int], width: int, height: int) -> Pixels | None:
    """The alpha of a GIF whose frame is smaller than its screen: transparent around it in viewers, not in Pillow."""
    left, top, right, bottom = shown
    if left <= 0 and top <= 0 and right >= width and bottom >= height:
        return None
    alpha = np.zeros((height, width), np.uint8)
    alpha[max(top, 0) : bottom, max(left, 0) : right] = 255
    return alpha


def _decode_deep_grey(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    if image.format == "TIFF" and max(_tag(image, _BITS_PER_SAMPLE, (1,))) != 16:
        raise Undecodable("has grey levels of neither 8 nor 16 bits, which is not supported; convert it to 8 bits.")
    levels = np.asarray(image).astype(np.uint16)
    if image.format == "TIFF" and _tag(image, _PHOTOMETRIC, 1) == 0:
        levels = np.uint16(65535) - levels  # White is 0. Pillow inverts 8-bit levels, but not 16-bit ones.
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else np.where(levels == transparent, 0, 255).astype(np.uint8)
    return _rounded(levels)[..., None], alpha


def _decode_deep(image: Image.Image, content: bytes) -> tuple[Pixels, Pixels | None]:
    """Colors of 16 bits per channel, rounded to 8."""
    if image.format == "TIFF" and (
        _tag(image, _PLANAR_CONFIGURATION, 1) != 1
        or image.mode not in ("RGB", "RGBA")
        or _tag(image, _EXTRA_SAMPLES, (2,)) != (2,)
        or set(_tag(image, _BITS_PER_SAMPLE, ())) != {16}
    ):
        raise Undecodable("has 16-bit samples in an unusual layout, which is not supported; convert it to 8-bit RGB.")
    # Pillow first, since OpenCV fills the missing part of a truncated file without an error.
    image.load()
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3 or decoded.shape[:2] != image.size[::-1]:
        raise Undecodable("has 16-bit samples that cannot be decoded; convert it to 8-bit RGB.")
    samples = _rounded(decoded.astype(np.uint16, copy=False))
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None
    return np.ascontiguousarray(samples[..., 2::-1]), alpha


def _rounded(levels: npt.NDArray[np.uint16]) -> Pixels:
    # 65535 = 257 * 255, so the nearest 8-bit level is one rounded division. A table keeps memory small.
    table: Pixels = ((np.arange(1 << 16) + 128) // 257).astype(np.uint8)
    return table[levels]


@contextlib.contextmanager
def _no_pixel_limit() -> Iterator[None]:
    """Lift Pillow's process-wide limit, which would otherwise warn or raise below a larger one of ours."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
