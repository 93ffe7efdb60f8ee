"""Changes since the previous run on the same folder of images. Standard library only."""

import math
from dataclasses import dataclass, field
from typing import Any

from colorquant.limits import Count, PaletteSize

#: Loss of quality between two runs, for an unchanged image, above which the report warns.
PSNR_TOLERANCE_DB, SSIM_TOLERANCE = 0.1, 0.001
#: Entries of each list of ``LimitedChanges``.
MAX_LISTED = 1000


@dataclass(frozen=True, kw_only=True)
class Move:
    """An output whose bytes differ from those in the previous run, and its figures before and now.

    ``same_image`` says that the original is the same file: settings or software have changed. PSNR is None where the
    output is lossless.
    """

    image: str
    k: PaletteSize
    same_image: bool
    ratio_before: float
    ratio: float
    psnr_db_before: float | None
    psnr_db: float | None
    ssim_before: float
    ssim: float

    @property
    def regressed(self) -> bool:
        """Whether the output of the same image is worse than before, by more than the tolerances."""
        lost = _decibels(self.psnr_db_before) - _decibels(self.psnr_db) if self.psnr_db is not None else 0.0
        worse = lost > PSNR_TOLERANCE_DB or self.ssim_before - self.ssim > SSIM_TOLERANCE
        return self.same_image and worse


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The differences between a run and the previous one.

    Attributes
    ----------
    run_id, written_at : of the previous run.
    settings : names of the settings that have changed, each with its value before and now.
    added, removed : names of images.
    recomputed : number of jobs that this run computed, though the previous run had their output.
    failed : jobs, as (image, k), that have no output and had one before.
    mended : jobs, as (image, k), that have an output and had none before.
    moved : outputs whose bytes have changed, regressions first.
    """

    run_id: str
    written_at: str
    settings: dict[str, tuple[Any, Any]]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    recomputed: Count
    failed: tuple[tuple[str, PaletteSize | None], ...]
    mended: tuple[tuple[str, PaletteSize | None], ...]
    moved: tuple[Move, ...]

    @property
    def regressed(self) -> list[Move]:
        """The outputs that are worse than before, of unchanged images."""
        return [move for move in self.moved if move.regressed]

    def count(self, name: str) -> int:
        """The number of entries of one of the lists, or of ``regressed``."""
        return len(getattr(self, name))

    @property
    def nothing(self) -> bool:
        """Whether the run has the same results as the previous one."""
        return not (self.settings or self.added or self.removed or self.failed or self.mended or self.moved)

    def sentence(self) -> str:
        """The changes in one sentence for a log."""
        counts = [
            (self.count("added"), "added"),
            (self.count("removed"), "removed"),
            (self.count("moved"), "outputs changed"),
            (self.count("failed"), "jobs newly failed"),
            (self.count("mended"), "jobs mended"),
        ]
        told = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing changed"
        warning = f" WARNING: the quality of {self.count('regressed')} outputs regressed." if self.regressed else ""
        return f"Since run {self.run_id}: {told}.{warning}"


@dataclass(frozen=True, kw_only=True)
class LimitedChanges(Changes):
    """The differences between runs of a very large library: of each list the first ``MAX_LISTED`` only.

    ``more`` tells for each list, and for ``regressed``, how many are not in it.
    """

    more: dict[str, Count] = field(default_factory=dict)

    def count(self, name: str) -> int:
        """As of ``Changes``: also of what is not listed."""
        return super().count(name) + self.more.get(name, 0)


def _decibels(psnr_db: float | None) -> float:
    return math.inf if psnr_db is None else psnr_db
