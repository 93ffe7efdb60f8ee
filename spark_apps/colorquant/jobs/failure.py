"""A failed job: its exit code, why there is no output, and whether a retry may help. Standard library only."""

import sys
from dataclasses import dataclass
from typing import Self

from colorquant.jobs.records import SCHEMA_VERSION
from colorquant.limits import PaletteSize
from colorquant.storage import JsonRecord, StrPath

# Exit codes of the applications besides 0. After any other exit code a retry may help.
EXIT_FAILED = 1
EXIT_WRONG_ARGUMENTS = 2
#: EX_DATAERR of sysexits.h: the image cannot be compressed, a retry is useless.
EXIT_BAD_INPUT = 65


@dataclass(frozen=True, kw_only=True)
class JobFailure(JsonRecord):
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
    killed : bool
        Whether the image ended the process of its job: by its memory, by its time, or by a crash.
    """

    schema_version: int = SCHEMA_VERSION
    image: str | None = None
    k: PaletteSize | None = None
    reason: str
    exit_code: int
    retryable: bool
    killed: bool = False

    @classmethod
    def of(
        cls,
        exit_code: int,
        reason: str,
        image: str | None = None,
        k: int | None = None,
        killed: bool = False,
        lasting: bool = False,
    ) -> Self:
        """A failure by its exit code, which says whether a retry may help, unless the cause is a ``lasting`` one."""
        retryable = exit_code not in (EXIT_WRONG_ARGUMENTS, EXIT_BAD_INPUT) and not lasting
        return cls(image=image, k=k, reason=reason, exit_code=exit_code, retryable=retryable, killed=killed)

    def leave(self, path: StrPath) -> None:
        """Write the record for whoever reports on the job. Where that is impossible, the reason goes to stderr."""
        try:
            self.write(path)
        except OSError as error:  # A full disk, say, which may be what the job failed of.
            print(f"{self.reason} (this could not be written to {path}: {error})", file=sys.stderr)
