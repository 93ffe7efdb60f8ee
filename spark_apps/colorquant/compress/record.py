"""The result record of a job, built in one way whether the image was compressed as a whole or by regions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from colorquant.compress.palette_fit import PaletteFit
from colorquant.jobs import CompressionResult, KSearchRecord, NeededBytes, WeightsFile
from colorquant.quality import bits_per_pixel, compression_ratio, psnr_db
from colorquant.quantizer import Solution
from colorquant.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Original:
    """The input file of a record: its path, the SHA-256 and the size of its bytes, its number of distinct colors."""

    path: str
    sha256: str
    bytes: int
    unique_colors: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured on the decoded output; ``CompressionResult`` explains each figure."""

    width: int
    height: int
    colors_used: int
    mse: float
    ssim: float
    ssimulacra2: float | None
    compressed_bytes: int
    sha256: str


def record_of(
    *,
    original: Original,
    k: int,
    settings: Settings,
    solution: Solution,
    measured: Measured,
    output: str,
    seconds: dict[str, float],
    spark: dict[str, Any],
    comparison: Mapping[str, NeededBytes | None],
    search: KSearchRecord | None = None,
    fit: PaletteFit | None = None,
    weights: WeightsFile | None = None,
    notice: str | None = None,
) -> CompressionResult:
    """The result record. ``k``, and ``output`` and all after it up to ``search``, are its fields of these names."""
    return CompressionResult(
        image=original.path,
        image_sha256=original.sha256,
        width=measured.width,
        height=measured.height,
        unique_colors=original.unique_colors,
        k=k,
        colors_used=measured.colors_used,
        seed=settings.seed,
        settings=settings.as_record(),
        iterations=solution.iterations,
        converged=solution.converged,
        inertia=int(solution.inertia),
        mse=measured.mse,
        psnr_db=psnr_db(measured.mse),
        ssim=measured.ssim,
        lossless=measured.mse == 0,
        original_bytes=original.bytes,
        compressed_bytes=measured.compressed_bytes,
        compression_ratio=compression_ratio(original.bytes, measured.compressed_bytes),
        bits_per_pixel=bits_per_pixel(measured.compressed_bytes, measured.width, measured.height),
        output=output,
        output_sha256=measured.sha256,
        seconds=seconds,
        spark=spark,
        ssimulacra2=measured.ssimulacra2,
        search=search,
        comparison=dict(comparison),
        palette_name=fit.name if fit else None,
        shared_mse=fit.shared_mse if fit else None,
        own_mse=fit.own_mse if fit else None,
        weights_sha256=weights.sha256 if weights else None,
        weights_notice=notice,
    )
