"""A row of the summary: the outcome of one planned job. Standard library only."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colorquant.errors import InvalidRecord
from colorquant.jobs import CompressionResult, Job, JobFailure, no_weights
from colorquant.limits import Count, PaletteSize, PositiveInt
from colorquant.settings import COMPARED_FORMATS, Settings
from colorquant.storage import is_file, sha256_of

DONE, REUSED, FAILED = "done", "reused", "failed"
NO_RESULT = "the job left no result: somebody ended the run before it, or see the log of its task"


@dataclass(frozen=True, kw_only=True)
class Row:
    """The outcome of one job: an image at one k.

    Attributes
    ----------
    image : the image's path below the input folder.
    k : the palette size; None where the job failed that was to find the smallest for ``target``.
    state : "done" (computed in this run), "reused" (from an earlier run) or "failed".
    reason : why the job failed. A failed row has no figures.
    seconds : the job's total time.
    output : the output's path relative to the folder of the summary, with forward slashes.
    target : the quality target that the job found the smallest k for.
    target_reached : whether ``k`` reaches it.
    tried : every k that was tried for the target, with the value of the target's measure; None where it is infinite.
    jpeg_bytes, webp_bytes, avif_bytes, jxl_bytes : what these formats need for the SSIMULACRA2 of the output; None
        where the run did not ask for the comparison, and where a format does not reach it.

    notice : why all pixels of the image count the same though weights were given.

    All other figures are those of ``CompressionResult``.
    """

    image: str
    k: PaletteSize | None
    state: str
    reason: str | None = None
    width: PositiveInt | None = None
    height: PositiveInt | None = None
    unique_colors: PositiveInt | None = None
    colors_used: PositiveInt | None = None
    original_bytes: PositiveInt | None = None
    compressed_bytes: PositiveInt | None = None
    compression_ratio: float | None = None
    bits_per_pixel: float | None = None
    mse: float | None = None
    psnr_db: float | None = None
    ssim: float | None = None
    lossless: bool | None = None
    iterations: Count | None = None
    converged: bool | None = None
    seconds: float | None = None
    image_sha256: str | None = None
    output: str | None = None
    output_sha256: str | None = None
    spark_version: str | None = None
    ssimulacra2: float | None = None
    target: str | None = None
    target_reached: bool | None = None
    tried: tuple[tuple[PaletteSize, float | None], ...] = ()
    jpeg_bytes: PositiveInt | None = None
    webp_bytes: PositiveInt | None = None
    avif_bytes: PositiveInt | None = None
    jxl_bytes: PositiveInt | None = None
    shared_mse: float | None = None
    own_mse: float | None = None
    notice: str | None = None

    @property
    def compared(self) -> dict[str, int]:
        """Titles of other formats, and the bytes that they need for the same SSIMULACRA2, the fewest first."""
        found = {title: getattr(self, f"{name}_bytes") for name, title in COMPARED_FORMATS.items()}
        return dict(sorted(((title, size) for title, size in found.items() if size), key=lambda item: item[1]))

    @property
    def size(self) -> str:
        """The palette size as text; ``auto`` where none was found."""
        return k_text(self.k)

    @property
    def psnr(self) -> float:
        """PSNR in dB, infinite where the output is lossless."""
        return math.inf if self.psnr_db is None else self.psnr_db

    @property
    def failed(self) -> bool:
        """Whether there is no valid output."""
        return self.state == FAILED

    @property
    def untried(self) -> bool:
        """Whether the job left neither a result nor a reason: somebody ended its run, or its worker died."""
        return self.reason == NO_RESULT


# The figures that a row and a result have in common.
_FIGURES = (
    "width",
    "height",
    "unique_colors",
    "colors_used",
    "original_bytes",
    "compressed_bytes",
    "compression_ratio",
    "bits_per_pixel",
    "mse",
    "psnr_db",
    "ssim",
    "ssimulacra2",
    "lossless",
    "iterations",
    "converged",
    "shared_mse",
    "own_mse",
)


def k_text(k: int | None) -> str:
    """A palette size as text; ``auto`` where none was found."""
    return "auto" if k is None else str(k)


def row_of(job: Job, reused: bool, folder: Path) -> Row:
    """The row of a job, from its result or its failure.

    Parameters
    ----------
    job : Job
        A job of the run's plan.
    reused : bool
        Whether the result existed before the run.
    folder : pathlib.Path
        The folder of the summary, which ``Row.output`` is relative to.
    """
    try:
        # Each attempt first removes the failure, so the last one failed: a result is from another run.
        if not reused and is_file(job.failure):
            return _failed(job, _reason_of_failure(job))
        result = CompressionResult.read(job.result)
        _check(job, result)
    except FileNotFoundError:
        return _failed(job, _reason_of_failure(job))
    except (InvalidRecord, OSError) as error:
        return _failed(job, str(error))
    search = result.search
    return Row(
        image=job.name,
        k=result.k,
        state=REUSED if reused else DONE,
        **{name: getattr(result, name) for name in _FIGURES},
        seconds=result.seconds["total"],
        image_sha256=result.image_sha256,
        output=Path(os.path.relpath(str(job.written(result)), str(folder))).as_posix(),
        output_sha256=result.output_sha256,
        spark_version=_spark_version(result),
        target=search.target if search else None,
        target_reached=search.reached if search else None,
        tried=search.tried if search else (),
        **_compared(job, result),
        notice=_notice(job, result),
    )


def _notice(job: Job, result: CompressionResult) -> str | None:
    folder = job.settings.weights
    return no_weights(folder) if folder and job.weights is None else result.weights_notice


def _compared(job: Job, result: CompressionResult) -> dict[str, Any]:
    """The fields of the formats that the run asked for; an earlier run may have asked for more."""
    wanted = {name: result.comparison.get(name) for name in job.settings.compare}
    return {f"{name}_bytes": needed.bytes for name, needed in wanted.items() if needed}


def _failed(job: Job, reason: str) -> Row:
    return Row(image=job.name, k=job.k, state=FAILED, reason=reason, target=job.target)


def _reason_of_failure(job: Job) -> str:
    try:
        return JobFailure.read(job.failure).reason
    except FileNotFoundError:
        return NO_RESULT
    except (InvalidRecord, OSError) as error:
        return f"{NO_RESULT}; nor can the reason be read: {error}"


def _check(job: Job, result: CompressionResult) -> None:
    """Raise InvalidRecord unless the result is this job's, and its output exists unchanged."""
    if result.image_sha256 != job.image_sha256:
        raise InvalidRecord(
            f"{job.result}: image_sha256 is {result.image_sha256!r}, and the plan has {job.image_sha256!r}"
        )
    settings = Settings.of_record(result.settings, result.seed, job.algorithm_version)
    if settings is None or not job.settings.allows(settings):
        raise InvalidRecord(
            f"{job.result}: seed is {result.seed!r} and settings are {result.settings!r}, and the plan has "
            f"{job.settings.seed!r} and {job.settings.as_record()!r}"
        )
    if not job.is_answered_by(result):
        raise InvalidRecord(f"{job.result}: k is {result.k!r}, found by {result.search!r}: not of {job.label}")
    output = job.written(result)
    try:
        sha256 = sha256_of(output)
    except FileNotFoundError:
        raise InvalidRecord(f"the output {output} is missing, though its record exists") from None
    if sha256 != result.output_sha256:
        raise InvalidRecord(f"the output {output} has changed since it was measured (its SHA-256 differs)")


def _spark_version(result: CompressionResult) -> str | None:
    version = result.spark.get("version")
    return version if isinstance(version, str) else None
