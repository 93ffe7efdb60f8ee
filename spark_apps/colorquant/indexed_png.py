"""Encoding an index map and its palette as an indexed PNG."""

from typing import Any

import numpy as np
import numpy.typing as npt
import oxipng

# What oxipng leaves alone: it would turn grey palettes into grayscale and tiny images into RGB or 8 bits per pixel.
_AS_GIVEN: dict[str, Any] = {
    "bit_depth_reduction": False,
    "color_type_reduction": False,
    "palette_reduction": False,
    "grayscale_reduction": False,
}


def encode_indexed_png(palette: npt.NDArray[np.uint8], indexes: npt.NDArray[np.uint8]) -> bytes:
    """Encode as a PNG of color type 3 at the least bit depth (1, 2, 4 or 8) that holds the palette.

    Palette entries that no pixel uses are dropped. The bytes depend on the picture alone: not on the order of the
    palette's entries, nor on threads.

    Parameters
    ----------
    palette : uint8 (k, 3), 1 <= k <= 256
    indexes : uint8 (H, W)
        Each below k.

    Raises
    ------
    ValueError
        Where the shapes or dtypes are not as above, or an index is out of the palette.
    """
    palette, indexes = _canonical(palette, indexes)
    depth = _bit_depth(len(palette))
    height, width = indexes.shape
    image = oxipng.RawImage(
        _packed_rows(indexes, depth),
        width,
        height,
        color_type=oxipng.ColorType.indexed([(*color, 255) for color in palette.tolist()]),
        bit_depth=depth,
    )
    return image.create_optimized_png(level=2, **_AS_GIVEN)


def _canonical(
    palette: npt.NDArray[np.uint8], indexes: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The same picture by the distinct colors it uses, from dark to light."""
    if palette.dtype != np.uint8 or palette.ndim != 2 or palette.shape[1] != 3 or not 1 <= len(palette) <= 256:
        raise ValueError(f"a palette is uint8 (k, 3) with k from 1 to 256, not {palette.dtype} {palette.shape}")
    if indexes.dtype != np.uint8 or indexes.ndim != 2 or indexes.size == 0:
        raise ValueError(f"an index map is uint8 (H, W), not {indexes.dtype} {indexes.shape}")
    used = np.flatnonzero(np.bincount(indexes.ravel(), minlength=256))
    if used[-1] >= len(palette):
        raise ValueError(f"index {used[-1]} is not in a palette of {len(palette)} colors")
    colors, position = np.unique(palette[used], axis=0, return_inverse=True)
    # Rec. 601 luma in integers; ties stay in lexicographic order, so the order is unique.
    order = np.argsort(colors @ np.array([299, 587, 114]), kind="stable")
    rank = np.empty(len(order), dtype=np.uint8)
    rank[order] = np.arange(len(order))
    table = np.zeros(256, dtype=np.uint8)
    table[used] = rank[position.ravel()]
    return colors[order], table[indexes]


def _bit_depth(colors: int) -> int:
    return next(depth for depth in (1, 2, 4, 8) if colors <= 1 << depth)


def _packed_rows(indexes: npt.NDArray[np.uint8], depth: int) -> bytes:
    """Rows of pixels as PNG has them: the leftmost pixel in the high bits, each row filled up to a whole byte."""
    if depth == 8:
        return np.ascontiguousarray(indexes).tobytes()
    per_byte = 8 // depth
    height, width = indexes.shape
    padded = np.pad(indexes, ((0, 0), (0, -width % per_byte))).reshape(height, -1, per_byte)
    packed = np.zeros(padded.shape[:2], dtype=np.uint8)
    for slot in range(per_byte):
        packed |= padded[..., slot] << np.uint8(8 - depth * (slot + 1))
    return packed.tobytes()
