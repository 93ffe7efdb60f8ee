"""Night over night: what changed since the previous run on the same folder of images. Standard library only."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from colorquant.records import InvalidRecord
from colorquant.report.rows import DONE, Row

if TYPE_CHECKING:
    from colorquant.report.summary import Summary

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

    @classmethod
    def between(cls, before: "Summary", now: "Summary") -> Self:
        """Compare two summaries of the same folder of images; images and k that only one has are not compared."""
        old = {_place(row): row for row in before.rows}
        pairs = [(old[place], row) for row in now.rows if (place := _place(row)) in old]
        names, old_names = set(now.rows_by_image()), set(before.rows_by_image())
        moved = [_move(*pair) for pair in pairs if not (pair[0].failed or pair[1].failed) and _has_moved(*pair)]
        return cls(
            run_id=before.run_id,
            written_at=before.written_at,
            settings={
                name: (before.settings.get(name), now.settings.get(name))
                for name in sorted(before.settings.keys() | now.settings.keys())
                if before.settings.get(name) != now.settings.get(name)
            },
            added=tuple(sorted(names - old_names)),
            removed=tuple(sorted(old_names - names)),
            recomputed=sum(row.state == DONE and not was.failed for was, row in pairs),
            failed=tuple((row.image, row.k) for was, row in pairs if row.failed and not was.failed),
            mended=tuple((row.image, row.k) for was, row in pairs if was.failed and not row.failed),
            moved=tuple(sorted(moved, key=lambda move: not move.regressed)),
        )


def previous_summary(summary: "Summary", folder: Path) -> "Summary | None":
    """The latest summary that was written before this one on the same folder of images; None where there is none.

    Parameters
    ----------
    folder : where the summary lies; those of other runs lie beside it.
    """
    from colorquant.report.summary import read_summary

    for path in _latest_first(folder):
        try:
            other = read_summary(path)
        except (OSError, InvalidRecord):
            continue  # Of another version, or just being removed.
        if other.images_folder == summary.images_folder and other.written_at <= summary.written_at:
            return other
    return None


def _latest_first(folder: Path) -> Iterator[Path]:
    written = []
    for path in folder.parent.glob("*/summary.json"):
        try:
            written.append((path.stat().st_mtime_ns, path))
        except OSError:
            continue
    return (path for _, path in sorted(written, reverse=True) if path.parent != folder)


def _place(row: Row) -> tuple[str, int | str]:
    """What makes rows of two runs comparable: the image, and the k or the target that was asked for."""
    return row.image, row.target or row.k


def _has_moved(before: Row, now: Row) -> bool:
    return before.output_sha256 != now.output_sha256


def _move(before: Row, now: Row) -> Move:
    return Move(
        image=now.image,
        k=now.k,
        same_image=before.image_sha256 == now.image_sha256,
        ratio_before=before.compression_ratio or 0.0,
        ratio=now.compression_ratio or 0.0,
        psnr_db_before=before.psnr_db,
        psnr_db=now.psnr_db,
        ssim_before=before.ssim or 0.0,
        ssim=now.ssim or 0.0,
    )


def _decibels(psnr_db: float | None) -> float:
    return math.inf if psnr_db is None else psnr_db
