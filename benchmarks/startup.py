"""What the start of Spark costs a small job, against a default empty PySpark application, in turn in one run.

    python -m benchmarks.startup IMAGE [--rounds 5]

IMAGE is a picture of some 0.4 megapixels. The job is submitted by the DAG's operator with the DAG's settings.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.job_command import job_command
from benchmarks.process_tree import succeeded, watch

_EMPTY = """
from pyspark import SparkContext
context = SparkContext(appName="empty")
assert context.parallelize(range(10), 2).map(lambda x: x + 1).sum() == 55
context.stop()
"""


def main() -> None:
    """Print seconds by part of the job, and the two ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(_EMPTY)
        command, environment = job_command(folder, arguments.image, k=16)
        watch(command, environment)  # Once before: kernels are compiled, files are in the page cache.
        rounds = [
            (
                succeeded(watch(["spark-submit", "--master", "local[2]", str(empty)])),
                succeeded(watch(command, environment)),
            )
            for _ in range(arguments.rounds)
        ]
    empties, jobs = zip(*rounds, strict=True)
    print(f"{'median seconds':32} {'empty':>7} {'job':>7} {'ratio':>6}")
    _print("wall", [run.wall for run in empties], [run.wall for run in jobs])
    _print("CPU, all processes", [run.cpu_total for run in empties], [run.cpu_total for run in jobs])
    for part in ("launcher", "JVM", "driver", "daemon", "workers", "scripts"):
        _print(
            f"  CPU of {part}", [run.cpu.get(part, 0.0) for run in empties], [run.cpu.get(part, 0.0) for run in jobs]
        )
    for part in ("JVM", "driver", "daemon", "workers"):
        when = [[run.appeared.get(part, 0.0) for run in runs] for runs in (empties, jobs)]
        _print(f"  seconds until {part} starts", *when)


def _print(what: str, empty: list[float], job: list[float]) -> None:
    one, other = statistics.median(empty), statistics.median(job)
    print(f"{what:32} {one:7.2f} {other:7.2f} {f'{other / one:6.2f}' if one else ''}")


if __name__ == "__main__":
    main()
