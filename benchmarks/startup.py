"""What the start of Spark costs a small job, against a default empty PySpark application, in turn in one run.

    python -m benchmarks.startup IMAGE [--rounds 5]

The job is that of the middle of IMAGE, 0.4 megapixels of it, at k = 16. It is submitted as the DAG's operator does,
with the DAG's settings.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import cv2

from benchmarks.job_command import job_command
from benchmarks.process_tree import Usage, succeeded, watch

_HEIGHT, _WIDTH = 512, 768

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
        empty = empty_application(folder)
        image = str(Path(folder, "image.png"))
        _crop(arguments.image, image)
        command, environment = job_command(folder, image, k=16)
        watch(command, environment)  # Once before: kernels are compiled, files are in the page cache.
        empties, jobs, timelines = [], [], []
        for _ in range(arguments.rounds):
            empties.append(succeeded(watch(empty)))
            jobs.append(succeeded(watch(command, environment)))
            timelines.append(_timeline(jobs[-1], Path(folder, "r.json")))
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
    print("where the job's wall-clock time goes")
    for what in timelines[0]:
        print(f"  {what:52} {statistics.median(timeline[what] for timeline in timelines):5.2f}")


def empty_application(folder: str) -> list[str]:
    """The command of a PySpark application that does nothing, with default settings."""
    application = Path(folder, "empty.py")
    application.write_text(_EMPTY)
    return ["spark-submit", "--master", "local[2]", str(application)]


def _crop(source: str, target: str) -> None:
    """The middle of a picture, of 0.4 megapixels; enlarged first where it is smaller."""
    pixels = cv2.imread(source)
    if pixels is None:
        sys.exit(f"{source} cannot be read as an image")
    scale = max(1.0, _HEIGHT / pixels.shape[0], _WIDTH / pixels.shape[1])
    pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    top, left = (pixels.shape[0] - _HEIGHT) // 2, (pixels.shape[1] - _WIDTH) // 2
    cv2.imwrite(target, pixels[top : top + _HEIGHT, left : left + _WIDTH])


def _timeline(run: Usage, result: Path) -> dict[str, float]:
    """Seconds of one step after the other, from the command's start to its end."""
    seconds = json.loads(result.read_text())["seconds"]
    committed = result.stat().st_mtime - run.started
    begun = committed - seconds["total"]
    jvm, driver, daemon = (run.appeared[part] for part in ("JVM", "driver", "daemon"))
    decoded = begun + seconds["decode"]
    return {
        "scripts and launcher, until the JVM": jvm,
        "spark-submit in the JVM, until the driver's Python": driver - jvm,
        "imports of the driver (Spark's context starts beside)": begun - driver,
        "decode": seconds["decode"],
        "the rest of the context's start, until the daemon": daemon - decoded,
        "imports of the daemon, first task: histogram": decoded + seconds["histogram"] - daemon,
        **{step: seconds[step] for step in ("kmeans", "remap", "encode", "metrics")},
        "end of Spark, after the record": run.wall - committed,
    }


def _print(what: str, empty: list[float], job: list[float]) -> None:
    one, other = statistics.median(empty), statistics.median(job)
    print(f"{what:32} {one:7.2f} {other:7.2f} {f'{other / one:6.2f}' if one else ''}")


if __name__ == "__main__":
    main()
