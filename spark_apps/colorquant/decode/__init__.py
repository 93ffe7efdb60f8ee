"""Image files to pixels: upright sRGB, uint8, or a sentence with the reason why an image cannot be decoded.

``read_image`` reads a whole file. ``tiled_image_above`` opens a TIFF that is too large for that, to be read region by
region. Modules that load OpenCV or tifffile are imported on first use: the report needs neither.
"""

from typing import TYPE_CHECKING

from colorquant.decode.color_management import ColorSpace
from colorquant.decode.containers import name_of
from colorquant.decode.declared_colors import color_space_of
from colorquant.decode.orientation import orientation_of
from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    from colorquant.decode.decoders import decode
    from colorquant.decode.image_file import DecodedImage, changed, decode_output, is_tiff, read_image
    from colorquant.decode.metadata import Metadata
    from colorquant.decode.process import DecodingProcess, start_decoding
    from colorquant.decode.tiled_tiff import Region, TiledImage, encode_tiles, tiled_image_above, write_tiled

__all__ = [
    "changed",
    "color_space_of",
    "ColorSpace",
    "decode",
    "decode_output",
    "DecodedImage",
    "DecodingProcess",
    "encode_tiles",
    "is_tiff",
    "Metadata",
    "name_of",
    "orientation_of",
    "read_image",
    "Region",
    "start_decoding",
    "tiled_image_above",
    "TiledImage",
    "write_tiled",
]

__getattr__ = imported_on_first_use(
    __name__,
    {
        "decode": "decoders",
        "DecodedImage": "image_file",
        "changed": "image_file",
        "decode_output": "image_file",
        "is_tiff": "image_file",
        "read_image": "image_file",
        "Metadata": "metadata",
        "DecodingProcess": "process",
        "start_decoding": "process",
        "Region": "tiled_tiff",
        "TiledImage": "tiled_tiff",
        "encode_tiles": "tiled_tiff",
        "tiled_image_above": "tiled_tiff",
        "write_tiled": "tiled_tiff",
    },
)
