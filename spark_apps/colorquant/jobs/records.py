"""What a job leaves behind: what was measured, or why there is nothing; one JSON object. Standard library only."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import Any, Self

from colorquant.errors import InvalidRecord
from colorquant.storage import StrPath, read, write_atomically

SCHEMA_VERSION = 1

# Exit codes of the applications besides 0. After any other exit code a retry may help.
EXIT_FAILED = 1
EXIT_WRONG_ARGUMENTS = 2
#: EX_DATAERR of sysexits.h: the image cannot be compressed, a retry is useless.
EXIT_BAD_INPUT = 65


@dataclass(frozen=True, kw_only=True)
class _Record:
    schema_version: int = SCHEMA_VERSION

    def write(self, path: StrPath) -> None:
        """Write the record as JSON, atomically. JSON has no infinity or NaN: such a value raises ValueError."""
        text = json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False)
        write_atomically(path, (text + "\n").encode())

    @classmethod
    def read(cls, path: StrPath) -> Self:
        """Read a record. Raises FileNotFoundError, or InvalidRecord where it is not one of this schema."""
        try:
            content = json.loads(read(path))
        except ValueError as error:
            raise InvalidRecord(f"{path}: not JSON ({error})") from error
        return cls.from_json(content, source=str(path))

    @classmethod
    def from_json(cls, content: Any, source: str = "record") -> Self:
        """Make a record of parsed JSON. Raises InvalidRecord naming ``source``."""
        if not isinstance(content, dict):
            raise InvalidRecord(f"{source}: a JSON object is expected, not {type(content).__name__}")
        version = content.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InvalidRecord(f"{source}: schema_version {version!r} is unknown; this version reads {SCHEMA_VERSION}")
        fields = dataclasses.fields(cls)
        names = {field.name for field in fields}
        # A field that came later has a default: records from before it stay good.
        required = {field.name for field in fields if field.default is dataclasses.MISSING}
        missing, unknown = sorted(required - content.keys()), sorted(content.keys() - names)
        if missing or unknown:
            raise InvalidRecord(f"{source}: fields missing {missing}, unknown {unknown}")
        return cls(**content)


@dataclass(frozen=True, kw_only=True)
class CompressionResult(_Record):
    """One compressed image: every figure is measured on the decoded output file.

    Attributes
    ----------
    mse : mean over pixels of the squared Euclidean RGB distance (the sum of the three channels).
    psnr_db : ``10 log10(255^2 / (mse / 3))``; None, with ``lossless`` true, where mse is 0.
    ssim : mean structural similarity, 11x11 Gaussian window.
    ssimulacra2 : the perceptual measure of that name, at most 100; None in records from before it was measured, and
        of images that were compressed tile by tile.
    inertia : the sum of squared distances that the solver ends with, on the 8-bit palette.
    compression_ratio : original_bytes / compressed_bytes.
    bits_per_pixel : 8 * compressed_bytes / (width * height).
    seconds : decode, histogram, kmeans, remap, encode, metrics, total.
    spark : application_id, master, version, partitions, jobs.
    search : how k was found, where a target was given in its place: ``target``, whether it is ``reached``, and
        ``tried``, a list of k and the measure's value there (None where it is infinite).
    """

    image: str
    image_sha256: str
    width: int
    height: int
    unique_colors: int
    k: int
    colors_used: int
    seed: int
    settings: dict[str, Any]
    iterations: int
    converged: bool
    inertia: int
    mse: float
    psnr_db: float | None
    ssim: float
    lossless: bool
    original_bytes: int
    compressed_bytes: int
    compression_ratio: float
    bits_per_pixel: float
    output: str
    output_sha256: str
    seconds: dict[str, float]
    spark: dict[str, Any]
    ssimulacra2: float | None = None
    search: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class JobFailure(_Record):
    """Why a job, or the application of a whole library, has no result.

    Attributes
    ----------
    image : str or None
        Path of the image; None for a whole library, and where the job's process ended before it could say.
    k : int or None
        The palette size; None where it was to be searched, and where ``image`` is None.
    reason : str
        One sentence for people.
    exit_code : int
        Of the process that failed, or the one that it would have had.
    retryable : bool
        False where another try with the same input would end the same.
    """

    image: str | None = None
    k: int | None = None
    reason: str
    exit_code: int
    retryable: bool

    @classmethod
    def of(cls, exit_code: int, reason: str, image: str | None = None, k: int | None = None) -> Self:
        """A failure by its exit code, which says whether a retry may help."""
        retryable = exit_code not in (EXIT_WRONG_ARGUMENTS, EXIT_BAD_INPUT)
        return cls(image=image, k=k, reason=reason, exit_code=exit_code, retryable=retryable)

    def leave(self, path: StrPath) -> None:
        """Write the record for whoever reports on the job. Where that is impossible, the reason goes to stderr."""
        try:
            self.write(path)
        except OSError as error:  # A full disk, say, which may be what the job failed of.
            print(f"{self.reason} (this could not be written to {path}: {error})", file=sys.stderr)
