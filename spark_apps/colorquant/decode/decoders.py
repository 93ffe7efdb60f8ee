"""Decoding: the bytes of an image file to upright 8-bit sRGB pixels, or the reason why they cannot be decoded.

Pillow reads the header before anything is decoded, from what ``readable`` leaves of the file, and decodes most formats.
What it decodes wrongly without an error has a module for its container.
"""

import contextlib
import io
from collections.abc import Iterator

import imagecodecs
import numpy as np
from PIL import Image

from colorquant.arithmetic import ceil_div
from colorquant.decode import bitmap, boxes, jpeg_file, png_file
from colorquant.decode.color_management import ColorSpace
from colorquant.decode.containers import name_of, readable_part, refuse_unread, unopened
from colorquant.decode.declared_colors import color_space_of
from colorquant.decode.levels import scaled
from colorquant.decode.memory import bounded_memory
from colorquant.decode.orientation import orientation_of, upright
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
    if name_of(content) == "TIFF" and (pixels := _decode_tiff(content, limits)) is not None:
        return pixels
    with opened(content) as image:
        _check_header(image, content, limits)
        with bounded_memory(image.width * image.height):
            with _damage_as_undecodable():
                color_space = color_space_of(image, content)
                # A TIFF file is upright once Pillow has loaded it.
                orientation = 1 if image.format == "TIFF" else orientation_of(image, content)
                color, alpha = _decode_samples(image, content)
            return _shown(color, alpha, color_space, orientation)


def _decode_tiff(content: bytes, limits: Limits) -> Pixels | None:
    """Decode a TIFF; None for the few kinds that Pillow decodes."""
    # tifffile takes long to import, and few images are TIFFs.
    import tifffile

    from colorquant.decode import tiff_file

    stream = io.BytesIO(content)
    with _damage_as_undecodable(), bounded_memory(0):
        file = tifffile.TiffFile(stream)
        picture = tiff_file.picture_in(file, io.BytesIO(content), limits)
        if picture is None:
            raise Undecodable(
                f"has more than {limits.frames:,} directories of pages, previews or masks, which is the limit; save "
                "one page as its own image or raise the limit."
            )
        if picture.is_left_to_pillow():
            return None
    with _damage_as_undecodable():
        picture.check_kind()
        each = BYTES_PER_PIXEL if picture.alpha_kind is None else ALPHA_BYTES_PER_PIXEL
        _check_size(picture.width, picture.height, len(content), each, limits)
        if picture.pages > 1:
            raise _several()
        bits = picture.page.bitspersample * picture.page.samplesperpixel
        picture.check_segments(len(content))
        _check_ratio(picture.width, picture.height, bits, picture.stored_bytes(len(content)), limits)
    with bounded_memory(picture.width * picture.height):
        with _damage_as_undecodable():
            color, alpha = tiff_file.decode_tiff(picture)
        return _shown(color, alpha, picture.color_space, picture.orientation)


def _shown(color: Pixels, alpha: Pixels | None, color_space: ColorSpace, orientation: int) -> Pixels:
    with _damage_as_undecodable():
        pixels = color_space.to_srgb(color)
    if alpha is not None and alpha.min() < 255:
        pixels = np.dstack([pixels, alpha])
    return upright(pixels, orientation)


@contextlib.contextmanager
def opened(content: bytes, whole: bool = True) -> Iterator[Image.Image]:
    """Open an image file of a known format and read its header. Raises Undecodable for anything else.

    With ``whole`` the image holds what makes its pixels, and may lack texts; else all that is in the file.
    """
    with _no_pixel_limit(), _open(content, whole) as image:
        yield image


def _open(content: bytes, whole: bool) -> Image.Image:
    known = name_of(content)
    refuse_unread(known)
    with _damage_as_undecodable():
        readable = readable_part(content, known) if whole else content
    # A GIF may have a gigapixel cleared before its size can be seen. Of a WebP, whose decoder allocates its canvas
    # before, that is 16,383 x 16,383 pixels at most, in memory that is not touched.
    bounded = contextlib.nullcontext() if known == "WEBP" else bounded_memory(0)
    try:
        with bounded:
            return Image.open(io.BytesIO(readable), formats=FORMATS)
    except (MemoryError, Undecodable):
        raise
    except Exception as error:  # Pillow's plugins raise various errors on damaged headers.
        raise unopened(content, known, error) from error


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
        if isinstance(error, TypeError | AttributeError | LookupError):
            why = "its header makes no sense"
        raise Undecodable(f"is truncated or damaged ({why}); copy it again or save it again.") from error


def _check_size(width: int, height: int, file_bytes: int, bytes_per_pixel: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise Undecodable(
            f"has {width} x {height} pixels, more than the limit of {limits.pixels:,}; scale it down or raise the "
            "limit."
        )
    if width * height > limits.pixels_in_memory(file_bytes, bytes_per_pixel):
        needed = JOB_BYTES + file_bytes + width * height * bytes_per_pixel
        raise Undecodable(
            f"has {width} x {height} pixels, whose job may need {needed / 1e9:.1f} GB of memory, more than the limit, "
            f"{limits.memory / 1e9:.1f} GB; scale it down or raise the limit."
        )
    if max(width, height) > MAX_SIDE:
        raise Undecodable(f"has {width} x {height} pixels, a side longer than {MAX_SIDE:,}; split it.")


def _check_header(image: Image.Image, content: bytes, limits: Limits) -> None:
    _check_size(image.width, image.height, len(content), _bytes_per_pixel(image, content), limits)
    if image.mode not in _MODES or (image.mode == "I" and image.format != "PPM"):
        raise Undecodable(f"has pixels of type {image.mode}, which is not supported; convert it to 8-bit RGB.")
    bits = 1 if image.mode == "1" else (16 if image.mode.startswith("I") else 8) * len(image.getbands())
    _check_ratio(image.width, image.height, bits, len(content), limits)
    with _damage_as_undecodable():
        if image.format not in ("MPO", "TIFF") and _pages(image) > 1:
            raise _several()


def _bytes_per_pixel(image: Image.Image, content: bytes) -> int:
    """The memory that a job may need for each pixel of an image."""
    if image.has_transparency_data and len(image.getbands()) > 1:  # An opaque palette leads to few colors.
        return ALPHA_BYTES_PER_PIXEL
    if image.format != "JPEG2000":
        return BYTES_PER_PIXEL
    with _damage_as_undecodable():
        depths = boxes.depths_of_jpeg2000(content)
    return DEEP_JPEG2000_BYTES_PER_PIXEL if max(depths)[0] > 8 else BYTES_PER_PIXEL


def _check_ratio(width: int, height: int, bits: int, stored: int, limits: Limits) -> None:
    if not limits.ratio_allows(width * height, ceil_div(width * height * bits, 8), stored):
        raise Undecodable(
            f"has {width} x {height} pixels in {stored:,} bytes, more than {limits.ratio:,} decoded bytes "
            "for each stored one; save it again or raise the limit."
        )


def _pages(image: Image.Image) -> int:
    """How many frames an image has; of an animated GIF, whose frames would have to be read, just 2."""
    if image.format == "GIF":
        return 1 + getattr(image, "is_animated", False)
    return getattr(image, "n_frames", 1)


def _several() -> Undecodable:
    return Undecodable("is animated or has several pages; save one of them as its own image.")


def _decode_samples(image: Image.Image, content: bytes) -> tuple[Pixels, Pixels | None]:
    """Color samples uint8 (H, W, 1, 3 or 4: grey, RGB or CMYK) and alpha uint8 (H, W)."""
    # Phones write MPO: the photograph as a JPEG, followed by previews or depth maps.
    if image.format in ("JPEG", "MPO"):
        return jpeg_file.decode_jpeg(jpeg_file.first_image(content), image.mode, image.size), None
    if image.format == "PNG":
        return _decode_png(image, content)
    if image.format == "BMP" and bitmap.is_decoded_here(content):
        return bitmap.decode_bitmap(content)
    if image.format == "JPEG2000":
        return _decode_jpeg2000(image, content)
    tiles = getattr(image, "tile", None)
    shown = tiles[0].extents if image.format == "GIF" and tiles else None
    color, alpha = _decode_by_pillow(image)
    return color, alpha if shown is None or alpha is not None else _alpha_around(shown, *image.size)


def _decode_by_pillow(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    image.load()
    if image.mode.startswith("I"):
        return scaled(np.asarray(image).astype(np.uint16), 65535)[..., None], None
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
    return samples, None


def _decode_png(image: Image.Image, content: bytes) -> tuple[Pixels, Pixels | None]:
    """Decode a PNG; its 16-bit colors by libpng, since Pillow drops their low bytes."""
    key, bits = png_file.transparent_key(content), png_file.bits_of(content)
    if bits == 16:
        deep = _deep_png(png_file.pixels_alone(content))
        png_file.check_pixels(content)
        samples, colors = scaled(deep, 65535), 3 if deep.shape[2] > 2 else 1
        alpha = png_file.keyed(deep, key) if samples.shape[2] == colors else np.ascontiguousarray(samples[..., -1])
        return np.ascontiguousarray(samples[..., :colors]), alpha
    color, alpha = _decode_by_pillow(image)
    png_file.check_pixels(content)
    if key is not None:
        # Pillow has scaled few bits to 8.
        alpha = png_file.keyed(color, key * (255 // ((1 << bits) - 1)))
    return color, alpha


def _deep_png(content: bytes) -> np.ndarray:
    """The samples uint16 (H, W, channels) of a PNG of 16 bits."""
    deep = imagecodecs.png_decode(content)
    return deep[..., None] if deep.ndim == 2 else deep


def _decode_jpeg2000(image: Image.Image, content: bytes) -> tuple[Pixels, Pixels | None]:
    """Decode a JPEG 2000; of palettes, and of other depths than 8 bits, by imagecodecs: Pillow shifts levels."""
    depths = boxes.depths_of_jpeg2000(content)
    # Compressed data never contain an end-of-codestream marker (ISO 15444-1, A.4.4).
    if b"\xff\xd9" not in content[content.find(b"\xff\x93") :]:
        raise ValueError("its end is missing")
    if set(depths) == {(8, False)} and not boxes.has_palette(content):
        return _decode_by_pillow(image)
    if len(set(depths)) > 1 or depths[0][0] > 16:
        raise Undecodable(
            f"is a JPEG 2000 of {max(bits for bits, _ in depths)} bits a sample, or of several depths, which is not "
            "supported; save it as 8-bit RGB."
        )
    bits, is_signed = depths[0]
    deep = imagecodecs.jpeg2k_decode(content)
    deep = deep[..., None] if deep.ndim == 2 else deep
    if deep.shape[:2] != image.size[::-1]:
        raise ValueError("two sizes")
    if is_signed:
        deep = (deep.astype(np.int32) + (1 << (bits - 1))).astype(np.uint16)
    samples = scaled(deep, (1 << bits) - 1)
    if samples.shape[2] in (2, 4) and image.mode != "CMYK":
        return np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])
    return samples, None


def _alpha_around(shown: tuple[int, int, int, int], width: int, height: int) -> Pixels | None:
    """The alpha of a GIF whose frame is smaller than its screen: transparent around it in viewers, not in Pillow."""
    left, top, right, bottom = shown
    if left <= 0 and top <= 0 and right >= width and bottom >= height:
        return None
    alpha = np.zeros((height, width), np.uint8)
    alpha[max(top, 0) : bottom, max(left, 0) : right] = 255
    return alpha


@contextlib.contextmanager
def _no_pixel_limit() -> Iterator[None]:
    """Lift Pillow's process-wide limit, which would otherwise warn or raise below a larger one of ours."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
