"""Comparison of a run with the previous one. Standard library only."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from colorquant.errors import InvalidRecord
from colorquant.report.changes import Changes, Move
from colorquant.report.repetition import read_summary
from colorquant.report.rows import DONE, Row
from colorquant.report.summary import SUMMARY, Summary
from colorquant.storage import is_below


def compare(before: Summary, now: Summary) -> Changes:
    """The changes between two summaries. Images and k that only one of them has are not compared.

    An image is neither removed nor added where its folder could not be read in one of the two runs.
    """
    old = {_job(row): row for row in before.rows}
    pairs = [(old[job], row) for row in now.rows if (job := _job(row)) in old]
    names, old_names = set(now.rows_by_image()), set(before.rows_by_image())
    moved = [_move(*pair) for pair in pairs if not (pair[0].failed or pair[1].failed) and _has_moved(*pair)]
    return Changes(
        run_id=before.run_id,
        written_at=before.written_at,
        settings={
            name: (before.settings.get(name), now.settings.get(name))
            for name in sorted(before.settings.keys() | now.settings.keys())
            # A setting that the older version did not have, and that is off now, has not changed.
            if (before.settings.get(name) or None) != (now.settings.get(name) or None)
        },
        added=_known(names - old_names, before.unreadable),
        removed=_known(old_names - names, now.unreadable),
        recomputed=sum(row.state == DONE and not was.failed for was, row in pairs),
        failed=tuple((row.image, row.k) for was, row in pairs if row.failed and not was.failed),
        mended=tuple((row.image, row.k) for was, row in pairs if was.failed and not row.failed),
        moved=tuple(sorted(moved, key=lambda move: not move.regressed)),
    )


def previous_summary(summary: Summary, folder: Path) -> tuple[Path, Summary] | None:
    """The latest earlier summary of the same folder and patterns, and its path; None where there is none.

    With other patterns, images would seem to be added or removed.

    Parameters
    ----------
    summary : Summary
        The summary to compare.
    folder : pathlib.Path
        Its folder; the folders of other runs are next to it.
    """
    for path in _latest_first(folder):
        try:
            other = read_summary(path)
        except (OSError, InvalidRecord):
            continue  # Written by another version, or removed just now.
        if _selection(other) == _selection(summary) and other.written_at <= summary.written_at:
            return path, other
    return None


def _selection(summary: Summary) -> tuple[str, str | None, str]:
    return summary.images_folder, summary.pattern, summary.exclude or ""


def _latest_first(folder: Path) -> Iterator[Path]:
    written = []
    for path in folder.parent.glob(f"*/{SUMMARY}"):
        try:
            written.append((path.stat().st_mtime_ns, path))
        except OSError:
            continue
    return (path for _, path in sorted(written, reverse=True) if path.parent != folder)


def _known(names: set[str], unreadable: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if not is_below(name, unreadable)))


def _job(row: Row) -> tuple[str, int | str | None]:
    """What is equal for comparable rows of two runs: the image, and the k or the target that was asked for."""
    return row.image, row.target or row.k


def _has_moved(before: Row, now: Row) -> bool:
    return before.output_sha256 != now.output_sha256


def _move(before: Row, now: Row) -> Move:
    return Move(
        image=now.image,
        k=now.k or 0,
        same_image=before.image_sha256 == now.image_sha256,
        ratio_before=before.compression_ratio or 0.0,
        ratio=now.compression_ratio or 0.0,
        psnr_db_before=before.psnr_db,
        psnr_db=now.psnr_db,
        ssim_before=before.ssim or 0.0,
        ssim=now.ssim or 0.0,
    )
