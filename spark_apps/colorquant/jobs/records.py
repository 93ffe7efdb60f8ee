"""The record of a finished job: what was asked for and what was measured, one JSON object. Standard library only."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from colorquant.errors import InvalidRecord
from colorquant.limits import Count, PaletteSize, PositiveInt
from colorquant.storage import JsonRecord, PathText

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class KSearchRecord:
    """How the k of a result was found: the smallest that reaches a target.

    Attributes
    ----------
    target : str
        The target as ``str(Target)`` writes it.
    reached : bool
        Whether the result reaches it.
    tried : tuple of (int, float or None)
        Every k that was tried with the chosen settings, with the value of the target's measure there; None where it is
        infinite.
    free : tuple of str
        Names of the settings that the search chose; the record's ``settings`` have their values.
    trials : tuple of (str, int, float or None, int or None)
        All that was tried where settings were free: the settings in words, k, the value of the measure, and the size of
        the file in bytes; None where it was not encoded.
    """

    target: str
    reached: bool
    tried: tuple[tuple[PaletteSize, float | None], ...]
    free: tuple[str, ...] = ()
    trials: tuple[tuple[str, PaletteSize, float | None, Count | None], ...] = ()


@dataclass(frozen=True, kw_only=True)
class NeededBytes:
    """The smallest file of another format that has at least the quality of an output.

    Attributes
    ----------
    bytes : int
        Its size.
    quality : int
        Its encoder's quality, 1 to 100.
    ssimulacra2 : float
        What it reaches.
    """

    bytes: PositiveInt
    quality: PositiveInt
    ssimulacra2: float


@dataclass(frozen=True, kw_only=True)
class CompressionResult(JsonRecord):
    """One compressed image: every figure is measured on the decoded output file.

    Attributes
    ----------
    mse : mean over pixels of the squared Euclidean RGB distance (the sum of the three channels).
    psnr_db : ``10 log10(255^2 / (mse / 3))``; None, with ``lossless`` true, where mse is 0.
    ssim : mean structural similarity, 11x11 Gaussian window.
    ssimulacra2 : SSIMULACRA2, at most 100; None in records of versions that did not measure it, and for images that
        are compressed tile by tile.
    inertia : the sum of squared distances that the solver ends with, on the 8-bit palette.
    compression_ratio : original_bytes / compressed_bytes.
    bits_per_pixel : 8 * compressed_bytes / (width * height).
    seconds : decode, histogram, kmeans, remap, encode, metrics, total; compare where other formats were measured.
    spark : application_id, master, version, partitions, jobs.
    search : how k was found; None where it was given.
    comparison : what the other formats that were to be measured (``settings.compare``) need for the same SSIMULACRA2;
        None where no quality of a format reaches it, where a format cannot hold the image (alpha, or too many pixels
        on a side), and where the output has no SSIMULACRA2.
    palette_name : the name of the palette that the image has in common with others; None for one of its own.
    shared_mse, own_mse : mean squared distance of the pixels to their nearest entries, of the palette that the image
        has in common with others and of one of its own with the same k and settings; None where there is none in
        common. Neither dithering nor a rate counts, but weights do.
    weights_sha256 : of the picture that says how much each pixel counts; None where there is none.
    weights_notice : why this picture has no effect; None where it has, or there is none.

    Raises
    ------
    InvalidRecord
        Where ``psnr_db`` is missing and the output is not lossless, ``output`` does not name a file, or ``seconds`` has
        no total.
    """

    schema_version: int = SCHEMA_VERSION
    image: str
    image_sha256: str
    width: PositiveInt
    height: PositiveInt
    unique_colors: PositiveInt
    k: PaletteSize
    colors_used: PositiveInt
    seed: int
    settings: dict[str, Any]
    iterations: Count
    converged: bool
    inertia: int
    mse: float
    psnr_db: float | None
    ssim: float
    lossless: bool
    original_bytes: PositiveInt
    compressed_bytes: PositiveInt
    compression_ratio: float
    bits_per_pixel: float
    output: PathText
    output_sha256: str
    seconds: dict[str, float]
    spark: dict[str, Any]
    ssimulacra2: float | None = None
    search: KSearchRecord | None = None
    comparison: dict[str, NeededBytes | None] = field(default_factory=dict)
    palette_name: str | None = None
    shared_mse: float | None = None
    own_mse: float | None = None
    weights_sha256: str | None = None
    weights_notice: str | None = None

    def __post_init__(self) -> None:
        if self.psnr_db is None and not self.lossless:
            raise InvalidRecord("psnr_db is None, though the output is not lossless")
        if not PurePath(self.output).name:
            raise InvalidRecord(f"output is {self.output!r}, which does not name a file")
        if "total" not in self.seconds:
            raise InvalidRecord("seconds has no total")
