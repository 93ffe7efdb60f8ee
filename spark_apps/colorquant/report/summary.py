"""The summary of a run: its rows, its totals, and their origin. Standard library only."""

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from colorquant.jobs import Plan
from colorquant.limits import PaletteSize
from colorquant.report import tables
from colorquant.report.changes import Changes
from colorquant.report.choice import Choice, choose
from colorquant.report.palettes import CommonPalette, common_palettes
from colorquant.report.rows import Row, row_of
from colorquant.report.totals import Totals, totals_of
from colorquant.storage import JsonRecord, is_remote
from colorquant.target import Target

#: Of ``summary.json``; raised by one when a field changes its meaning or is removed.
SCHEMA_VERSION = 2
#: The name of its file.
SUMMARY = "summary.json"
#: Rows that are read from an object store at a time.
READERS = 16


@dataclass(frozen=True, kw_only=True)
class Summary(JsonRecord):
    """The results of a run.

    Attributes
    ----------
    written_at : ISO 8601 time in UTC.
    versions : of the software that wrote the summary, and of the Spark that computed its rows.
    rows : one for each planned job, in the plan's order.
    choices : one for each image with an output.
    pattern : the pattern that the images' names match; None in summaries of versions that did not record it.
    exclude : patterns of the names that are left out; None in summaries of versions that did not know it.
    unreadable : folders of the library that could not be read, and photographs in formats that are not read, by their
        paths below it, each with the reason.
    palettes : those that images have in common, by folder and k.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    written_at: str
    images_folder: str
    ks: tuple[PaletteSize, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    totals: Totals
    rows: Sequence[Row]
    ignored: tuple[str, ...]
    target: str | None = None
    choices: Sequence[Choice] = ()
    changes: Changes | None = None
    pattern: str | None = None
    exclude: str | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    palettes: tuple[CommonPalette, ...] = ()

    @property
    def in_parts(self) -> bool:
        """Whether rows and choices are in files of their own, and not in memory."""
        return False

    def by_image(self) -> Iterator[tuple[list[Row], Choice | None]]:
        """The rows of each image and its choice, in the plan's order, one image at a time."""
        choices = {choice.image: choice for choice in self.choices}
        for image, rows in self.rows_by_image().items():
            yield rows, choices.get(image)

    def choice_of(self, image: str) -> Choice | None:
        """The choice of an image; None where it has no output."""
        return next((choice for choice in self.choices if choice.image == image), None)

    def rows_by_name(self) -> Iterator[list[Row]]:
        """The rows of each image, ascending by name, one image at a time."""
        return (rows for _, rows in sorted(self.rows_by_image().items()))

    def rows_by_image(self) -> dict[str, list[Row]]:
        """The rows of each image, by its name, in the plan's order."""
        return _by_image(self.rows)

    def failures(self) -> list[tuple[str, str, list[int | None]]]:
        """Image, reason, and the k with this reason: a damaged file fails at every k for the same reason."""
        return failures_in(self.rows)

    def first_failures(self, limit: int) -> tuple[list[tuple[str, str, list[int | None]]], int]:
        """The first ``failures``, and the number of all."""
        failures = self.failures()
        return failures[:limit], len(failures)

    def has_lost(self, plan: Plan) -> bool:
        """Whether a job failed that was done when the run was planned, by its plan."""
        jobs = zip(self.rows, plan.jobs, strict=True)
        return any(row.failed and job.label in plan.reused for row, job in jobs)

    @property
    def untried(self) -> int:
        """The number of jobs that left neither a result nor a reason."""
        return sum(row.untried for row in self.rows)

    def notices(self) -> dict[str, list[str]]:
        """What is to be known of images that have outputs: each sentence, with the names of its images."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for row in self.rows:
            if row.notice:
                found[row.notice][row.image] = None
        return {notice: list(images) for notice, images in found.items()}

    def as_csv(self) -> str:
        """The text of ``summary.csv``: one line for each row, guarded against formulas (see ``tables.csv_text``)."""
        return tables.csv_text(self.rows)

    def table(self, width: int = 100) -> str:
        """The summary as plain text for a terminal ``width`` columns wide (80 at least), without a final newline."""
        failures, count = self.first_failures(tables.MAX_LISTED)
        return tables.terminal_table(self.rows, self.totals, failures, width, self.choices, self.unreadable, count)

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Version 1 wrote k = 0 where a job had failed to find k for a target; since version 2 it is null."""
        if content.get("schema_version") != 1:
            return content
        changes = content.get("changes")
        if isinstance(changes, dict):
            changes = {
                name: _with_null(part) if name in ("failed", "mended") else part for name, part in changes.items()
            }
        rows = _with_null(content.get("rows"))
        return content | {"schema_version": cls.schema_version, "rows": rows, "changes": changes}

    @classmethod
    def of(cls, plan: Plan, folder: Path, written_at: datetime | None = None) -> Self:
        """The summary of what the jobs of a plan have written; ``folder`` is the folder for the summary."""
        # From an object store several rows are read at a time: each request takes long.
        with ThreadPoolExecutor(READERS if is_remote(folder) else 1) as pool:
            rows = tuple(pool.map(lambda job: row_of(job, job.label in plan.reused, folder), plan.jobs))
        choices = _choices(rows, plan.target, bool(plan.settings.palette))
        return cls(
            **known_before(plan, written_at),
            versions=versions({row.spark_version for row in rows}),
            totals=totals_of(rows, choices),
            rows=rows,
            choices=choices,
            palettes=common_palettes(plan, rows, folder),
        )


def known_before(plan: Plan, written_at: datetime | None) -> dict[str, Any]:
    """The fields of a summary that are known before any row."""
    settings = plan.settings
    return {
        "run_id": plan.run_id,
        "written_at": (written_at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        "images_folder": plan.images_folder,
        "ks": plan.ks,
        "settings": {"seed": settings.seed} | settings.as_record() | {"compare": list(settings.compare)},
        "ignored": plan.ignored,
        "target": plan.target,
        "pattern": plan.pattern,
        "exclude": plan.exclude,
        "unreadable": plan.unreadable,
    }


def failures_in(rows: Iterable[Row]) -> list[tuple[str, str, list[int | None]]]:
    """As ``Summary.failures``, of some rows."""
    groups: dict[tuple[str, str], list[int | None]] = defaultdict(list)
    for row in rows:
        if row.failed:
            groups[row.image, row.reason or ""].append(row.k)
    return [(image, reason, ks) for (image, reason), ks in groups.items()]


def _with_null(rows: Any) -> Any:
    """Rows, or jobs as [image, k], with null in place of k = 0. What is neither stays as it is, for the reader."""
    if not isinstance(rows, list):
        return rows
    return [
        row | {"k": None}
        if isinstance(row, dict) and row.get("k") == 0
        else [row[0], None]
        if isinstance(row, list) and row[1:] == [0]
        else row
        for row in rows
    ]


def _by_image(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.image].append(row)
    return dict(groups)


def _choices(rows: Sequence[Row], target: str | None, has_palette: bool) -> tuple[Choice, ...]:
    wanted = Target.parse(target) if target else None
    return tuple(filter(None, (choose(group, wanted, has_palette) for group in _by_image(rows).values())))


def versions(of_spark: Set[str | None]) -> dict[str, str]:
    """The versions of the software that writes a summary, and of Spark."""
    found = {"Python": platform.python_version()}
    for package in ("numpy", "pillow", "matplotlib", "jinja2"):
        found[package] = metadata.version(package)
    spark = sorted(filter(None, of_spark))
    return found | ({"Spark": ", ".join(spark)} if spark else {})
