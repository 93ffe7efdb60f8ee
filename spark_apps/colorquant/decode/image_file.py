"""Image files: bytes, read once, to pixels and a hash; or the reason why an image cannot be compressed."""

import hashlib
import io
import os
import stat
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import imagecodecs
import numpy as np

from colorquant.decode.metadata import Metadata
from colorquant.decode.png_file import SIGNATURE
from colorquant.decode.process import decode_apart
from colorquant.errors import ChangedImage, StoreUnavailable, Undecodable, UnsupportedImage
from colorquant.limits import DEFAULT_LIMITS, Limits
from colorquant.pixels import Pixels
from colorquant.storage import asking, is_refusal, is_remote, location, read, read_start

_PIECE = 2**20


def changed(path: str | os.PathLike[str]) -> ChangedImage:
    """The error for an image whose bytes differ from the planned ones, or from those that were read first."""
    return ChangedImage(
        f"{_name(path)} has changed since this run was planned; a new run will compress the present file."
    )


@dataclass(frozen=True)
class DecodedImage:
    """The pixels of an image file.

    Attributes
    ----------
    pixels : uint8 (H, W, 3), or (H, W, 4) where pixels are transparent
        sRGB, and straight alpha; C-contiguous, the EXIF orientation applied.
    sha256 : str
        Hex digest of the file's bytes, the same bytes that were decoded.
    original_bytes : int
        Size of the file.
    metadata : Metadata
        What an output may keep.
    """

    pixels: Pixels
    sha256: str
    original_bytes: int
    metadata: Metadata


def read_image(
    path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS, stream: BinaryIO | None = None
) -> DecodedImage:
    """Read a still image, and decode it in a process of its own (``decode/process``).

    Parameters
    ----------
    path : str or path-like
        Of a regular file, or the URI of an object. Its content tells the format; the name does not matter.
    limits : Limits
        An image beyond one of them is refused before it is decoded.
    stream : binary file, optional
        Read to its end in place of a file, a pipe for example. ``path`` is then only the name in messages.

    Raises
    ------
    UnsupportedImage
        The file is missing, not readable, not a regular file (which is not opened), empty, not an image of a known
        format, animated or of several pages, beyond a limit, truncated, or cannot be decoded for another reason.
    OSError
        The file system failed for a reason that may go away.
    DecoderEnded
        The process that decodes the file died.
    """
    read_all = partial(_read_bytes, path) if stream is None else partial(_read_stream, stream, path)
    content = read_all(limits.file_bytes)
    try:
        pixels, metadata = decode_apart(content, limits)
    except Undecodable as error:
        raise UnsupportedImage(f"{_name(path)} {error}") from error
    return DecodedImage(
        pixels=pixels,
        sha256=hashlib.sha256(content).hexdigest(),
        original_bytes=len(content),
        metadata=Metadata.of_answer(metadata),
    )


def is_tiff(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file or an object begins like a TIFF or BigTIFF; False also if it cannot be read.

    Raises
    ------
    StoreUnavailable
        The store of an object does not answer, so a retry may help.
    """
    try:
        if not is_remote(path) and not stat.S_ISREG(os.stat(path).st_mode):
            return False
        return read_start(path, 4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    except (OSError, ValueError) as error:
        if isinstance(error, StoreUnavailable) and not is_refusal(error):
            raise
        return False


def decode_output(content: bytes, alpha: bool = False) -> Pixels:
    """Decode an output of this package, a PNG or a lossless WebP, to measure it.

    Parameters
    ----------
    content : bytes
        Of the file.
    alpha : bool
        Whether to return RGBA.

    Returns
    -------
    uint8 (H, W, 3), RGB, or with ``alpha`` (H, W, 4), RGBA

    Raises
    ------
    ValueError
        The content cannot be decoded, or has transparent pixels without ``alpha``.
    """
    # Without a limit of its own, as OpenCV has one of 2^30 pixels.
    decoder = imagecodecs.png_decode if content.startswith(SIGNATURE) else imagecodecs.webp_decode
    try:
        pixels = decoder(content)
    except Exception as error:  # Each of its codecs has an error of its own.
        raise ValueError("not an image that can be decoded") from error
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4 and not alpha:
        raise ValueError("an image with transparent pixels")
    if pixels.shape[2] == 3 and alpha:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def _name(path: str | os.PathLike[str]) -> str:
    # repr: a file name may hold newlines and quotes, and the message is one sentence.
    return repr(os.fspath(path))


def _read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    try:
        with asking(path) if is_remote(path) else nullcontext():
            status = location(path).stat()
        # An object in a store is always a regular file.
        if not is_remote(path) and not stat.S_ISREG(status.st_mode):
            raise UnsupportedImage(f"{_name(path)} is not a regular file; give the path of an image file.")
        if status.st_size > limit:
            raise _too_long(path, limit)
        content = read(path)
    except OSError as error:
        if not isinstance(error, FileNotFoundError) and not is_refusal(error):
            raise  # EIO, ESTALE, a store that does not answer, ...: it may go away.
        raise UnsupportedImage(
            f"{_name(path)} cannot be read: {error.strerror or error}; check the path and its permissions."
        ) from error
    except ValueError as error:
        if isinstance(error, UnsupportedImage):
            raise
        # A NUL in the path.
        raise UnsupportedImage(f"{_name(path)} is not a path: {error}; check the name.") from error
    if not content:
        raise UnsupportedImage(f"{_name(path)} is empty; copy the image again.")
    return content


def _read_stream(stream: BinaryIO, name: str | os.PathLike[str], limit: int) -> bytes:
    # Piece by piece, since a pipe does not tell its length, and may never end.
    content = io.BytesIO()
    while piece := stream.read(_PIECE):
        content.write(piece)
        if content.tell() > limit:
            raise _too_long(name, limit)
    if not content.tell():
        raise UnsupportedImage(f"{_name(name)} is empty; pipe the content of an image file into it.")
    return content.getvalue()


def _too_long(path: str | os.PathLike[str], limit: int) -> UnsupportedImage:
    return UnsupportedImage(
        f"{_name(path)} is larger than {limit:,} bytes, the limit of a file that is decoded as a whole; scale the "
        "image down or split it."
    )
