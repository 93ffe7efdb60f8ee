"""Image files to pixels, and the reasons why some cannot be compressed.

Pillow reads the header and says what the file holds before anything is decoded; OpenCV decodes. Both see
the same bytes, read once, and the hash is theirs.
"""

import contextlib
import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

DEFAULT_MAX_PIXELS = 2**28
"""Largest image that is decoded, in pixels: 268 megapixels, 0.8 GB as RGB."""

# OpenCV's own limits (CV_IO_MAX_IMAGE_PIXELS, _WIDTH and _HEIGHT and libpng's), which it reads once when it is loaded.
_OPENCV_MAX_PIXELS = 2**30
_OPENCV_MAX_SIDE = 1_000_000
# cv2.imdecode counts the bytes of its input in a 32-bit int.
_MAX_FILE_BYTES = 2**31 - 1

# What both Pillow and OpenCV read. Naming them also keeps Pillow from starting heavier plugins (Ghostscript for EPS).
_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

# Pixel types whose meaning both decoders agree on (tested); floating point and CIE Lab are not among them.
_MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "I", "I;16", "I;16B", "I;16L"}
)

# The file system's answers that no retry will change. All others (EIO, ENOSPC, ESTALE, ...) may go away.
_LASTING_ERRNOS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR}
)


class UnsupportedImage(ValueError):
    """The image cannot be compressed and a retry is useless. The message names the file, the reason and a way out."""


@dataclass(frozen=True)
class DecodedImage:
    """The pixels of an image file.

    Attributes
    ----------
    pixels : uint8 (H, W, 3)
        RGB, C-contiguous, the EXIF orientation applied.
    sha256 : str
        Hex digest of the file's bytes, the same bytes that were decoded.
    original_bytes : int
        Size of the file.
    """

    pixels: npt.NDArray[np.uint8]
    sha256: str
    original_bytes: int


def read_image(path: str | os.PathLike[str], max_pixels: int = DEFAULT_MAX_PIXELS) -> DecodedImage:
    """Read and decode an opaque still image.

    Parameters
    ----------
    path : path of a regular file
        What it holds is found from its content; the name does not matter.
    max_pixels : int
        Images with more pixels are refused before they are decoded.

    Raises
    ------
    UnsupportedImage
        The file is missing, not readable, not a regular file (then it is never opened), empty, no image of a
        known format, animated or of several pages, too large, truncated, or has transparent pixels.
    OSError
        The file system failed in a way that may go away.
    """
    content = _read_bytes(path)
    _check_content(path, content, min(max_pixels, _OPENCV_MAX_PIXELS))
    pixels = _decode(content)
    if pixels is None:
        raise UnsupportedImage(f"{_name(path)} cannot be decoded: its content is damaged; save it again.")
    return DecodedImage(
        pixels=pixels,
        sha256=hashlib.sha256(content).hexdigest(),
        original_bytes=len(content),
    )


def decode_png(content: bytes) -> npt.NDArray[np.uint8]:
    """Decode a PNG that this package wrote, to measure it.

    Returns
    -------
    uint8 (H, W, 3), RGB

    Raises
    ------
    ValueError
        Where it cannot be decoded.
    """
    pixels = _decode(content) if content else None
    if pixels is None:
        raise ValueError("not a PNG that can be decoded")
    return pixels


def _decode(content: bytes) -> npt.NDArray[np.uint8] | None:
    try:
        # ANYDEPTH: without it OpenCV cuts the low byte of 16-bit PNGs off instead of rounding. Not IMREAD_COLOR_RGB:
        # with ANYDEPTH it leaves 16-bit TIFF files in BGR order (OpenCV 4.14).
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        return None
    if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 3:
        return None
    if pixels.dtype == np.uint16:
        pixels = _round_to_8_bits(pixels.astype(np.uint16, copy=False))
    if pixels.dtype != np.uint8:
        return None
    return np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), dtype=np.uint8)


def _round_to_8_bits(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    # 65535 = 257 * 255, so the nearest 8-bit level is one rounded division. A table keeps memory small.
    levels = ((np.arange(1 << 16) + 128) // 257).astype(np.uint8)
    return levels[pixels]


def _name(path: str | os.PathLike[str]) -> str:
    # repr: a file name may hold newlines and quotes, and the message is one sentence.
    return repr(os.fspath(path))


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise UnsupportedImage(f"{_name(path)} is not a regular file; give the path of an image file.")
        if status.st_size > _MAX_FILE_BYTES:
            raise UnsupportedImage(f"{_name(path)} is larger than 2 GiB; scale the image down or split it.")
        content = Path(path).read_bytes()
    except OSError as error:
        if error.errno not in _LASTING_ERRNOS:
            raise
        raise UnsupportedImage(
            f"{_name(path)} cannot be read: {error.strerror}; check the path and its permissions."
        ) from error
    except ValueError as error:
        if isinstance(error, UnsupportedImage):
            raise
        # A NUL in the path.
        raise UnsupportedImage(f"{_name(path)} is not a path: {error}; check the name.") from error
    if not content:
        raise UnsupportedImage(f"{_name(path)} is empty; copy the image again.")
    return content


def _check_content(path: str | os.PathLike[str], content: bytes, max_pixels: int) -> None:
    """Refuse what must not be decoded, cheapest checks first, and then what Pillow cannot read to the end."""
    with _no_pixel_limit():
        try:
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's plugins raise what they like on damaged headers.
            raise UnsupportedImage(
                f"{_name(path)} is not an image of a known format ({', '.join(_FORMATS)}); convert it to PNG."
            ) from error
        with image:
            _check_header(path, image, max_pixels)
            # OpenCV fills the missing part of a truncated JPEG or PNG with grey and says nothing; Pillow raises.
            try:
                image.load()
                transparent = image.has_transparency_data and _least_alpha(image) < 255
            except MemoryError:
                raise
            except Exception as error:
                raise UnsupportedImage(
                    f"{_name(path)} is truncated or damaged ({error}); copy it again or save it again."
                ) from error
    if transparent:
        raise UnsupportedImage(
            f"{_name(path)} has transparent pixels, which are not supported; flatten it onto a background color."
        )


def _check_header(path: str | os.PathLike[str], image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise UnsupportedImage(
            f"{_name(path)} has {width} x {height} pixels, more than the limit of {max_pixels:,}; "
            "scale it down or raise the limit."
        )
    if max(width, height) > _OPENCV_MAX_SIDE:
        raise UnsupportedImage(
            f"{_name(path)} has {width} x {height} pixels, a side longer than {_OPENCV_MAX_SIDE:,}; split it."
        )
    if image.mode not in _MODES:
        raise UnsupportedImage(
            f"{_name(path)} has pixels of type {image.mode}, which is not supported; convert it to 8-bit RGB."
        )
    try:
        # MPO is what phones write: a JPEG followed by previews or depth maps, of which the first is the photograph.
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    except MemoryError:
        raise
    except Exception as error:
        raise UnsupportedImage(f"{_name(path)} is truncated or damaged ({error}); save it again.") from error
    if frames > 1:
        raise UnsupportedImage(
            f"{_name(path)} is animated or has several pages ({frames}); save one of them as its own image."
        )


def _least_alpha(image: Image.Image) -> int:
    return int(np.asarray(image.convert("RGBA").getchannel("A")).min())


@contextlib.contextmanager
def _no_pixel_limit() -> Iterator[None]:
    """Lift Pillow's process-wide limit, which would otherwise warn or raise below a larger `max_pixels`."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
