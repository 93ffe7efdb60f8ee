"""Removing what no kept run and no published folder names. Standard library only.

A run goes before its outputs, and of a run its summary first and its plan last; of an output its record goes first. So
a prune that is killed leaves runs whose reports have all their outputs, and the next one removes the rest.
"""

import html
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from colorquant.errors import InvalidRecord, PruneRefused
from colorquant.jobs import CompressionResult, Lease, Plan
from colorquant.publish import MANIFEST, UNFINISHED, manifest_of
from colorquant.retention.keep import Keep
from colorquant.retention.runs import DAY, PAGE, Run, kept_runs, runs_of
from colorquant.storage import (
    FileVersion,
    JsonRecord,
    StrPath,
    allow,
    files_below,
    is_remote,
    location,
    read,
    remove,
    write_atomically,
)
from colorquant.text import byte_size, printable

# A file that is younger is never removed, whatever names it.
_GRACE = DAY
# A million of jobs take minutes, and the lease ends earlier.
_JOBS_A_STEP = 10_000
# The memory of a library that has not been planned for so long.
_MEMORY_DAYS = 35
_MEMORY = re.compile(r"memory/[0-9a-f]{16}(?:\.json|/[a-z]+-[0-9]+-[0-9a-f]{8}\.jsonl)")
_MAX_NAMED = 20
_STATE = "pruned.json"
_TARGET = r"(?:ssim|psnr|ssimulacra2)=[0-9.e+-]+"
_OUTPUT = re.compile(
    rf"(?P<folder>(?P<image>.+)/[0-9a-f]{{12}})/"
    rf"(?:(?P<stem>k[0-9]{{3}}|{_TARGET})\.(?P<suffix>json|png|webp|tif)"
    r"|(?:sheet|pictures)-(?P<digest>[0-9a-f]{16})\.(?:png|json)|\.tmp-[^/]+)"
)
_KILLS = re.compile(r"(?P<image>.+)/kills-(?P<sha256>[0-9a-f]{16}|unknown)\.json")
_SHEET = re.compile(rb'"\.\./\.\./compressed/([^"]+/sheet-[0-9a-f]{16})\.png"')
_SHORT_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>Image compression: {run_id}</title>
<h1>The page of this report was pruned</h1>
<p>Run {run_id} is not among the newest runs any more, whose pages are kept. Its figures are in
<a href="summary.csv">summary.csv</a> and <a href="summary.json">summary.json</a>.</p>
</html>
"""
_PRUNED = b"The page of this report was pruned"


@dataclass
class Pruning:
    """What is removed, or would be.

    Attributes
    ----------
    runs : names of the folders of runs.
    pages : names of the folders of runs that lose the page of their report.
    outputs : number of outputs with their records.
    files : all files, by their paths relative to the output folder, with their sizes in bytes; in the order of removal.
    """

    runs: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    outputs: int = 0
    files: dict[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The sum of the sizes of all files."""
        return sum(self.files.values())

    def text(self, output_folder: str, deleted: bool) -> str:
        """What was removed, or would be: a line for each of the first runs, and one for all."""
        folder, verb = printable(output_folder), "removed" if deleted else "would be removed"
        lines = [f"{folder}: run {name}" for name in self.runs[:_MAX_NAMED]]
        if (more := len(self.runs) - _MAX_NAMED) > 0:
            lines.append(f"... and {more:,} more")
        lines.append(
            f"{folder}: {len(self.runs):,} runs, the pages of {len(self.pages):,} others and {self.outputs:,} outputs "
            f"{verb}: {len(self.files):,} files, {byte_size(self.bytes)}"
        )
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class _State(JsonRecord):
    """What is known of the last prune that removed runs.

    ``at`` is when, in seconds since 1970: all runs that it removed were planned before. ``runs`` are the names of their
    folders, of which a prune that was killed has left some.
    """

    schema_version: int = 1
    at: float
    runs: tuple[str, ...]


def prune(
    output_folder: StrPath,
    published: Iterable[StrPath] = (),
    keep: Keep | None = None,
    delete: bool = False,
    now: float | None = None,
) -> Pruning:
    """Remove old runs, and the outputs that only they named. By default nothing is removed, only told.

    Parameters
    ----------
    output_folder : str or path-like
        Path or URI of the folder of all outputs.
    published : iterable of str or path-like
        Published folders whose outputs are kept, besides those that the runs name.
    keep : Keep, optional
        How much is kept; by default what the environment says.
    delete : bool
        Whether to remove.
    now : float, optional
        Seconds since 1970.

    Returns
    -------
    Pruning
        What is removed.

    Raises
    ------
    PruneRefused
        Where a run is being planned, another prune is running, a plan cannot be read, or a published folder has no
        manifest.
    InvalidSetting
        Where the environment says something wrong.
    OSError
        Where a folder cannot be read, or a file cannot be removed.
    """
    output = location(output_folder)
    allow(output)
    keep = keep or Keep.of_environment()
    if not delete:
        return _found(output, published, keep, now or time.time(), lambda: None)
    with Lease(output) as lease:
        now = now or time.time()
        pruning = _found(output, published, keep, now, lease.renew)
        lease.confirm()
        if pruning.runs:
            _State(at=now, runs=tuple(pruning.runs)).write(output / "runs" / _STATE)
        for name in pruning.pages:
            lease.renew()
            _shorten(output / "runs" / name)
        for path in pruning.files:
            lease.renew()
            remove(output / path)
            if not is_remote(output):
                _remove_empty(output, output / path)
    return pruning


def pruned_before(output_folder: StrPath) -> float:
    """The time before which all pruned runs were planned, in seconds since 1970; 0 where none was pruned."""
    return _state(location(output_folder)).at


def _state(output: Path) -> _State:
    try:
        return _State.read(output / "runs" / _STATE)
    except (FileNotFoundError, InvalidRecord):
        return _State(at=0.0, runs=())


def _found(output: Path, published: Iterable[StrPath], keep: Keep, now: float, go_on: Callable[[], None]) -> Pruning:
    in_runs = files_below(output / "runs")
    runs = runs_of(output, in_runs, now, go_on)
    last = _state(output)
    half_removed = {run.name for run in runs if run.name in last.runs and run.planned_at < last.at}
    kept, pages = kept_runs([run for run in runs if run.name not in half_removed or run.is_finished], keep, now)
    pruning = Pruning()
    for run in runs:
        if run.name not in kept:
            pruning.runs.append(run.name)
            pruning.files |= {f"runs/{run.name}/{path}": run.files[path].size for path in _in_order(run.files)}
        elif run.name not in pages and _has_page(output, run):
            pruning.pages.append(run.name)
            rows = {path: version.size for path, version in run.files.items() if path.startswith("rows/")}
            pruning.files |= {f"runs/{run.name}/{path}": size for path, size in rows.items()}
    for path, version in in_runs.items():
        if _MEMORY.fullmatch(path) and now - version.changed_at > _MEMORY_DAYS * DAY:
            pruning.files[f"runs/{path}"] = version.size
    palettes = {name for run in kept.values() if run.plan for name in run.plan.palettes.values()}
    for path, version in files_below(output / "palettes").items():
        if path.split("/")[0] not in palettes and now - version.changed_at > _GRACE:
            pruning.files[f"palettes/{path}"] = version.size
    folders = {str(location(folder)) for folder in published}
    folders |= {run.plan.published_folder for run in runs if run.plan and run.plan.published_folder}
    old = _old_outputs(output, list(kept.values()), pages, sorted(folders), now, go_on)
    try:
        for path, version in old:
            go_on()
            pruning.files[f"compressed/{path}"] = version.size
            pruning.outputs += path.endswith((".png", ".webp", ".tif")) and "/sheet-" not in path
    except InvalidRecord as error:  # Of a plan in parts.
        raise PruneRefused(
            f"A plan cannot be read, so nobody can tell what its run needs: {error}. If the run is not needed, remove "
            "its folder."
        ) from None
    return pruning


def _in_order(files: Iterable[str]) -> list[str]:
    """The summary first, so that no report is left without what it shows; the plan last, which makes it a run.

    After it the parts of the plan: a plan without them cannot be read.
    """
    return sorted(
        files, key=lambda path: (path.startswith("parts/images-"), path == "plan.json", path != "summary.json", path)
    )


def _has_page(output: Path, run: Run) -> bool:
    return run.repeats is None and PAGE in run.files and _PRUNED not in read(output / "runs" / run.name / PAGE)[:1000]


def _shorten(folder: Path) -> None:
    run_id = html.escape(folder.name)
    write_atomically(folder / PAGE, _SHORT_PAGE.format(run_id=run_id).encode())


def _old_outputs(
    output: Path, kept: list[Run], pages: set[str], published: list[str], now: float, go_on: Callable[[], None]
) -> Iterator[tuple[str, FileVersion]]:
    """The files below ``compressed`` that nothing names; of an output its record first."""
    named: set[str] = set()
    images: set[tuple[str, str]] = set()
    for run in kept:
        for number, job in enumerate(run.plan.jobs if run.plan else ()):
            if number % _JOBS_A_STEP == 0:
                go_on()
            # Not by the whole path: the output folder may have been moved since.
            *_, fingerprint, record = job.result.split("/")
            named.add(f"{job.name}/{fingerprint}/{record.removesuffix('.json')}")
            images.add((job.name, (job.image_sha256 or "unknown")[:16]))
    sheets = {
        os.fsdecode(unquote_to_bytes(sheet))
        for run in kept
        if run.name in pages and PAGE in run.files
        for sheet in _SHEET.findall(read(output / "runs" / run.name / PAGE))
    }
    in_use = _published_hashes(published, {run.plan.run_id: run.plan for run in kept if run.plan})
    found = files_below(output / "compressed")
    outputs: dict[str, dict[str, FileVersion]] = defaultdict(dict)
    for path, version in found.items():
        if now - version.changed_at <= _GRACE:
            continue
        if match := _KILLS.fullmatch(path):
            if (match["image"], match["sha256"]) not in images:
                yield path, version
        elif match := _OUTPUT.fullmatch(path):
            if match["stem"]:
                stem = path.removesuffix(f".{match['suffix']}")
                if stem not in named:
                    outputs[stem][match["suffix"]] = version
            elif not match["digest"] or f"{match['folder']}/sheet-{match['digest']}" not in sheets:
                yield path, version
    for stem, files in outputs.items():
        match = _OUTPUT.fullmatch(f"{stem}.json")
        assert match
        if match["image"] in in_use and _output_hash(output, stem) in in_use[match["image"]]:
            continue
        for suffix in sorted(files, key=lambda suffix: suffix != "json"):
            yield f"{stem}.{suffix}", files[suffix]


def _published_hashes(folders: list[str], kept: Mapping[str, Plan]) -> dict[str, set[str]]:
    """The hashes of the published files of each image, except those whose outputs a kept run names.

    Raises OSError where a manifest cannot be read, and PruneRefused where there is none: the folder may be away.
    """
    hashes: dict[str, set[str]] = defaultdict(set)
    for folder in folders:
        manifests = [manifest_of(location(folder), name) for name in (MANIFEST, UNFINISHED)]
        if not any(manifests):
            raise PruneRefused(
                f"The published folder {printable(folder)} has no manifest, so nobody can tell which outputs it needs. "
                "Is its disk mounted? If nothing was published there yet, prune after the first publication; if it is "
                "gone for good, remove the folders of the runs that name it."
            )
        for manifest in manifests:
            if manifest:
                plan = kept.get(manifest.run_id)
                planned = {(job.name, job.image_sha256) for job in plan.jobs} if plan else set()
                for file in manifest.files:
                    if (file.image, file.original_sha256) not in planned:
                        hashes[file.image].add(file.sha256)
    return hashes


def _output_hash(output: Path, stem: str) -> str | None:
    with suppress(OSError, InvalidRecord):
        return CompressionResult.read(output / "compressed" / f"{stem}.json").output_sha256
    return None


def _remove_empty(output: Path, path: Path) -> None:
    """Remove the folders of a file that is gone, up to ``compressed`` and ``runs``, where nothing else is in them."""
    for folder in path.parents:
        if folder.parent == output:
            return
        try:
            folder.rmdir()
        except OSError:
            return
