"""The summary of a run: its rows, its totals, and where they came from. Standard library only."""

import dataclasses
import json
import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from colorquant.errors import InvalidRecord
from colorquant.jobs import Plan
from colorquant.report import tables
from colorquant.report.changes import Changes
from colorquant.report.choice import Choice, choose
from colorquant.report.rows import Row, row_of
from colorquant.report.totals import Totals, totals_of
from colorquant.storage import is_remote, read
from colorquant.target import Target

#: Of ``summary.json``; raised by one when a field changes its meaning or goes away.
SCHEMA_VERSION = 1
_READERS = 16


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did: one row for each planned job, in the plan's order; one choice for each image with an output.

    ``written_at`` is an ISO 8601 time in UTC; ``versions`` are those of the software that wrote the summary, and
    of the Spark that computed its rows. ``pattern`` chose the images of the folder; None in summaries from before it
    was kept.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    written_at: str
    images_folder: str
    ks: tuple[int, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    totals: Totals
    rows: tuple[Row, ...]
    ignored: tuple[str, ...]
    target: str | None = None
    choices: tuple[Choice, ...] = ()
    changes: Changes | None = None
    pattern: str | None = None

    def rows_by_image(self) -> dict[str, list[Row]]:
        """The rows of each image, by its name, in the plan's order."""
        return _by_image(self.rows)

    def failures(self) -> list[tuple[str, str, list[int]]]:
        """Image, reason and the k that it holds for: one file that is no image fails alike at every k."""
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in self.rows:
            if row.failed:
                groups[row.image, row.reason or ""].append(row.k)
        return [(image, reason, ks) for (image, reason), ks in groups.items()]

    def as_json(self) -> str:
        """The text of ``summary.json``: ASCII; names that are no UTF-8 keep their bytes as escaped surrogates."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False) + "\n"

    def as_csv(self) -> str:
        """The text of ``summary.csv``: one line for each row, guarded against formulas (see ``tables.csv_text``)."""
        return tables.csv_text(self.rows)

    def table(self, width: int = 100) -> str:
        """The summary as plain text for a terminal ``width`` columns wide (80 at least), without a final newline."""
        return tables.terminal_table(self.rows, self.totals, self.failures(), width, self.choices)

    @classmethod
    def of(cls, plan: Plan, folder: Path, written_at: datetime | None = None) -> Self:
        """Read what every planned job left behind; ``folder`` is where the summary will lie."""
        # From an object store several at a time: each answer takes long to come.
        with ThreadPoolExecutor(_READERS if is_remote(folder) else 1) as pool:
            rows = tuple(pool.map(lambda job: row_of(job, job.label in plan.reused, folder), plan.jobs))
        choices = _choices(rows, plan.target)
        return cls(
            run_id=plan.run_id,
            written_at=(written_at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
            images_folder=plan.images_folder,
            ks=plan.ks,
            settings={"seed": plan.settings.seed} | plan.settings.as_record(),
            versions=_versions(rows),
            totals=totals_of(rows, choices),
            rows=rows,
            ignored=plan.ignored,
            target=plan.target,
            pattern=plan.pattern,
            choices=choices,
        )


def read_summary(path: str | os.PathLike[str]) -> Summary:
    """Read a ``summary.json``. Raises FileNotFoundError, or InvalidRecord where it is not one of this schema."""
    try:
        content = json.loads(read(path))
    except ValueError as error:
        raise InvalidRecord(f"{path}: not JSON ({error})") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise InvalidRecord(f"{path}: schema_version {version!r} is unknown; this version reads {SCHEMA_VERSION}")
    try:
        return Summary(
            **content
            | {
                "ks": tuple(content["ks"]),
                "totals": Totals.from_json(content["totals"]),
                "rows": tuple(Row.from_json(row) for row in content["rows"]),
                "ignored": tuple(content["ignored"]),
                "choices": tuple(Choice(**choice) for choice in content.get("choices", ())),
                "changes": Changes.from_json(content["changes"]) if content.get("changes") else None,
            }
        )
    except (KeyError, TypeError) as error:
        raise InvalidRecord(f"{path}: no summary of schema_version {version} ({error})") from error


def _by_image(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.image].append(row)
    return dict(groups)


def _choices(rows: Sequence[Row], target: str | None) -> tuple[Choice, ...]:
    wanted = Target.parse(target) if target else None
    return tuple(filter(None, (choose(group, wanted) for group in _by_image(rows).values())))


def _versions(rows: tuple[Row, ...]) -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    for package in ("numpy", "pillow", "matplotlib", "jinja2"):
        versions[package] = metadata.version(package)
    spark = sorted({row.spark_version for row in rows if row.spark_version})
    return versions | ({"Spark": ", ".join(spark)} if spark else {})
