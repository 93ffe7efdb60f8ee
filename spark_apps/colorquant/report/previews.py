"""Pictures that are small enough for a page: decoded in another process, encoded here."""

import base64
import hashlib
import io
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from colorquant.errors import InvalidRecord
from colorquant.report.preview_process import PreviewProcess
from colorquant.storage import StrPath, is_file, read

logger = logging.getLogger(__name__)

#: Longest side in pixels of what is decoded for a report.
PREVIEW_SIDE = 640
#: A larger file was compressed tile by tile, and a preview would need all of it in memory.
MAX_BYTES = 10**9
_WEBP_QUALITY = 78
_THUMBNAIL_SIDE, _THUMBNAIL_BYTES = 96, 3000

# Of outputs. TIFFs, the outputs of images compressed tile by tile, are shown by hardly any browser.
_MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True)
class Picture:
    """An embedded picture. ``whole`` is True for the file itself, byte for byte, and False for a smaller preview.

    Raises
    ------
    InvalidRecord
        Where ``uri`` is not that of an embedded image: pictures are kept in files, which may contain anything.
    """

    uri: str
    width: int
    height: int
    whole: bool

    def __post_init__(self) -> None:
        if not self.uri.startswith("data:image/"):
            raise InvalidRecord("uri is not that of an embedded image")

    @property
    def is_tiny(self) -> bool:
        """Whether the page enlarges it, and shows its pixels without smoothing."""
        return max(self.width, self.height) <= 128


def load_preview(
    path: Path,
    side: int = PREVIEW_SIDE,
    below: StrPath | None = None,
    process: PreviewProcess | None = None,
    sha256: str | None = None,
) -> Image.Image | None:
    """Decode an image to RGB or RGBA, at most ``side`` pixels on its longer side, upright (EXIF) and in sRGB.

    Pixels are averaged over their area (box filter), which neither rings nor sharpens. Only an image with pixels that
    are not opaque has alpha. Decoding is done in ``process``, or else in a process for this image alone. Returns None,
    and logs the reason, where the file cannot be decoded, a link leads out of the folder ``below`` in which it must
    lie, or its hash is not ``sha256``: the report does without it.
    """
    try:
        if not is_file(path):
            logger.warning("No preview of %r: it is not a regular file", str(path))
            return None  # Opening a FIFO would never end.
        if path.stat().st_size > MAX_BYTES:
            logger.warning("No preview of %r: the file is larger than 1 GB", str(path))
            return None
        content = read(path, below)
    except OSError as error:
        logger.warning("No preview of %r: %s: %s", str(path), type(error).__name__, error)
        return None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        logger.warning("No preview of %r: the file has changed since it was planned or measured", str(path))
        return None
    return decode_preview(content, str(path), side, process)


def decode_preview(
    content: bytes, name: str, side: int = PREVIEW_SIDE, process: PreviewProcess | None = None
) -> Image.Image | None:
    """As ``load_preview``, from a file's bytes; ``name`` is for the log."""
    if process is None:
        with PreviewProcess() as process:
            return decode_preview(content, name, side, process)
    preview = process.decode(content, side)
    if isinstance(preview, str):
        logger.warning("No preview of %r: %s", name, preview)
        return None
    return preview


def embed(file: Path, preview: Image.Image, budget: int) -> Picture:
    """The output itself, where all browsers show it and it has at most ``budget`` bytes; else its preview as WebP."""
    media_type = _MEDIA_TYPES.get(file.suffix)
    try:
        if media_type and file.stat().st_size <= budget:
            content = read(file)
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
            if max(width, height) <= 2 * PREVIEW_SIDE:
                return Picture(_data_uri(media_type, content), width, height, whole=True)
    except OSError as error:
        logger.warning("Cannot embed %r: %s", str(file), error)
    return embed_preview(preview, budget)


def embed_preview(preview: Image.Image, budget: int) -> Picture:
    """Encode a preview as WebP, scaled down further until it fits in ``budget`` bytes (or is 32 pixels small)."""
    # WebP needs about 1.5 bits per pixel for a photograph at this quality: the first attempt fits mostly.
    side = min(max(preview.size), round(math.sqrt(budget * 8 / 1.5 * _aspect(preview))))
    while True:
        scaled = preview.copy()
        scaled.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
        stream = io.BytesIO()
        scaled.save(stream, "WEBP", quality=_WEBP_QUALITY, method=4)
        size = stream.tell()
        if size <= budget or side <= 32:
            return Picture(_data_uri("image/webp", stream.getvalue()), *scaled.size, whole=False)
        side = max(32, min(side - 1, int(side * math.sqrt(budget / size) * 0.97)))


def thumbnail(preview: Image.Image) -> Picture:
    """A preview that is small enough for a line of a list."""
    small = preview.copy()
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BOX, reducing_gap=None)
    return embed_preview(small, _THUMBNAIL_BYTES)


def palette_strip(file: Path) -> str | None:
    """A data URI of one row of pixels, the file's palette from dark to light; None where it has no palette.

    Transparent entries are transparent in it, and as light as on white.
    """
    try:
        with Image.open(io.BytesIO(read(file))) as image:
            if image.mode != "P" or image.palette is None:
                return None
            entries = np.frombuffer(bytes(image.palette.palette), np.uint8).reshape(-1, 3)
            alpha = np.full(len(entries), 255, np.uint8)
            given = image.info.get("transparency", b"")
            if isinstance(given, int):  # Pillow's form where one entry alone is transparent, and entirely.
                alpha[given] = 0
            else:
                alpha[: len(given)] = np.frombuffer(given, np.uint8)[: len(alpha)]
    except (OSError, ValueError) as error:
        logger.warning("No palette of %r: %s", str(file), error)
        return None
    entries = np.where(alpha[:, None] > 0, entries, np.uint8(0))  # What color nothing has does not matter.
    colors = np.unique(np.column_stack([entries, alpha]), axis=0)
    shown = 255 - (255.0 - colors[:, :3]) * colors[:, 3:] / 255
    colors = colors[np.argsort(shown @ np.array([0.299, 0.587, 0.114]), kind="stable")]
    stream = io.BytesIO()
    strip = Image.frombytes("P", (len(colors), 1), bytes(range(len(colors))))
    strip.putpalette(colors[:, :3].tobytes())
    transparency = {} if colors[:, 3].min() == 255 else {"transparency": colors[:, 3].tobytes()}
    strip.save(stream, "PNG", optimize=True, **transparency)
    return _data_uri("image/png", stream.getvalue())


def _aspect(image: Image.Image) -> float:
    return max(image.size) / min(image.size)


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
