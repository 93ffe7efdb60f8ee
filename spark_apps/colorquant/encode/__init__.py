"""Palettes and index maps to the bytes of a file: indexed PNG, lossless WebP."""

from colorquant.encode.indexed_png import encode_indexed_png
from colorquant.encode.palette_order import luminance_order
from colorquant.encode.png_chunks import SIGNATURE_AND_HEADER, chunk
from colorquant.encode.webp import MAX_SIDE, encode_lossless_webp

__all__ = ["chunk", "encode_indexed_png", "encode_lossless_webp", "luminance_order", "MAX_SIDE", "SIGNATURE_AND_HEADER"]
