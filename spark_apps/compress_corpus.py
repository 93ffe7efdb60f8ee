"""Compress a whole library of images in one Spark application: what the DAG `kmeans_corpus_compression` submits.

    spark-submit compress_corpus.py --images photos --ks "4 16 64" --output output --run nightly

Each image is decoded and counted once for all its k. What is done already is reused, so a run that was killed is
finished by the same command. Exit codes: 0 done, images that cannot be compressed included; 2 wrong arguments;
anything else is a failure worth a retry.
"""

import argparse
import sys
import traceback
from typing import TYPE_CHECKING

from colorquant import settings
from colorquant.cli import Parser, Progress, add_max_pixels, end_with_parent, reason_of
from colorquant.errors import InvalidLocation, InvalidPlan
from colorquant.jobs import (
    EXIT_FAILED,
    EXIT_WRONG_ARGUMENTS,
    JobFailure,
    Plan,
    RunRequest,
    parse_ks,
    parse_target,
    plan_run,
    run_folder,
)
from colorquant.light_imports import lighten
from colorquant.limits import MAX_COLORS
from colorquant.storage import remove

if TYPE_CHECKING:
    from pyspark import SparkContext

    from colorquant.compress import Counts


def main() -> int:
    """Compress the library that the command line names; return the exit code."""
    arguments = _parse(sys.argv[1:])
    end_with_parent()
    lighten()
    try:
        # Before Spark starts, which takes some seconds.
        parse_target(arguments.target, parse_ks(arguments.ks.split()))
        from colorquant.spark import start_context

        context = start_context(f"library {arguments.images}", retry_tasks=True)
        counts = _compress(context, arguments)
    except (InvalidPlan, InvalidLocation) as error:
        return _failed(arguments, str(error), EXIT_WRONG_ARGUMENTS)
    except Exception as error:
        traceback.print_exc()
        return _failed(arguments, reason_of(error), EXIT_FAILED)
    if counts.retryable:
        return _failed(arguments, f"{counts.retryable} jobs failed in a way that may go away", EXIT_FAILED)
    return 0


def _compress(context: "SparkContext", arguments: argparse.Namespace) -> "Counts":
    from colorquant.compress import Counts, make_batches
    from colorquant.spark import compress_batches, map_on

    print(f"Looking at {arguments.images} ...", flush=True)
    request = RunRequest(
        run_id=arguments.run,
        images=arguments.images,
        ks=arguments.ks.split(),
        output=arguments.output,
        settings=settings.of_arguments(arguments),
        force=arguments.force,
        target=arguments.target,
        pattern=arguments.pattern,
        publish=arguments.publish,
    )
    plan = plan_run(request, look_at_all=map_on(context))
    _forget_failures(plan)
    plan.write(run_folder(arguments.output, arguments.run) / "plan.json")
    print(f"{len(plan.jobs)} jobs, {len(plan.reused)} of them done already", flush=True)
    batches = make_batches(plan.pending(), context.defaultParallelism)
    if not batches:
        return Counts()
    images = [image for batch in batches for image in batch]
    progress = Progress(len(images), sum(jobs[0].image_bytes for jobs in images))

    def watch(counts: Counts) -> None:
        if line := progress.see(counts.images, counts.image_bytes, counts.failed):
            print(line, flush=True)

    counts = compress_batches(context, batches, arguments.force, arguments.max_pixels, watch)
    print(progress.line(counts.images, counts.image_bytes, counts.failed), flush=True)
    return counts


def _forget_failures(plan: Plan) -> None:
    """What an earlier try of this run failed at is tried again."""
    for job in plan.pending():
        remove(job.failure)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("--images", required=True, help="the folder of images, sub-folders included; it is only read")
    parser.add_argument("--pattern", default="*", help="which images, by their path below the folder (default *: all)")
    parser.add_argument("--ks", required=True, help=f"palette sizes, 1 to {MAX_COLORS}, with spaces between; or auto")
    parser.add_argument("--target", default="", help="the quality that is asked for, for example ssim=0.95")
    parser.add_argument("--output", required=True, help="the folder for compressed images and the run's records")
    parser.add_argument("--publish", default="", help="the folder that is published to later: no image of the library")
    parser.add_argument("--run", required=True, help="name of the run: its plan and failures get a folder of that name")
    parser.add_argument("--failure", help="a JSON file for the reason, if the application fails")
    settings.add_arguments(parser)
    add_max_pixels(parser)
    parser.add_argument("--force", action="store_true", help="compress also what is done already")
    return parser.parse_args(argv)


def _failed(arguments: argparse.Namespace, reason: str, exit_code: int) -> int:
    print(f"compress_corpus.py: {reason}", file=sys.stderr)
    if arguments.failure:
        failure = JobFailure(
            image=arguments.images, k=0, reason=reason, exit_code=exit_code, retryable=exit_code == EXIT_FAILED
        )
        try:
            failure.write(arguments.failure)
        except OSError as error:
            print(f"compress_corpus.py: the reason could not be written: {error}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
