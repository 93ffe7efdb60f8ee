"""An output file in memory: its bytes, and the figures of what a viewer sees of them."""

import hashlib

from colorquant.compress.record import Measured
from colorquant.decode import DecodedImage, Metadata, decode_output
from colorquant.encode import MAX_SIDE, encode_indexed_png, encode_lossless_webp
from colorquant.errors import UnsupportedImage
from colorquant.pixels import Pixels
from colorquant.quality import count_colors, mean_squared_error, perceptual_similarity, structural_similarity
from colorquant.settings import Settings


def check_size(path: str, pixels: Pixels, settings: Settings) -> None:
    """Raise UnsupportedImage where pixels (H, W, 3 or 4) have a side that the output's file format does not allow."""
    height, width = pixels.shape[:2]
    if settings.format == "webp" and max(height, width) > MAX_SIDE:
        raise UnsupportedImage(
            f"{path!r} has {width} x {height} pixels, and WebP allows at most {MAX_SIDE:,} on a side; choose the "
            "format png."
        )


def encode(palette: Pixels, indexes: Pixels, settings: Settings, metadata: Metadata) -> bytes:
    """The output file's bytes.

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha
    indexes : uint8 (H, W)
    settings : Settings
        Its format, and what is kept of the metadata.
    metadata : Metadata
        Of the original.
    """
    kept = metadata.resolution_alone() if settings.metadata == "stripped" else metadata
    if settings.format == "webp":
        return encode_lossless_webp(palette, indexes, kept.as_exif())
    return kept.into_png(encode_indexed_png(palette, indexes, effort=settings.effort))


def measure(original: DecodedImage, encoded: bytes) -> Measured:
    """Decode an output file and measure it against its original: what a viewer sees, not what the solver believes."""
    pixels = decode_output(encoded, alpha=original.pixels.shape[2] == 4)
    height, width = pixels.shape[:2]
    return Measured(
        width=width,
        height=height,
        colors_used=count_colors(pixels),
        mse=mean_squared_error(original.pixels, pixels),
        ssim=structural_similarity(original.pixels, pixels),
        ssimulacra2=perceptual_similarity(original.pixels, pixels),
        compressed_bytes=len(encoded),
        sha256=hashlib.sha256(encoded).hexdigest(),
    )
