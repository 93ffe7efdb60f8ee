"""`make run`: one run of the DAG. Prints a line for each job that ends, the summary, and the report's path.

Where nothing has changed since an earlier run, no Airflow is started: its summary and report are those of this one.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from colorquant.errors import InvalidLocation, InvalidPlan, InvalidRecord, InvalidSetting
from colorquant.jobs import CompressionResult, Job, JobFailure, Plan, parse_ks, parse_target, run_folder
from colorquant.palettes import with_colors
from colorquant.report import Summary, read_summary
from colorquant.settings import Settings
from colorquant.storage import is_remote, location
from colorquant.text import printable, psnr_text
from colorquant_airflow.checkout.api import AirflowApi
from colorquant_airflow.checkout.home import DAG_ID, PROJECT, AirflowHome
from colorquant_airflow.checkout.kernels import compiled_kernels
from colorquant_airflow.checkout.services import Services, ServicesFailed, airflow_services, interrupt_on_signals
from colorquant_airflow.checkout.standing import standing
from colorquant_airflow.pool import POOL, wait_for_slots
from colorquant_airflow.xcoms import PLANNED, PUBLISHED

_ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}
_POLL_SECONDS = 1.0
# After so long without news, it is looked up what a run waits for.
_QUIET_SECONDS = 10.0


def main() -> int:
    """Run the DAG once; return the exit status: 0 if the run succeeded, 1 if it failed, 2 for wrong arguments."""
    arguments = _parse()
    interrupt_on_signals()
    home = AirflowHome.of_this_checkout()
    try:
        if found := standing(_params(arguments), arguments.settings):
            page, summary = found
            print(f"Nothing has changed since run {summary.run_id}: no new one is started.")
            _print_summary(summary, page)
            return 0
        print("Starting Airflow ...", flush=True)
        with compiled_kernels(home) as wait_for_kernels, airflow_services(home, purpose="run") as services:
            if services.own:
                _prepare(services.api, home)
            elif services.api.is_paused(DAG_ID):
                print(
                    f"make run: the DAG {DAG_ID} is paused in the Airflow of `make ui`, {services.api.address}: "
                    "unpause it there, or stop that Airflow; then run again.",
                    file=sys.stderr,
                )
                return 1
            elif wait := _pool_wait(services.api):
                print(f"make run: {wait}", file=sys.stderr)
                return 1
            wait_for_kernels()
            return _run(services, home, arguments)
    except ServicesFailed as error:
        print(f"make run: {error}", file=sys.stderr)
    except httpx.HTTPError as error:
        detail = error.response.text if isinstance(error, httpx.HTTPStatusError) else ""
        print(f"make run: Airflow's API: {error} {detail}\nIts log is {home.log_file}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped. `make run` continues from here: finished jobs are kept.", file=sys.stderr)
    return 1


def _prepare(api: AirflowApi, home: AirflowHome) -> None:
    """Prepare an Airflow that was started for this run. In that of `make ui` its user decides all this."""
    api.set_pool(POOL, home.jobs_at_once, "Spark jobs at once on this machine")
    for run_id in api.unfinished_runs(DAG_ID):
        print(f"Run {run_id} was interrupted and is marked as failed. Its finished jobs are reused.")
        api.fail_run(DAG_ID, run_id)
    api.unpause(DAG_ID)


def _run(services: Services, home: AirflowHome, arguments: argparse.Namespace) -> int:
    api = services.api
    run_id = api.trigger(DAG_ID, _params(arguments))
    try:
        print(f"Run {run_id} of the DAG {DAG_ID}, up to {home.jobs_at_once} Spark jobs at once", flush=True)
        folder = run_folder(arguments.output, run_id)
        return _report(api, run_id, folder, _watch(api, run_id, folder), home)
    except KeyboardInterrupt:
        if services.own:
            raise
        print(
            f"\nRun {run_id} continues in the Airflow of `make ui`, {api.address}. To stop it, mark it as failed "
            "there.",
            file=sys.stderr,
        )
        return 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--images", default=str(PROJECT / "include" / "images"))
    parser.add_argument("--ks", default="4 16 64 256")
    parser.add_argument("--target", default="")
    parser.add_argument("--publish", default="")
    parser.add_argument("--pattern", default="*")
    parser.add_argument("--exclude", default="")
    parser.add_argument("--output", default=str(PROJECT / "output"))
    parser.add_argument("--seed", default="0")
    parser.add_argument("--settings", default="", help='other settings, as "name=value name=value"')
    parser.add_argument("--max-failures", type=int, default=0)
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--publish-anyway", action="store_true")
    arguments = parser.parse_args()
    try:
        arguments.publish = arguments.publish and _absolute(arguments.publish)
        arguments.settings = _settings(arguments.settings, arguments.seed)
        if weights := arguments.settings.weights:
            arguments.settings = dataclasses.replace(arguments.settings, weights=_absolute(weights))
        arguments.ks = arguments.ks.replace(",", " ").split()
        arguments.target = parse_target(arguments.target, parse_ks(arguments.ks, arguments.settings)) or ""
        arguments.images, arguments.output = (_absolute(folder) for folder in (arguments.images, arguments.output))
        if not is_remote(arguments.images) and not os.path.isdir(arguments.images):
            raise InvalidPlan(f"IMAGES={arguments.images} is not a folder, or cannot be read")
    except (InvalidPlan, InvalidSetting, InvalidLocation) as error:
        parser.exit(2, f"make run: {error}\n")
    return arguments


def _absolute(folder: str) -> str:
    return folder if is_remote(folder) else str(location(os.path.expanduser(folder)))


def _settings(text: str, seed: str) -> Settings:
    values = {"seed": seed}
    for part in text.split():
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidSetting(f"SETTINGS: {part!r} is not a setting; write name=value, for example seed=7.")
        values[name] = value
    return with_colors(Settings.parse(values))


def _params(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "images": arguments.images,
        "ks": arguments.ks,
        "target": arguments.target or None,
        "publish": arguments.publish or None,
        "pattern": arguments.pattern,
        "exclude": arguments.exclude,
        "output": arguments.output,
        "max_failures": arguments.max_failures,
        "force": arguments.force,
        "publish_anyway": arguments.publish_anyway,
        "approval": False,  # Who types PUBLISH has approved it.
        **arguments.settings.as_parameters(),
    }


def _watch(api: AirflowApi, run_id: str, folder: Path) -> str:
    """Print a line for each job as it ends, and what a quiet run waits for, until it ends; return the run's state."""
    pending: list[Job] | None = None
    printed: set[int] = set()
    told: set[str] = set()
    news: tuple[tuple[int, str], ...] = ()
    since = time.monotonic()
    while True:
        # Read before the instances, so that all instances of a run that has ended are printed below.
        state = api.run_state(DAG_ID, run_id)
        if pending is None and (folder / "plan.json").exists():
            plan = Plan.read(folder / "plan.json")
            pending = plan.pending()
            _print_plan(plan)
        instances = api.task_instances(DAG_ID, run_id) if pending else []
        for instance in instances:
            index = instance["map_index"]
            if instance["task_id"] == "compress_image" and instance["state"] in _ENDED and index not in printed:
                if pending and 0 <= index < len(pending):
                    printed.add(index)
                    print(f"[{len(printed)}/{len(pending)}] {_outcome(pending[index])}", flush=True)
        if state in ("success", "failed"):
            return state
        if news != (news := tuple(sorted((each["map_index"], each["state"] or "") for each in instances))):
            since = time.monotonic()
        elif time.monotonic() - since >= _QUIET_SECONDS:
            for wait in _waits(api, instances, pending or []):
                if wait not in told:
                    told.add(wait)
                    print(f"Waiting: {wait}", flush=True)
            since = time.monotonic()
        time.sleep(_POLL_SECONDS)


def _waits(api: AirflowApi, instances: list[dict[str, Any]], pending: list[Job]) -> Iterator[str]:
    """What a run waits for that somebody may have to change."""
    if api.is_paused(DAG_ID):
        yield f"the DAG {DAG_ID} is paused in Airflow, {api.address}: unpause it there, and the run goes on."
    jobs = [each for each in instances if each["task_id"] == "compress_image" and 0 <= each["map_index"] < len(pending)]
    if any(each["state"] == "scheduled" for each in jobs) and not any(each["state"] == "running" for each in jobs):
        yield from filter(None, [_pool_wait(api)])
    for each in jobs:
        job = pending[each["map_index"]]
        # A job that runs has a failure only while it waits for its cluster.
        with suppress(OSError, InvalidRecord):
            if each["state"] == "up_for_retry":
                yield f"{job.title} is tried again: {JobFailure.read(job.failure).reason}"
            elif each["state"] == "running":
                yield f"{job.title}: {JobFailure.read(job.failure).reason}"


def _pool_wait(api: AirflowApi) -> str | None:
    """Why Airflow starts no job of its pool for Spark; None where it can."""
    pool = api.pool(POOL)
    return wait_for_slots(pool["slots"] if pool else None, f"Airflow, {api.address}")


def _print_plan(plan: Plan) -> None:
    pending = plan.pending()
    images = len({job.name for job in plan.jobs})
    searched = "smallest file" if plan.settings.free else "fewest colors"
    sizes = f"{len(plan.ks)} k" if plan.ks else f"the {searched} for {plan.target}"
    print(f"{images} images x {sizes} = {len(plan.jobs)} jobs, {len(plan.reused)} done already and unchanged")
    if plan.ignored:
        names = ", ".join(printable(name) for name in plan.ignored[:5]) + (" ..." if len(plan.ignored) > 5 else "")
        print(f"Skipped (no image extension, or a link that is not followed): {names}")
    for folder, reason in plan.unreadable.items():
        print(f"NOT READ: {printable(folder)}: {reason}; the run will fail when all else is done")
    if not pending:
        print("Nothing to compute: no Spark application is launched.")
    sys.stdout.flush()


def _outcome(job: Job) -> str:
    try:
        result = CompressionResult.read(job.result)
    except (OSError, InvalidRecord):
        try:
            return f"{job.title}  FAILED: {JobFailure.read(job.failure).reason}"
        except (OSError, InvalidRecord):
            return f"{job.title}  FAILED without a reason: see the log of its task"
    found = f"  k={result.k}" if job.k is None else ""
    figures = f"ratio {result.compression_ratio:.2f}  {psnr_text(result.psnr_db)}  {result.seconds['total']:.1f} s"
    return f"{job.title}{found}  {figures}"


def _report(api: AirflowApi, run_id: str, folder: Path, state: str, home: AirflowHome) -> int:
    try:
        summary = read_summary(folder / "summary.json")
    except FileNotFoundError:
        planned = api.told(DAG_ID, run_id, "plan_jobs", PLANNED) or {}
        logs = f"the run failed before its report was written; see {home.folder / 'logs'}"
        print(f"make run: {planned.get('refused', logs)}", file=sys.stderr)
        return 1
    _print_summary(summary, folder / "summary.html")
    if published := api.told(DAG_ID, run_id, "summarize", PUBLISHED):
        print(_publication(published))
    return 0 if state == "success" else 1


def _print_summary(summary: Summary, page: Path) -> None:
    print(f"\n{summary.table()}")
    for notice, images in summary.notices().items():
        print(f"{printable(images[0])}{f' and {len(images) - 1} more' if images[1:] else ''}: {notice}")
    for palette in summary.palettes:
        files = page.parent.parent.parent / "palettes" / palette.name
        print(f"Palette of {palette.images} images: {files / f'k{palette.k:03d}.png'}")
        for image, shared, own in palette.worst[:1]:
            print(f"  It fits {printable(image)} worst: mean squared error {shared:.2f}, own palette {own:.2f}")
    print(f"\nReport: {page}")


def _publication(told: dict[str, Any]) -> str:
    if "refused" in told:
        return f"Nothing is published: {told['refused']}"
    return "\n".join([f"Published: {told['files']} files in {told['folder']}", *told["problems"]])


if __name__ == "__main__":
    sys.exit(main())
