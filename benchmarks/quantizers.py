"""Quality and speed of quantizers, side by side in one run: ``python -m benchmarks.quantizers IMAGES``.

The mean squared error is that of the picture with the 8-bit palette: the mean over pixels of the squared distance,
summed over the three channels. Times are medians of several runs after one to warm up; a peer that takes more than
two seconds is timed once.
"""

import argparse
import csv
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.folders import TABLES, images_in
from benchmarks.peers import Peer, installed, versions
from benchmarks.tables import Row, recorded
from colorquant import quantize

SLOW_SECONDS = 2.0


def main() -> None:
    """Measure, and write ``quantizers.md`` and ``quantizers.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--k", type=int, nargs="+", default=[4, 16, 64, 256])
    parser.add_argument("--runs", type=int, default=3, help="runs of which the time is the median")
    parser.add_argument("--seeds", type=int, default=0, help="also the spread over this many seeds")
    parser.add_argument("--iokm", type=Path, help="CSV of image, k, method, MSE, milliseconds to compare with")
    parser.add_argument("--large", type=Path, help="a large image: the time against OpenCV's decoding of it")
    parser.add_argument("--skip", nargs="*", default=[], help="peers to leave out")
    parser.add_argument("--every", type=int, default=1, help="only every n-th image")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()

    paths = images_in(arguments.images)
    paths = paths[:: arguments.every]
    peers = {name: peer for name, peer in installed().items() if name not in arguments.skip}
    rows = recorded(measure(paths, peers, arguments.k, arguments.runs), arguments.output / "quantizers.csv")

    parts = [_conditions(paths, arguments.runs), *_tables(rows, arguments.k, read_iokm(arguments.iokm))]
    if arguments.seeds:
        parts.append(_seed_spread(paths, arguments.k, arguments.seeds))
    if arguments.large:
        parts.append(_large(arguments.large, arguments.runs))
    report = "\n\n".join(parts) + "\n"
    (arguments.output / "quantizers.md").write_text(report)
    print(report)


def measure(paths: Iterable[Path], peers: dict[str, Peer], ks: Iterable[int], runs: int) -> Iterable[Row]:
    """Yield one row for each image, k and quantizer."""
    for path in paths:
        pixels = read(path)
        for k in ks:
            for name, peer in peers.items():
                _, picture = peer(pixels, k)  # Kernels are compiled at their first call, for each kind of image.
                times = []
                while len(times) < runs and max(times, default=0.0) <= SLOW_SECONDS:
                    times.append(peer(pixels, k)[0])
                mse = float(((picture.astype(np.int64) - pixels) ** 2).sum() / (pixels.size // 3))
                yield {
                    "image": path.stem,
                    "k": k,
                    "quantizer": name,
                    "mse": round(mse, 6),
                    "seconds": round(statistics.median(times), 6),
                }


def read(path: Path) -> np.ndarray:
    """Pixels of an image, uint8 (height, width, 3) in RGB. Exits where OpenCV cannot read it."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path} cannot be read as an image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_iokm(path: Path | None) -> dict[tuple[str, int], float]:
    """Mean squared errors of a CSV file, by image name and k: from its columns 1, 2 and 4."""
    if path is None:
        return {}
    with open(path, newline="") as file:
        return {(row[0].removeprefix("kodak_"), int(row[1])): float(row[3]) for row in csv.reader(file)}


def _conditions(paths: list[Path], runs: int) -> str:
    listed = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"{len(paths)} images, medians of {runs} runs, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {listed}."
    )


def _tables(rows: list[Row], ks: list[int], iokm: dict[tuple[str, int], float]) -> list[str]:
    names = list(dict.fromkeys(str(row["quantizer"]) for row in rows))
    mse: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    seconds: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for row in rows:
        key = str(row["quantizer"]), int(row["k"])
        mse[key][str(row["image"])] = float(row["mse"])
        seconds[key][str(row["image"])] = float(row["seconds"])

    def table(title: str, cell: dict[tuple[str, int], str]) -> str:
        head = f"{title}\n\n| quantizer | " + " | ".join(f"k = {k}" for k in ks) + " |\n|---"
        lines = [head + "|---:" * len(ks) + "|"]
        lines += [f"| {name} | " + " | ".join(cell[name, k] for k in ks) + " |" for name in names]
        return "\n".join(lines)

    pairs = [(name, k) for name in names for k in ks]
    ours = "colorquant"
    parts = [
        table("Mean squared error, mean over the images:", {p: f"{_mean(mse[p].values()):.3f}" for p in pairs}),
        table(
            "Mean over the images, those of at most k colors left out, of the error relative to colorquant's:",
            {(n, k): _mean_ratio(mse[n, k], mse[ours, k]) for n, k in pairs},
        ),
        table("Milliseconds, mean over the images:", {p: f"{1e3 * _mean(seconds[p].values()):.1f}" for p in pairs}),
        table(
            "Time relative to colorquant's (ratio of the means):",
            {(n, k): f"{_mean(seconds[n, k].values()) / _mean(seconds[ours, k].values()):.2f}" for n, k in pairs},
        ),
    ]
    if iokm:
        cells = {(n, k): f"{_mean(e / iokm[i, k] for i, e in mse[n, k].items()):.4f}" for n, k in pairs}
        parts.append(table("Mean over the images of the error relative to IOKM's (real-valued centroids):", cells))
    return parts


def _seed_spread(paths: list[Path], ks: list[int], seeds: int) -> str:
    lines = [f"Range of the error over {seeds} seeds, as part of its mean: mean and maximum over the images.\n"]
    lines += ["| k | mean | maximum |", "|---:|---:|---:|"]
    for k in ks:
        spreads = []
        for path in paths:
            pixels = read(path)
            errors = [quantize(pixels, k, seed).inertia for seed in range(seeds)]
            spreads.append((max(errors) - min(errors)) / max(statistics.fmean(errors), 1e-9))
        lines.append(f"| {k} | {_mean(spreads):.3%} | {max(spreads):.3%} |")
    return "\n".join(lines)


def _large(path: Path, runs: int, k: int = 64) -> str:
    decoding, quantizing = [], []
    for _ in range(runs):
        start = time.perf_counter()
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        decoding.append(time.perf_counter() - start)
        if image is None:
            raise SystemExit(f"{path} cannot be read as an image")
        pixels = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        start = time.perf_counter()
        quantize(pixels, k)
        quantizing.append(time.perf_counter() - start)
    decode, solve = statistics.median(decoding), statistics.median(quantizing)
    return (
        f"{path.name}, {pixels.shape[0] * pixels.shape[1] / 1e6:.1f} megapixels, k = {k}: OpenCV decodes it in "
        f"{decode:.3f} s, quantize takes {solve:.3f} s, {solve / decode:.2f} times that."
    )


def _mean_ratio(errors: dict[str, float], ours: dict[str, float]) -> str:
    ratios = [error / ours[image] for image, error in errors.items() if ours[image] > 0]
    return f"{_mean(ratios):.4f}" if ratios else "exact"


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


if __name__ == "__main__":
    main()
