"""Comparison of a run with the previous one. Standard library only."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from colorquant.errors import InvalidRecord
from colorquant.report.changes import MAX_LISTED, Changes, LimitedChanges, Move
from colorquant.report.repetition import read_summary
from colorquant.report.rows import DONE, Row
from colorquant.report.summary import SUMMARY, Summary
from colorquant.storage import is_below


def compare(before: Summary, now: Summary) -> Changes:
    """The changes between two summaries. Images and k that only one of them has are not compared.

    An image is neither removed nor added where its folder could not be read in one of the two runs. Those of a very
    large library are ``LimitedChanges``; where one of the two is such a library, both are read once, in the order of
    names, and InvalidRecord or OSError is raised where a part of one is damaged or gone.
    """
    limited = now.in_parts
    found = _Found(MAX_LISTED if limited else None)
    for pair in _merged(before, now) if before.in_parts or limited else _joined(before, now):
        found.add(*pair, before.unreadable, now.unreadable)
    changes: dict[str, Any] = {
        "run_id": before.run_id,
        "written_at": before.written_at,
        "settings": {
            name: (before.settings.get(name), now.settings.get(name))
            for name in sorted(before.settings.keys() | now.settings.keys())
            # A setting that the older version did not have, and that is off now, has not changed.
            if (before.settings.get(name) or None) != (now.settings.get(name) or None)
        },
        "recomputed": found.recomputed,
        "moved": (*found.lists["regressed"], *found.lists["moved"]),
        **{name: tuple(found.lists[name]) for name in ("added", "removed", "failed", "mended")},
    }
    return LimitedChanges(**changes, more=found.more()) if limited else Changes(**changes)


class _Found:
    """Lists of changes, with at most ``limit`` entries each; "moved" has those that are not regressed."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.recomputed = 0
        self.lists: dict[str, list[Any]] = defaultdict(list)
        self._counts: Counter[str] = Counter()

    def add(
        self, old: Sequence[Row], rows: Sequence[Row], unreadable_before: Iterable[str], unreadable: Iterable[str]
    ) -> None:
        """Add what has changed of an image, whose rows in one of the two runs may be missing."""
        if not old and not is_below(rows[0].image, unreadable_before):
            self._note("added", rows[0].image)
        if not rows and not is_below(old[0].image, unreadable):
            self._note("removed", old[0].image)
        known = {_job(row): row for row in old}
        for row in rows:
            if (was := known.get(_job(row))) is not None:
                self._compare(was, row)

    def more(self) -> dict[str, int]:
        """How many of each list are not in it."""
        counts = self._counts | {"moved": self._counts["moved"] + self._counts["regressed"]}
        listed = {name: len(found) for name, found in self.lists.items()}
        listed["moved"] = listed.get("moved", 0) + listed.get("regressed", 0)
        return {name: left for name, count in counts.items() if (left := count - listed.get(name, 0))}

    def _compare(self, was: Row, row: Row) -> None:
        self.recomputed += row.state == DONE and not was.failed
        if row.failed != was.failed:
            self._note("failed" if row.failed else "mended", (row.image, row.k))
        elif not row.failed and was.output_sha256 != row.output_sha256:
            move = _move(was, row)
            self._note("regressed" if move.regressed else "moved", move)

    def _note(self, name: str, change: Any) -> None:
        self._counts[name] += 1
        if self._limit is None or len(self.lists[name]) < self._limit:
            self.lists[name].append(change)


_Pair = tuple[Sequence[Row], Sequence[Row]]


def _joined(before: Summary, now: Summary) -> Iterator[_Pair]:
    """The rows of each image in both summaries: first images that only one has, by name, then the others as now."""
    old, new = before.rows_by_image(), now.rows_by_image()
    for name in sorted(old.keys() ^ new.keys()):
        yield old.get(name, ()), new.get(name, ())
    for name, rows in new.items():
        if name in old:
            yield old[name], rows


def _merged(before: Summary, now: Summary) -> Iterator[_Pair]:
    """The rows of each image in both summaries, by name."""
    old, new = before.rows_by_name(), now.rows_by_name()
    left, right = next(old, None), next(new, None)
    while left or right:
        if right is None or (left and left[0].image < right[0].image):
            yield left or (), ()
            left = next(old, None)
        elif left is None or right[0].image < left[0].image:
            yield (), right
            right = next(new, None)
        else:
            yield left, right
            left, right = next(old, None), next(new, None)


def previous_summaries(summary: Summary, folder: Path) -> Iterator[tuple[Path, Summary]]:
    """The earlier summaries of the same folder and patterns with their paths, the latest first.

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
            yield path, other


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


def _job(row: Row) -> tuple[str, int | str | None]:
    """What is equal for comparable rows of two runs: the image, and the k or the target that was asked for."""
    return row.image, row.target or row.k


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
