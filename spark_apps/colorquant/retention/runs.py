"""The runs of an output folder, and which of them are kept. Standard library only."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from colorquant.errors import InvalidLocation, InvalidRecord, PruneRefused
from colorquant.jobs import PLANNING, Plan, is_being_planned, run_folder
from colorquant.report import read_repetition
from colorquant.retention.keep import Keep
from colorquant.storage import FileVersion

DAY = 86_400.0
PAGE = "summary.html"
# A run without a summary may still compress, or wait for its time: the longest time limit of a job is two days.
_UNFINISHED_DAYS = 7
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*-[0-9a-f]{8}")
#: What runs of this version and of older ones leave in their folders.
_OURS = re.compile(
    r"summary\.(?:json|csv|html)|(?:plan|planning|progress|application|palettes|review)\.json|failures/[^/]+\.json"
    r"|rows/[0-9]+\.html|parts/[a-z]+-[0-9]+-[0-9a-f]{8}\.jsonl|contact_sheets/.+\.png|(?:.+/)?\.tmp-[^/]+"
)


@dataclass
class Run:
    """A folder of a run.

    Attributes
    ----------
    name : of the folder.
    files : what this project left in it, by paths relative to it.
    plan : None where none was written, or none is left.
    planned_at : seconds since 1970; of a run without a plan, when its newest file was written.
    repeats : name of the folder of the run whose report is also this one's.
    """

    name: str
    files: dict[str, FileVersion]
    plan: Plan | None
    planned_at: float
    repeats: str | None

    @property
    def is_finished(self) -> bool:
        """Whether its report was written."""
        return "summary.json" in self.files


def runs_of(output: Path, files: Mapping[str, FileVersion], now: float, go_on: Callable[[], None]) -> list[Run]:
    """The runs of an output folder, the newest first; ``files`` are those below its folder ``runs``.

    ``go_on`` is called for each.

    Raises
    ------
    PruneRefused
        Where a run is being planned, or its plan cannot be read: nobody can tell which outputs it needs.
    """
    by_run: dict[str, dict[str, FileVersion]] = defaultdict(dict)
    for path, version in files.items():
        name, _, rest = path.partition("/")
        if _NAME.fullmatch(name) and _OURS.fullmatch(rest):
            by_run[name][rest] = version
    runs = []
    for name, found in by_run.items():
        go_on()
        if run := _run(output, name, found, now):
            runs.append(run)
    return sorted(runs, key=lambda run: -run.planned_at)


def _run(output: Path, name: str, files: dict[str, FileVersion], now: float) -> Run | None:
    folder = output / "runs" / name
    if PLANNING in files and is_being_planned(files[PLANNING], now):
        raise PruneRefused(f"The run of {folder} is being planned: prune again later.")
    plan = None
    planned_at = max(version.changed_at for version in files.values())
    if "plan.json" in files:
        try:
            plan = Plan.read(folder / "plan.json")
        except InvalidRecord as error:
            raise PruneRefused(
                f"A plan cannot be read, so nobody can tell what its run needs: {error}. Was it written by a newer "
                f"version? If the run is not needed, remove {folder}."
            ) from None
        if run_folder(output, plan.run_id).name != name:
            return None  # Somebody's copy.
        if missing := plan.part_files().difference(files):
            raise PruneRefused(
                f"A part of the plan of {folder} is gone, {min(missing)}, so nobody can tell what its run needs. If "
                f"the run is not needed, remove {folder}."
            )
        if plan.planned_at:
            planned_at = datetime.fromisoformat(plan.planned_at).timestamp()
    repeats = None
    if "summary.json" in files:
        with suppress(InvalidRecord, FileNotFoundError, InvalidLocation):
            repetition = read_repetition(folder / "summary.json")
            repeats = repetition.same_as if repetition else None
    return Run(name, files, plan, planned_at, repeats)


def kept_runs(runs: list[Run], keep: Keep, now: float) -> tuple[dict[str, Run], set[str]]:
    """The runs to keep, by the names of their folders, and the names of those whose pages are kept.

    Runs without a report, which may still be running, do not count as one of the newest, and are kept by their age.
    """
    by_name = {run.name: run for run in runs}
    kept: dict[str, Run] = {}
    pages: set[str] = set()
    finished: Counter[object] = Counter()
    for run in runs:
        library = run.plan.library if run.plan else None
        days = (now - run.planned_at) / DAY
        if not run.is_finished or library is None:
            if days <= max(keep.days, _UNFINISHED_DAYS):
                kept[run.name] = run
            continue
        if finished[library] < keep.runs or days <= keep.days:
            kept[run.name] = run
        if finished[library] < keep.pages:
            pages.add(run.name)
        finished[library] += 1
    for name in list(kept):
        if (base := by_name.get(kept[name].repeats or "")) is not None:
            kept[base.name] = base
            if name in pages:
                pages.add(base.name)
    return kept, pages & kept.keys()
