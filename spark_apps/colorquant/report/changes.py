"""Night over night: what changed since the previous run on the same folder of images. Standard library only."""

import math
from dataclasses import dataclass
from typing import Any, Self

#: Quality that an unchanged image may lose from run to run before the report warns.
PSNR_TOLERANCE_DB, SSIM_TOLERANCE = 0.1, 0.001


@dataclass(frozen=True, kw_only=True)
class Move:
    """An output whose bytes are others than in the previous run, with what that meant.

    ``same_image`` tells a change of settings or software from one of the original. PSNR is None where lossless.
    """

    image: str
    k: int
    same_image: bool
    ratio_before: float
    ratio: float
    psnr_db_before: float | None
    psnr_db: float | None
    ssim_before: float
    ssim: float

    @property
    def regressed(self) -> bool:
        """Whether the same image came out worse than before, by more than the tolerances."""
        lost = _decibels(self.psnr_db_before) - _decibels(self.psnr_db) if self.psnr_db is not None else 0.0
        worse = lost > PSNR_TOLERANCE_DB or self.ssim_before - self.ssim > SSIM_TOLERANCE
        return self.same_image and worse


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a run has that the previous one had not, and the other way round.

    Attributes
    ----------
    run_id, written_at : of the previous run.
    settings : names of the settings that have another value, each with the one before and the one now.
    added, removed : names of images.
    recomputed : jobs that this run computed though the previous one had their output.
    failed, mended : jobs ("image", k) without an output that had one before; with one that had none.
    moved : outputs with other bytes, those that regressed first.
    """

    run_id: str
    written_at: str
    settings: dict[str, tuple[Any, Any]]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    recomputed: int
    failed: tuple[tuple[str, int], ...]
    mended: tuple[tuple[str, int], ...]
    moved: tuple[Move, ...]

    @property
    def regressed(self) -> list[Move]:
        """What came out worse of an image that is the same."""
        return [move for move in self.moved if move.regressed]

    @property
    def nothing(self) -> bool:
        """Whether the run ended as the previous one did."""
        return not (self.settings or self.added or self.removed or self.failed or self.mended or self.moved)

    def sentence(self) -> str:
        """The changes in one sentence for a log."""
        counts = [
            (len(self.added), "added"),
            (len(self.removed), "removed"),
            (len(self.moved), "outputs changed"),
            (len(self.failed), "jobs newly failed"),
            (len(self.mended), "jobs mended"),
        ]
        told = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing changed"
        warning = f" WARNING: the quality of {len(self.regressed)} outputs regressed." if self.regressed else ""
        return f"Since run {self.run_id}: {told}.{warning}"

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The changes of parsed JSON."""
        pairs = {name: tuple((image, k) for image, k in content[name]) for name in ("failed", "mended")}
        names = {name: tuple(content[name]) for name in ("added", "removed")}
        settings = {name: (before, now) for name, (before, now) in content["settings"].items()}
        moved = tuple(Move(**move) for move in content["moved"])
        return cls(**content | pairs | names | {"settings": settings, "moved": moved})


def _decibels(psnr_db: float | None) -> float:
    return math.inf if psnr_db is None else psnr_db
