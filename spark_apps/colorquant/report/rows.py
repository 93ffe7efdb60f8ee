"""A row of the summary: what became of one planned job. Standard library only."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from colorquant.errors import InvalidRecord
from colorquant.jobs import CompressionResult, Job, JobFailure
from colorquant.settings import Settings
from colorquant.storage import is_file, sha256_of

DONE, REUSED, FAILED = "done", "reused", "failed"
NO_RESULT = "the job left no result: see the log of its task, compress_image or compress_corpus"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One image at one k.

    ``state`` is "done" (computed in this run), "reused" (was there before) or "failed"; a failed row has a ``reason``
    and no figures. ``image`` is the name relative to the input folder, ``output`` the file's path relative to the
    folder of the summary, with forward slashes. The figures are those of ``CompressionResult``; ``seconds`` is the
    job's total. Where the job searched for the smallest k that reaches a ``target``, ``k`` is what it found (0 if it
    failed), and ``tried`` every palette size that it looked at with the measure's value there (None if infinite).
    """

    image: str
    k: int
    state: str
    reason: str | None = None
    width: int | None = None
    height: int | None = None
    unique_colors: int | None = None
    colors_used: int | None = None
    original_bytes: int | None = None
    compressed_bytes: int | None = None
    compression_ratio: float | None = None
    bits_per_pixel: float | None = None
    mse: float | None = None
    psnr_db: float | None = None
    ssim: float | None = None
    lossless: bool | None = None
    iterations: int | None = None
    converged: bool | None = None
    seconds: float | None = None
    image_sha256: str | None = None
    output: str | None = None
    output_sha256: str | None = None
    spark_version: str | None = None
    ssimulacra2: float | None = None
    target: str | None = None
    target_reached: bool | None = None
    tried: tuple[tuple[int, float | None], ...] = ()

    @property
    def size(self) -> str:
        """The palette size; ``auto`` where a search for one has failed."""
        return str(self.k) if self.k else "auto"

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The row of parsed JSON."""
        return cls(**content | {"tried": tuple((k, value) for k, value in content.get("tried", ()))})

    @property
    def failed(self) -> bool:
        """Whether there is no valid output."""
        return self.state == FAILED


_COUNTS = ("width", "height", "unique_colors", "colors_used", "original_bytes", "compressed_bytes", "iterations")
_MEASURES = ("compression_ratio", "bits_per_pixel", "mse", "ssim")
_FLAGS = ("lossless", "converged")


def row_of(job: Job, reused: bool, folder: Path) -> Row:
    """Read what a job left behind.

    Parameters
    ----------
    reused : whether the result was there before the run.
    folder : the folder of the summary, which ``Row.output`` is relative to.
    """
    if not reused and is_file(job.failure):
        # Each try removes it first, so the last one failed: a result that is there too is of another run.
        return _failed(job, _reason_of_failure(job))
    try:
        result = CompressionResult.read(job.result)
        _check(job, result)
    except FileNotFoundError:
        return _failed(job, _reason_of_failure(job))
    except (InvalidRecord, OSError) as error:
        return _failed(job, str(error))
    figures = {name: getattr(result, name) for name in (*_COUNTS, *_MEASURES, *_FLAGS, "psnr_db", "ssimulacra2")}
    search = result.search or {}
    return Row(
        image=job.name,
        k=result.k,
        state=REUSED if reused else DONE,
        **figures,
        seconds=_total_seconds(result),
        image_sha256=result.image_sha256,
        output=Path(os.path.relpath(str(job.written(result)), str(folder))).as_posix(),
        output_sha256=result.output_sha256,
        spark_version=_spark_version(result),
        target=search.get("target"),
        target_reached=search.get("reached"),
        tried=tuple((k, value) for k, value in search.get("tried", ())),
    )


def _failed(job: Job, reason: str) -> Row:
    return Row(image=job.name, k=job.k or 0, state=FAILED, reason=reason, target=job.target)


def _reason_of_failure(job: Job) -> str:
    try:
        return str(JobFailure.read(job.failure).reason)
    except FileNotFoundError:
        return NO_RESULT
    except (InvalidRecord, OSError) as error:
        return f"{NO_RESULT}; nor can the reason be read: {error}"


def _check(job: Job, result: CompressionResult) -> None:
    """Raise InvalidRecord unless the result is this job's, has the figures of one, and its output is there unchanged.

    A record is a file that anything may have written or edited since: a report must not print its NaN, nor
    die of it.
    """
    if result.image_sha256 != job.image_sha256:
        raise InvalidRecord(
            f"{job.result}: image_sha256 is {result.image_sha256!r}, and the plan has {job.image_sha256!r}"
        )
    if not job.is_answered_by(result) or not _is_number(result.k) or not _is_search(result.search):
        raise InvalidRecord(f"{job.result}: k is {result.k!r}, the search {result.search!r}: not of {job.label}")
    if Settings.of_record(result.settings, result.seed) != job.settings:
        raise InvalidRecord(
            f"{job.result}: seed is {result.seed!r} and settings are {result.settings!r}, and the plan has "
            f"{job.settings.seed!r} and {job.settings.as_record()!r}"
        )
    for name in _COUNTS:
        value = getattr(result, name)
        if not _is_number(value) or value != int(value) or value < (0 if name == "iterations" else 1):
            raise InvalidRecord(f"{job.result}: {name} is {value!r}, no count")
    for name in _MEASURES:
        if not _is_number(getattr(result, name)):
            raise InvalidRecord(f"{job.result}: {name} is {getattr(result, name)!r}, no finite number")
    for name in _FLAGS:
        if not isinstance(getattr(result, name), bool):
            raise InvalidRecord(f"{job.result}: {name} is {getattr(result, name)!r}, neither true nor false")
    if not (result.lossless if result.psnr_db is None else _is_number(result.psnr_db)):
        raise InvalidRecord(f"{job.result}: psnr_db is {result.psnr_db!r}, no finite number")
    if not (result.ssimulacra2 is None or _is_number(result.ssimulacra2)):
        raise InvalidRecord(f"{job.result}: ssimulacra2 is {result.ssimulacra2!r}, no finite number")
    output = job.written(result)
    try:
        sha256 = sha256_of(output)
    except FileNotFoundError:
        raise InvalidRecord(f"the output {output} is missing, though it was recorded") from None
    if sha256 != result.output_sha256:
        raise InvalidRecord(f"the output {output} has changed since it was recorded (its SHA-256 differs)")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_search(search: object) -> bool:
    if search is None:
        return True
    if not isinstance(search, dict) or search.keys() != {"target", "reached", "tried"}:
        return False
    pairs = search["tried"] if isinstance(search["tried"], list) else [None]
    return isinstance(search["reached"], bool) and all(
        isinstance(pair, list) and len(pair) == 2 and _is_number(pair[0]) and (pair[1] is None or _is_number(pair[1]))
        for pair in pairs
    )


def _total_seconds(result: CompressionResult) -> float | None:
    total = result.seconds.get("total") if isinstance(result.seconds, dict) else None
    return total if _is_number(total) else None


def _spark_version(result: CompressionResult) -> str | None:
    version = result.spark.get("version") if isinstance(result.spark, dict) else None
    return version if isinstance(version, str) else None
