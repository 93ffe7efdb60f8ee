"""Pictures that are small enough for a page: decoded, rotated upright, scaled down, encoded."""

import base64
import io
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from colorquant.decode import ColorSpace, color_space_of
from colorquant.errors import UnknownColorSpace
from colorquant.storage import FORMATS, StrPath, is_file, read

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
    """An embedded picture. ``whole`` is True for the file itself, byte for byte, and False for a smaller preview."""

    uri: str
    width: int
    height: int
    whole: bool

    @property
    def is_tiny(self) -> bool:
        """Whether the page enlarges it, and shows its pixels without smoothing."""
        return max(self.width, self.height) <= 128


def load_preview(path: Path, side: int = PREVIEW_SIDE, below: StrPath | None = None) -> Image.Image | None:
    """Decode an image to RGB, at most ``side`` pixels on its longer side, upright (EXIF) and in sRGB.

    Pixels are averaged over their area (box filter), which neither rings nor sharpens. Transparent pixels are blended
    with white. Returns None, and logs the reason, where the file cannot be decoded, or a link leads out of the folder
    ``below`` which it must lie: the report does without it.
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
    return decode_preview(content, str(path), side)


def decode_preview(content: bytes, name: str, side: int = PREVIEW_SIDE) -> Image.Image | None:
    """As ``load_preview``, from a file's bytes; ``name`` is for the log."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.draft("RGB", (2 * side, 2 * side))
            space = _color_space(image, content)
            image.load()
            upright = ImageOps.exif_transpose(_in_eight_bits(image))
            color = (
                upright.convert("RGBA" if upright.has_transparency_data else "RGB") if _is_flat(upright) else upright
            )
            color.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
            return _on_white(_in_srgb(color, space))
    except Exception as error:  # Pillow passes on any error of its decoders.
        logger.warning("No preview of %r: %s: %s", name, type(error).__name__, error)
        return None


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """The image with 16-bit gray reduced to 8 bits, which Pillow's own conversion would clip to white."""
    if not image.mode.startswith("I;16"):
        return image
    reduced = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    reduced.info = image.info
    return reduced


def _is_flat(image: Image.Image) -> bool:
    """Whether averaging needs another mode first: palette indexes and bits cannot be averaged."""
    return image.mode in ("P", "PA", "1") or image.has_transparency_data


def _color_space(image: Image.Image, content: bytes) -> ColorSpace:
    try:
        return color_space_of(image, content)
    except UnknownColorSpace:
        return ColorSpace()


def _in_srgb(image: Image.Image, space: ColorSpace) -> Image.Image:
    if image.mode not in ("RGB", "RGBA", "L", "CMYK"):
        return image
    samples = np.array(image).reshape(image.height, image.width, -1)
    try:
        color = space.to_srgb(np.ascontiguousarray(samples[..., :3]) if image.mode == "RGBA" else samples)
    except UnknownColorSpace:
        return image
    return Image.fromarray(np.dstack([color, samples[..., 3]]) if image.mode == "RGBA" else color)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


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
    """A data URI of one row of pixels, the file's palette from dark to light; None where it has no palette."""
    try:
        with Image.open(io.BytesIO(read(file))) as image:
            if image.mode != "P" or image.palette is None:
                return None
            entries = np.frombuffer(bytes(image.palette.palette), np.uint8).reshape(-1, 3)
    except (OSError, ValueError) as error:
        logger.warning("No palette of %r: %s", str(file), error)
        return None
    colors = np.unique(entries, axis=0)
    lightness = colors @ np.array([0.299, 0.587, 0.114])
    stream = io.BytesIO()
    strip = Image.frombytes("P", (len(colors), 1), bytes(range(len(colors))))
    strip.putpalette(colors[np.argsort(lightness, kind="stable")].tobytes())
    strip.save(stream, "PNG", optimize=True)
    return _data_uri("image/png", stream.getvalue())


def _aspect(image: Image.Image) -> float:
    return max(image.size) / min(image.size)


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
