"""Find the palettes that images of a run have in common: what the task `find_palettes` of the image DAG submits.

    spark-submit find_palettes.py --plan output/runs/nightly-1f0c/plan.json

Palettes that are there already are not found again. Exit codes: 0 done; 2 wrong arguments; 65 a palette has no image
that can be read, or an image has changed since the plan was made; after any other exit code a retry may help.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from colorquant.cli import Parser, add_limits, limits_of
from colorquant.errors import InvalidLocation, InvalidRecord
from colorquant.jobs import EXIT_WRONG_ARGUMENTS, JobFailure, Plan
from colorquant.light_imports import lighten
from colorquant.limits import Limits
from colorquant.spark.application import end_with_parent, fail, failure_of

if TYPE_CHECKING:
    from pyspark import SparkContext


def main() -> int:
    """Find the palettes of the plan that the command line names; return the exit code."""
    arguments = _parse(sys.argv[1:])
    end_with_parent()
    lighten()
    try:
        plan = Plan.read(arguments.plan)
    except (OSError, InvalidRecord, InvalidLocation) as error:
        failure = JobFailure.of(EXIT_WRONG_ARGUMENTS, f"The plan cannot be read: {error}")
        return fail("palettes", failure, arguments.failure)
    if not plan.palettes_to_find():
        print("All palettes are there already", flush=True)
        return 0
    try:
        from colorquant.spark.context import start_context

        context = start_context(f"palettes of {plan.images_folder}", retry_tasks=True)
        find_palettes_of(context, plan, limits_of(arguments))
    except Exception as error:
        return fail("palettes", failure_of(error), arguments.failure)
    return 0


def find_palettes_of(context: "SparkContext", plan: Plan, limits: Limits) -> None:
    """Find the palettes that images of a plan have in common, and that are not there yet."""
    if not (requests := plan.palettes_to_find()):
        return
    from colorquant.spark.palettes import find_palettes

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        find_palettes(context, requests, plan.output_folder, plan.settings, limits, plan.force, pool, _tell)


def _tell(line: str) -> None:
    print(line, flush=True)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("--plan", required=True, help="path or URI of the plan of a run")
    parser.add_argument("--failure", help="JSON file to write if the application fails, with the reason")
    add_limits(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
