"""The search for k beside trying every k: ``python -m benchmarks.adaptive_search IMAGES --target ssim=0.95``.

For each image every k from 2 to 256 is measured, which gives the smallest k that reaches a target, and then the search
runs on the same values and its tries are counted. ``adaptive_search.csv`` gets the whole curves.
"""

import argparse
import csv
import multiprocessing
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.folders import TABLES, images_in
from colorquant.decode import read_image
from colorquant.quality import measures
from colorquant.quantizer import PixelSource, solve
from colorquant.target import MEASURES, Target, smallest_k

KS = range(2, 257)
TARGETS = ["ssim=0.9", "ssim=0.95", "ssim=0.97", "psnr=32", "psnr=36", "ssimulacra2=50", "ssimulacra2=70"]
Curve = dict[int, float]


def main() -> None:
    """Measure, and write ``adaptive_search.md`` and ``adaptive_search.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--target", nargs="+", default=TARGETS)
    parser.add_argument("--curves", type=Path, help="a CSV of an earlier run, in place of measuring every k")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="images that are measured at once")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()
    paths = images_in(arguments.images)
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.curves or arguments.output / "adaptive_search.csv"
    if not arguments.curves:
        _measure(paths, file, arguments.processes)
    curves = _read(file)
    report = _report(curves, [Target.parse(text) for text in arguments.target])
    (arguments.output / "adaptive_search.md").write_text(report)
    print(report)


def _measure(paths: list[Path], file: Path, processes: int) -> None:
    """Every measure at every k, to a CSV."""
    with open(file, "w", newline="") as stream, multiprocessing.get_context("spawn").Pool(processes) as pool:
        writer = csv.writer(stream)
        writer.writerow(["image", "k", *MEASURES])
        for number, rows in enumerate(pool.imap(_curves_of, paths), start=1):
            writer.writerows(rows)
            stream.flush()
            print(f"{number} of {len(paths)} images", file=sys.stderr, flush=True)


def _curves_of(path: Path) -> list[list[Any]]:
    """A line for each k: the image's name, k, and each measure."""
    pixels = read_image(path).pixels
    source = PixelSource(pixels)
    rows = []
    for k in KS:
        palette = solve(source, k).palette
        picture = palette[source.remap(palette)]
        rows.append([path.name, k, *(measures.quality(measure, pixels, picture) for measure in MEASURES)])
    return rows


def _read(file: Path) -> dict[str, dict[str, Curve]]:
    curves: dict[str, dict[str, Curve]] = {measure: {} for measure in MEASURES}
    with open(file, newline="") as stream:
        for row in csv.DictReader(stream):
            for measure in MEASURES:
                curves[measure].setdefault(row["image"], {})[int(row["k"])] = float(row[measure])
    return curves


def _report(curves: dict[str, dict[str, Curve]], targets: list[Target]) -> str:
    lines = [
        "| target | images that reach it | same k as all 255 | by bisection alone | tries, mean | most | part of 255 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for target in targets:
        reach, same, bisected, tries = 0, 0, 0, []
        for curve in curves[target.measure].values():
            good = [k for k in curve if target.reached_by(curve[k])]
            # k = 1 is not among the 255: one color.
            found = smallest_k(target, lambda k, curve=curve: curve.get(k, 0.0))
            reach += bool(good)
            same += found.reached == bool(good) and (not good or found.k == good[0])
            bisected += bool(good) and _crossing(target, curve) == good[0]
            tries.append(len(found.tried))
        mean = statistics.mean(tries)
        lines.append(
            f"| {target} | {reach} of {len(tries)} | {same} of {len(tries)} | {bisected} of {reach} | {mean:.1f} | "
            f"{max(tries)} | {100 * mean / len(KS):.0f} % |"
        )
    for measure, by_image in curves.items():
        dips = [max(curve[j] - curve[k] for k in KS for j in range(2, k + 1)) for curve in by_image.values()]
        lines.append(
            f"\nLargest dip of {MEASURES[measure].title}: median {statistics.median(dips):.4f}, {max(dips):.4f}."
        )
    return "\n".join(lines) + "\n"


def _crossing(target: Target, curve: Curve) -> int:
    below, above = 1, 256
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if target.reached_by(curve[middle]) else (middle, above)
    return above


if __name__ == "__main__":
    main()
