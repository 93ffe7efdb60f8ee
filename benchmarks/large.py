"""What a large image costs: a picture, and one of four times its pixels made from it, submitted as the DAG does.

    python -m benchmarks.large IMAGE [--k 64] [--rounds 3]

Printed are the seconds of each step, the throughput, the most memory of each kind of process, and how much faster two
cores are than one on the passes over the pixels.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.job_command import job_command
from benchmarks.process_tree import succeeded, watch

_MB = 1e6
# The passes alone: the same classes on an image that is in memory, after a first one that starts workers.
_PASSES = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np
from colorquant.spark import start_context
from colorquant.decode import read_image
from colorquant.spark import SparkSource
pixels = read_image(sys.argv[2]).pixels
context = start_context("passes")
palette = np.random.default_rng(0).integers(0, 256, (64, 3), np.uint8)
def passes(pixels):
    source = SparkSource(context, pixels)
    started = time.perf_counter()
    source.unique_colors
    counted = time.perf_counter()
    source.remap(palette)
    return counted - started, time.perf_counter() - counted
passes(pixels[:2048])
print(json.dumps([passes(pixels) for _ in range(3)]), file=open(sys.argv[3], "w"))
"""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        larger = str(Path(folder, "larger.jpg"))
        enlarge(arguments.image, larger)
        _cores(folder, arguments.image)
        throughput = [
            pixels / seconds
            for pixels, seconds in (
                job(folder, image, arguments.k, arguments.rounds) for image in (arguments.image, larger)
            )
        ]
        print(f"\nThroughput of the larger one: {throughput[1] / throughput[0]:.2f} times that of the other")


def enlarge(source: str, target: str) -> None:
    """Twice the width and the height, by mirroring: the same picture in each quarter."""
    pixels = cv2.imread(source)
    if pixels is None:
        sys.exit(f"{source} cannot be read as an image")
    pixels = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    cv2.imwrite(target, np.concatenate([pixels, pixels[::-1]]), [cv2.IMWRITE_JPEG_QUALITY, 95])


def job(folder: str, image: str, k: int, rounds: int) -> tuple[int, float]:
    """Print what a job costs; its pixels and the median of its seconds."""
    command, environment = job_command(folder, image, k)
    runs = [succeeded(watch(command, environment, total_memory=True)) for _ in range(rounds)]
    record = json.loads(Path(folder, "r.json").read_text())
    pixels = record["width"] * record["height"]
    wall = statistics.median(run.wall for run in runs)
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in record["seconds"].items())
    print(
        f"\n{pixels / 1e6:.1f} megapixels, k = {k}, {record['unique_colors']} colors: {wall:.1f} s (median of {rounds})"
    )
    print(f"  {pixels / 1e6 / wall:.2f} megapixels/s; seconds of the last run: {steps}")
    limit = 12 * pixels + 1.5e9
    peak = max(run.peak_total for run in runs)
    print(
        f"  most memory at one time, all processes: {peak / _MB:.0f} MB, {peak / limit:.2f} of 12 bytes/pixel + 1.5 GB"
    )
    for part in ("JVM", "driver", "daemon", "workers"):
        print(f"    {part:8} {max(run.peak.get(part, 0) for run in runs) / _MB:6.0f} MB")
    return pixels, wall


def _cores(folder: str, image: str) -> None:
    script, result = Path(folder, "passes.py"), Path(folder, "passes.json")
    script.write_text(_PASSES)
    seconds = {}
    for cores in (1, 2):
        subprocess.run(
            ["spark-submit", "--master", f"local[{cores}]", "--driver-memory", "1g", str(script)]
            + [str(Path(__file__).resolve().parent.parent / "spark_apps"), image, str(result)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        seconds[cores] = [min(times) for times in zip(*json.loads(result.read_text()), strict=True)]
    for number, name in enumerate(("histogram", "remap")):
        one, two = seconds[1][number], seconds[2][number]
        print(f"{name}: {one:.2f} s on one core, {two:.2f} s on two, {one / two:.2f} times as fast")


if __name__ == "__main__":
    main()
