"""Windows bitmaps whose samples Pillow does not decode exactly: palettes, and samples packed by masks.

Pillow truncates 5 and 6 bits to 8, knows a few masks only, and takes some palettes of grey for another depth. Plain 24
and 32 bits and run-length codes are its own.

Source: Microsoft's BITMAPV5HEADER.
"""

import struct
from dataclasses import dataclass

import numpy as np

from colorquant.errors import Undecodable
from colorquant.pixels import Pixels

_PLAIN, _BITFIELDS, _ALPHA_BITFIELDS = 0, 3, 6
_OS2 = 12
_BAND_PIXELS = 1 << 20
_FIVE_BITS = (0x7C00, 0x3E0, 0x1F, 0)
# Whatever the masks are, Pillow opens the file with these.
_KNOWN_MASKS = {16: (0xF800, 0x7E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}


@dataclass(frozen=True)
class Bitmap:
    """The header of a BMP file."""

    header: int
    width: int
    height: int
    is_top_down: bool
    bits: int
    compression: int
    colors: int
    pixels_at: int

    @property
    def is_packed(self) -> bool:
        """Whether masks say which bits are which channel."""
        by_masks = self.compression in (_BITFIELDS, _ALPHA_BITFIELDS) and self.bits in (16, 32)
        return by_masks or (self.bits == 16 and self.compression == _PLAIN)

    @property
    def is_indexed(self) -> bool:
        """Whether the samples are plain indexes of a palette."""
        return self.bits <= 8 and self.compression == _PLAIN


def bitmap_of(content: bytes) -> Bitmap:
    """The header of a BMP file. Raises struct.error where it is truncated."""
    pixels_at, header = struct.unpack_from("<II", content, 10)
    if header == _OS2:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
        return Bitmap(header, width, height, False, bits, _PLAIN, 0, pixels_at)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", content, 18)
    (colors,) = struct.unpack_from("<I", content, 46)
    return Bitmap(header, width, abs(height), height < 0, bits, compression, colors, pixels_at)


def is_decoded_here(content: bytes) -> bool:
    """Whether ``decode_bitmap`` takes a file, not Pillow."""
    bitmap = bitmap_of(content)
    return bitmap.is_packed or bitmap.is_indexed


def with_known_masks(content: bytes) -> bytes:
    """The same file for Pillow to open: with masks that it knows, where it has masks."""
    try:
        bitmap = bitmap_of(content)
    except struct.error:
        return content
    if bitmap.compression not in (_BITFIELDS, _ALPHA_BITFIELDS) or bitmap.bits not in _KNOWN_MASKS:
        return content
    masks = struct.pack("<3I", *_KNOWN_MASKS[bitmap.bits]) + (bytes(4) if bitmap.header >= 56 else b"")
    compression = struct.pack("<I", _BITFIELDS)
    return content[:30] + compression + content[34:54] + masks + content[54 + len(masks) :]


def decode_bitmap(content: bytes) -> tuple[Pixels, Pixels | None]:
    """Decode a packed or indexed BMP.

    Returns
    -------
    uint8 (H, W, 3), and uint8 (H, W) or None
        RGB, and alpha where the file has a mask for it. Where all of it is 0, the file is opaque: as Windows shows it.

    Raises
    ------
    ValueError, struct.error
        The file is truncated.
    Undecodable
        A mask has gaps.
    """
    bitmap = bitmap_of(content)
    width, height, bits = bitmap.width, bitmap.height, bitmap.bits
    stride = (width * bits + 31) // 32 * 4
    if bitmap.pixels_at + height * stride - (stride - (width * bits + 7) // 8) > len(content):
        raise ValueError("its data end early")
    stored = content[bitmap.pixels_at : bitmap.pixels_at + height * stride].ljust(height * stride, b"\0")
    rows = np.frombuffer(stored, np.uint8).reshape(height, stride)[:: 1 if bitmap.is_top_down else -1]
    if bitmap.is_indexed:
        return _palette(content, bitmap)[_indexes(rows, width, bits)], None
    values = rows.view("<u2" if bits == 16 else "<u4")[:, :width]
    masks = _masks(content, bitmap)
    samples = np.zeros((height, width, 4 if masks[3] else 3), np.uint8)
    band = max(1, _BAND_PIXELS // width)
    for channel in range(samples.shape[2]):
        for top in range(0, height, band):
            samples[top : top + band, :, channel] = _levels(values[top : top + band], masks[channel])
    if not masks[3]:
        return samples, None
    alpha = np.ascontiguousarray(samples[..., 3])
    return np.ascontiguousarray(samples[..., :3]), alpha if alpha.any() else None


def _masks(content: bytes, bitmap: Bitmap) -> tuple[int, ...]:
    if bitmap.compression == _PLAIN:
        return _FIVE_BITS
    masks = struct.unpack_from("<4I", content, 54)
    has_alpha = bitmap.header >= 56 or bitmap.compression == _ALPHA_BITFIELDS
    return masks if has_alpha else (*masks[:3], 0)


def _levels(values: np.ndarray, mask: int) -> np.ndarray:
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    maximum = mask >> shift
    if maximum & (maximum + 1):
        raise Undecodable("is a bitmap whose masks have gaps, which is not supported; save it as PNG.")
    levels = (values.astype(np.uint64) & np.uint64(mask)) >> np.uint64(shift)
    return (levels * np.uint64(255) + np.uint64(maximum // 2)) // np.uint64(maximum)


def _palette(content: bytes, bitmap: Bitmap) -> Pixels:
    """uint8 (256, 3): black where the file has no color."""
    entry, count = (3 if bitmap.header == _OS2 else 4), min(bitmap.colors or 256, 1 << bitmap.bits)
    start = 14 + bitmap.header
    end = min(start + entry * count, max(start, bitmap.pixels_at))
    stored = np.frombuffer(content[start : start + (end - start) // entry * entry], np.uint8).reshape(-1, entry)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(stored)] = stored[:, 2::-1]
    return palette


def _indexes(rows: Pixels, width: int, bits: int) -> Pixels:
    if bits == 8:
        return rows[:, :width]
    per_byte = 8 // bits
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    unpacked = (rows[:, : -(-width // per_byte), None] >> shifts) & np.uint8((1 << bits) - 1)
    return unpacked.reshape(len(rows), -1)[:, :width]
