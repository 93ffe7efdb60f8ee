"""Compress a whole library of images in one Spark application: what the DAG `kmeans_corpus_compression` submits.

    spark-submit compress_corpus.py --images photos --ks "4 16 64 256" --output output --run nightly

Each image is decoded once, and its colors are counted once, for all k. Finished jobs are reused, so the same command
finishes a run that was killed. Exit codes: 0 done, also where some images cannot be compressed; 2 wrong arguments;
after any other exit code a retry may help.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from colorquant import settings
from colorquant.cli import Parser, Progress, add_limits, limits_of, read_settings
from colorquant.errors import InvalidLocation, InvalidPlan
from colorquant.jobs import (
    EXIT_FAILED,
    EXIT_WRONG_ARGUMENTS,
    PROGRESS,
    JobFailure,
    Plan,
    PlannedJobs,
    RunRequest,
    mark_outputs,
    parse_ks,
    parse_target,
    plan_run,
    planning,
    run_folder,
)
from colorquant.light_imports import lighten
from colorquant.spark.application import end_with_parent, fail, failure_of
from colorquant.storage import files_below, remove

if TYPE_CHECKING:
    from pyspark import SparkContext

    from colorquant.compress import Counts

# A file for people who wait is written so often.
_TELL_SECONDS = 3.0


def main() -> int:
    """Compress the library that the command line describes; return the exit code."""
    arguments = _parse(sys.argv[1:])
    end_with_parent()
    lighten()
    try:
        # Before Spark starts, which takes some seconds.
        parse_target(arguments.target, parse_ks(arguments.ks.split(), arguments.settings))
        from colorquant.spark.context import start_context

        context = start_context(f"library {arguments.images}", retry_tasks=True)
        counts = _compress(context, arguments)
    except (InvalidPlan, InvalidLocation) as error:
        failure = JobFailure.of(EXIT_WRONG_ARGUMENTS, str(error))
    except Exception as error:
        failure = failure_of(error)
    else:
        if not counts.retryable:
            return 0
        failure = JobFailure.of(EXIT_FAILED, f"{counts.retryable} jobs failed for reasons that may go away.")
    return fail(f"library {arguments.images}", failure, arguments.failure)


def _compress(context: "SparkContext", arguments: argparse.Namespace) -> "Counts":
    from colorquant.compress import Counts, make_batches, make_stretches
    from colorquant.spark.library import compress_batches, map_on
    from colorquant.spark.palette_application import find_palettes_of

    print(f"Listing and hashing the images in {arguments.images} ...", flush=True)
    request = RunRequest(
        run_id=arguments.run,
        images=arguments.images,
        ks=arguments.ks.split(),
        output=arguments.output,
        settings=arguments.settings,
        force=arguments.force,
        target=arguments.target,
        pattern=arguments.pattern,
        exclude=arguments.exclude,
        publish=arguments.publish,
    )
    folder = run_folder(arguments.output, arguments.run)
    with planning(arguments.output, folder):
        plan = plan_run(request, look_at_all=map_on(context))
        _remove_failures(plan)
        mark_outputs(arguments.output)
        plan.write(folder / "plan.json")
    print(f"{len(plan.jobs)} jobs, {len(plan.reused)} of them done already", *plan.palette_news, sep="\n", flush=True)
    find_palettes_of(context, plan, limits_of(arguments))
    batches: Sequence[Any]
    images_of: Callable[[Any], Any] = list
    if isinstance(plan.jobs, PlannedJobs):
        batches, images_of = make_stretches(plan.jobs, context.defaultParallelism), plan.jobs.pending_images
        progress = Progress(sum(each.images for each in batches), sum(each.image_bytes for each in batches))
    else:
        batches = make_batches(plan.pending(), context.defaultParallelism)
        images = [image for batch in batches for image in batch]
        progress = Progress(len(images), sum(jobs[0].image_bytes for jobs in images))
    if not batches:
        return Counts()
    told = -math.inf

    def watch(counts: Counts) -> None:
        nonlocal told
        so_far = counts.images, counts.image_bytes, counts.failed
        if time.monotonic() >= told + _TELL_SECONDS:
            told = time.monotonic()
            with suppress(Exception):  # Whatever a disk or a store says: only people who wait read this file.
                progress.state(*so_far).write(folder / PROGRESS)
        if line := progress.see(*so_far):
            print(line, flush=True)

    counts = compress_batches(context, batches, arguments.force, limits_of(arguments), watch, images_of)
    print(progress.state(counts.images, counts.image_bytes, counts.failed).text(), flush=True)
    return counts


def _remove_failures(plan: Plan) -> None:
    """Remove the failures that an earlier try of this run left: these jobs are tried again."""
    left = files_below(run_folder(plan.output_folder, plan.run_id) / "failures")
    if left:
        for job in plan.iterate_pending():
            if job.failure.rsplit("/", 1)[-1] in left:
                remove(job.failure)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("--images", required=True, help="folder of images, sub-folders included; it is only read")
    parser.add_argument("--pattern", default="*", help="which images, by their path below the folder (default: *, all)")
    parser.add_argument("--exclude", default="", help="which images not: patterns, separated by semicolons")
    parser.add_argument("--ks", required=True, help="palette sizes from 1 to 256, separated by spaces; or auto")
    parser.add_argument("--target", default="", help="the quality that auto must reach, for example ssim=0.95")
    parser.add_argument("--output", required=True, help="folder of the compressed images and the run's records")
    parser.add_argument(
        "--publish", default="", help="folder to which the run is published later; its images are skipped"
    )
    parser.add_argument("--run", required=True, help="name of the run, and of the folder of its plan and failures")
    parser.add_argument("--failure", help="JSON file to write if the application fails, with the reason")
    settings.add_arguments(parser)
    add_limits(parser)
    parser.add_argument("--force", action="store_true", help="compress images again that have valid results")
    arguments = parser.parse_args(argv)
    arguments.settings = read_settings(parser, arguments)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
