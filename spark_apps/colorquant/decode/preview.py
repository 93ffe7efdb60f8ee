"""Previews: small images, with their alpha, by Pillow where it is right, which is fast and takes little memory."""

import io
from functools import partial

import numpy as np
from PIL import Image

from colorquant.decode.color_management import ColorSpace
from colorquant.decode.containers import name_of
from colorquant.decode.declared_colors import color_space_of
from colorquant.decode.decoders import decode
from colorquant.decode.orientation import orientation_of
from colorquant.errors import UnknownColorSpace
from colorquant.limits import Limits
from colorquant.storage import FORMATS

# Formats of which Pillow shows some kinds wrong or not at all.
_LEFT_TO_DECODERS = ("TIFF", "BMP", "JPEG 2000")
# What makes an image of each EXIF orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def preview(content: bytes, side: int, limits: Limits) -> Image.Image:
    """An image of at most ``side`` pixels on its longer side: RGBA where a pixel is not opaque, else RGB.

    Raises any error where a file cannot be shown.
    """
    # Where Pillow is right, it is fast and takes little memory. Where nothing else reads a file, its picture has to do.
    decoded = partial(_decoded, limits=limits)
    ways = (decoded, _opened) if name_of(content) in _LEFT_TO_DECODERS else (_opened, decoded)
    try:
        return ways[0](content, side)
    except Exception:
        return ways[1](content, side)


def _decoded(content: bytes, side: int, limits: Limits) -> Image.Image:
    image = Image.fromarray(decode(content, limits))
    image.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
    return _without_idle_alpha(image)


def _opened(content: bytes, side: int) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.draft("RGB", (2 * side, 2 * side))
        space = _color_space(image, content)
        image.load()
        orientation = orientation_of(image, content)
        upright = _turned(_in_eight_bits(image), 1 if image.format == "TIFF" else orientation)
        color = upright.convert("RGBA" if upright.has_transparency_data else "RGB") if _is_flat(upright) else upright
        color.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
        return _without_idle_alpha(_in_srgb(color, space))


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


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


def _without_idle_alpha(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
        return image
    return image.convert("RGB")
