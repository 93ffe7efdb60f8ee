"""The lowest error that is found with time to spare: ``python -m benchmarks.lowest_error IMAGES --iokm FILE``.

From the quantizer's own search, long chains of its relaxation and annealing, several for each image; the best is kept.
Its ratio to the reference says what is left to gain; nothing proves that it is the optimum.
"""

import argparse
import csv
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.folders import TABLES, images_in
from benchmarks.quantizers import read, read_iokm
from colorquant import quantize
from colorquant.kmeans import GRID, Points, anneal, assign, lloyd, points_of, relax, search_centroids
from colorquant.quantizer import PixelSource

TEMPERATURES = (0.07, 0.15)


def main() -> None:
    """Print and write one row for each image and k, and the means of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of images of up to 65,536 colors")
    parser.add_argument("--iokm", type=Path, required=True, help="CSV of image, k, method, MSE to compare with")
    parser.add_argument("--k", type=int, nargs="+", default=[4, 16, 64, 256])
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5_000, help="of relaxation, in each chain")
    parser.add_argument("--sweeps", type=int, default=500, help="of annealing, in each chain")
    parser.add_argument("--output", type=Path, default=TABLES / "lowest_error.csv")
    arguments = parser.parse_args()
    reference = read_iokm(arguments.iokm)
    paths = images_in(arguments.images)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with open(arguments.output, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "k", "quantize_mse", "lowest_mse", "lowest_real_mse", "seconds"])
        for k in arguments.k:
            ratios = []
            for path in paths:
                row = _row(path, k, arguments.chains, arguments.rounds, arguments.sweeps)
                writer.writerow([path.stem, k, *(f"{value:.6f}" for value in row)])
                file.flush()
                ratios.append([value / reference[path.stem, k] for value in row[:3]])
            ours, lowest, real = (statistics.fmean(column) for column in zip(*ratios, strict=True))
            print(
                f"k = {k}: quantize {ours:.4f}, lowest {lowest:.4f}, with real-valued centroids {real:.4f}", flush=True
            )


def _row(path: Path, k: int, chains: int, rounds: int, sweeps: int) -> tuple[float, float, float, float]:
    """Mean squared errors: of ``quantize``, the lowest with whole and with real-valued colors; and the seconds."""
    start = time.perf_counter()
    pixels = read(path)
    number = pixels.shape[0] * pixels.shape[1]
    source = PixelSource(pixels)
    points = points_of(source.cells())
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda seed: _chain(points, source, k, seed, rounds, sweeps), range(chains)))
    whole, real = (min(column) / number for column in zip(*found, strict=True))
    ours = quantize(pixels, k).inertia / number
    return ours, min(ours, whole), real, time.perf_counter() - start


def _chain(points: Points, source: PixelSource, k: int, seed: int, rounds: int, sweeps: int) -> tuple[float, float]:
    """Inertia with whole and with real-valued colors."""
    random = np.random.default_rng(seed)
    start = search_centroids(points, k, random)
    centroids = relax(points, start, rounds, TEMPERATURES[seed % len(TEMPERATURES)], random)
    centroids = lloyd(points, centroids, 100)
    real = assign(points, centroids).inertia / GRID**2
    palette = anneal(points, centroids, sweeps, random)
    return float(source.partial_sums(palette).inertia(palette)), real


if __name__ == "__main__":
    main()
