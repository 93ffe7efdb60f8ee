"""An output file in memory: its bytes, and the figures of what a viewer sees of them."""

import hashlib
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from colorquant.compress.record import Measured
from colorquant.decode import DecodedImage, Metadata, decode_output
from colorquant.encode import MAX_SIDE, encode_indexed_png, encode_lossless_webp
from colorquant.errors import UnsupportedImage
from colorquant.pixels import Pixels
from colorquant.quality import count_colors, mean_squared_error, perceptual_similarity, structural_similarity
from colorquant.settings import Settings

_COMPARED_ROWS = 64


def check_size(path: str, pixels: Pixels, settings: Settings) -> None:
    """Raise UnsupportedImage where pixels (H, W, 3 or 4) have a side that the output's file format does not allow."""
    height, width = pixels.shape[:2]
    if settings.format == "webp" and max(height, width) > MAX_SIDE:
        raise UnsupportedImage(
            f"{path!r} has {width} x {height} pixels, and WebP allows at most {MAX_SIDE:,} on a side; choose the "
            "format png."
        )


def encode(palette: Pixels, indexes: Pixels, settings: Settings, metadata: Metadata, in_order: bool = False) -> bytes:
    """The output file's bytes.

    Parameters
    ----------
    palette : uint8 (k, 3), or (k, 4) with alpha
    indexes : uint8 (H, W)
    settings : Settings
        Its format, and what is kept of the metadata.
    metadata : Metadata
        Of the original.
    in_order : bool
        Whether a PNG has the palette as it is given; a WebP has one of its own in any case.
    """
    kept = metadata.resolution_alone() if settings.metadata == "stripped" else metadata
    if settings.format == "webp":
        return encode_lossless_webp(palette, indexes, kept.as_exif())
    return kept.into_png(encode_indexed_png(palette, indexes, effort=settings.effort, in_order=in_order))


@dataclass(frozen=True)
class Figures:
    """How far a picture is from the original, and its number of distinct colors."""

    colors_used: int
    mse: float
    ssim: float
    ssimulacra2: float

    @classmethod
    def of(cls, original: Pixels, picture: Pixels, pool: Executor | None = None) -> Self:
        """Measure a picture; both are uint8 (H, W, 3 or 4). The threads of a pool share the work."""
        return cls(
            colors_used=count_colors(picture),
            mse=mean_squared_error(original, picture),
            ssim=structural_similarity(original, picture, pool),
            ssimulacra2=perceptual_similarity(original, picture, pool),
        )


@dataclass(frozen=True, eq=False)
class Foreseen:
    """The figures of the picture that an output file should show: palette (k, 3 or 4) and indexes (H, W), uint8."""

    palette: Pixels
    indexes: Pixels
    figures: Figures

    def is_shown_by(self, pixels: Pixels) -> bool:
        """Whether the decoded file is that picture, pixel by pixel."""
        tops = range(0, len(pixels), _COMPARED_ROWS)
        bands = (slice(top, top + _COMPARED_ROWS) for top in tops)
        return all(np.array_equal(self.palette[self.indexes[band]], pixels[band]) for band in bands)


def encode_and_foresee(
    original: DecodedImage, palette: Pixels, indexes: Pixels, settings: Settings, in_order: bool, threads: int
) -> tuple[bytes, Foreseen]:
    """Encode in one thread, and meanwhile measure in the others what the file should show.

    Most of the encoding of a large image is one DEFLATE stream, which no two cores can share.

    Parameters
    ----------
    original : DecodedImage
    palette, indexes, settings, in_order
        As of ``encode``.
    threads : int
        2 at least.
    """
    with ThreadPoolExecutor(1) as other, ThreadPoolExecutor(threads - 1) as pool:
        figures = other.submit(lambda: Figures.of(original.pixels, palette[indexes], pool))
        encoded = encode(palette, indexes, settings, original.metadata, in_order)
        return encoded, Foreseen(palette, indexes, figures.result())


def measure(original: DecodedImage, encoded: bytes, foreseen: Foreseen | None = None) -> Measured:
    """Decode an output file and measure it against its original: what a viewer sees, not what the solver believes.

    Where the decoded file is the picture that was ``foreseen``, its figures are those, measured already.
    """
    pixels = decode_output(encoded, alpha=original.pixels.shape[2] == 4)
    height, width = pixels.shape[:2]
    known = foreseen is not None and foreseen.is_shown_by(pixels)
    figures = foreseen.figures if foreseen and known else Figures.of(original.pixels, pixels)
    return Measured(
        width=width,
        height=height,
        colors_used=figures.colors_used,
        mse=figures.mse,
        ssim=figures.ssim,
        ssimulacra2=figures.ssimulacra2,
        compressed_bytes=len(encoded),
        sha256=hashlib.sha256(encoded).hexdigest(),
    )
