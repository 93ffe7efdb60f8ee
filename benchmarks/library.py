"""A whole library in one Spark application beside pngquant, two at a time, on the same two cores in one run.

    python -m benchmarks.library IMAGES [--counts 500 5000] [--side 256] [--k 16] [--rounds 1]

The library is made of crops of IMAGES, each at a place of its own. pngquant 3 runs at its best
(`--speed 1`) and without dithering (`--nofs`), 16 files to a process, so that its start counts little.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.folders import images_in
from benchmarks.pngquant import pngquant_program
from benchmarks.process_tree import Usage, succeeded, watch
from colorquant.jobs import CompressionResult, Plan, run_folder
from colorquant.quality import mean_squared_error
from colorquant.storage import sha256_of
from colorquant_airflow.operators import CORPUS_CONF

_APPLICATION = Path(__file__).resolve().parent.parent / "spark_apps" / "compress_corpus.py"
_CORES = 2
RUN = "bench"
_MB = 1e6


@dataclass(frozen=True)
class Side:
    """What one of the two did with a library: its usage, and by image the error and the bytes."""

    usage: Usage
    mse: dict[str, float]
    size: dict[str, int]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--side", type=int, default=256, help="of the square crops, in pixels")
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1, help="in turn; the times are medians")
    arguments = parser.parse_args()
    if pngquant_program() is None:
        sys.exit("pngquant 3 is not installed, and is needed to compare with: make bench installs it")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        crops = crops_of(arguments.images, max(arguments.counts), arguments.side, work / "all")
        # Once before: kernels are compiled, files are in the page cache. Its time is what a start costs.
        _ours(linked(crops[:1], work / "warm"), work / "warm-out", arguments.k)
        start = _ours(linked(crops[:1], work / "one"), work / "one-out", arguments.k).usage
        print(f"{arguments.side} x {arguments.side} crops of {arguments.images}, k = {arguments.k}, {_CORES} cores")
        print(f"start (a library of one image): {start.wall:.1f} s, {start.cpu_total:.1f} CPU seconds")
        for count in arguments.counts:
            library = linked(crops[:count], work / str(count))
            rounds = [both_sides(library, work / f"{count}-{turn}", arguments.k) for turn in range(arguments.rounds)]
            _print(count, start, rounds)


def crops_of(images: Path, count: int, side: int, folder: Path) -> list[Path]:
    """Crops of every image in turn, at places drawn with a fixed seed; distinct in content."""
    sources = [cv2.imread(str(path)) for path in images_in(images)]
    large = [image for image in sources if image is not None and min(image.shape[:2]) > side]
    if not large:
        sys.exit(f"{images}: no image there has more than {side} pixels each way")
    folder.mkdir()
    random, paths, seen = np.random.default_rng(0), [], set()
    while len(paths) < count:
        image = large[len(paths) % len(large)]
        top, left = (int(random.integers(0, length - side + 1)) for length in image.shape[:2])
        path = folder / f"{len(paths):05d}.png"
        cv2.imwrite(str(path), image[top : top + side, left : left + side])
        if (digest := sha256_of(path)) not in seen:
            seen.add(digest)
            paths.append(path)
    return paths


def linked(crops: list[Path], folder: Path) -> Path:
    """A folder of hard links to them."""
    folder.mkdir()
    for path in crops:
        os.link(path, folder / path.name)
    return folder


def both_sides(library: Path, output: Path, k: int) -> tuple[Side, Side]:
    """The side of this project, and then pngquant's, of a folder of images; ``output`` is used in between."""
    return _ours(library, output, k), _pngquant(library, k)


def corpus_command(library: Path, output: Path, k: int) -> list[str]:
    """What compresses a library on this machine's cores, as the DAG submits it."""
    conf = CORPUS_CONF | {"spark.pyspark.python": sys.executable, "spark.pyspark.driver.python": sys.executable}
    command = ["spark-submit", "--master", f"local[{_CORES}]"]
    command += [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
    return command + [str(_APPLICATION), f"--images={library}", f"--ks={k}", f"--output={output}", f"--run={RUN}"]


def _ours(library: Path, output: Path, k: int) -> Side:
    usage = succeeded(watch(corpus_command(library, output, k)))
    plan = Plan.read(run_folder(output, RUN) / "plan.json")
    records = {job.name: CompressionResult.read(job.result) for job in plan.jobs}
    shutil.rmtree(output)
    return Side(
        usage,
        {name: record.mse for name, record in records.items()},
        {name: record.compressed_bytes for name, record in records.items()},
    )


def _pngquant(library: Path, k: int) -> Side:
    arguments = [str(pngquant_program()), "--speed", "1", "--nofs", "--force", "--ext", "-quantized.png", str(k), "--"]
    names = sorted(path.name for path in library.iterdir())
    listing = library.with_suffix(".names")
    listing.write_text("".join(f"{library / name}\n" for name in names))
    xargs = ["xargs", "-a", str(listing), "-n", "16", "-P", str(_CORES), *arguments]
    usage = succeeded(watch(xargs))
    mse, size = {}, {}
    for name, output in _outputs(library, names):
        original, quantized = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in (library / name, output))
        assert original is not None and quantized is not None
        mse[name] = mean_squared_error(original, quantized)
        size[name] = output.stat().st_size
        output.unlink()
    return Side(usage, mse, size)


def _outputs(library: Path, names: list[str]) -> Iterator[tuple[str, Path]]:
    return ((name, library / f"{Path(name).stem}-quantized.png") for name in names)


def _print(count: int, start: Usage, rounds: list[tuple[Side, Side]]) -> None:
    ours, theirs = ([side for side in sides] for sides in zip(*rounds, strict=True))
    wall = [statistics.median(side.usage.wall for side in sides) for sides in (ours, theirs)]
    cpu = [statistics.median(side.usage.cpu_total for side in sides) for sides in (ours, theirs)]
    print(f"\n{count} images{'' if len(rounds) == 1 else f', medians of {len(rounds)} rounds in turn'}")
    print(f"{'':24} {'this project':>14} {'pngquant':>10} {'ratio':>7}")
    _line("seconds", wall, 1)
    _line("images a second", [count / seconds for seconds in wall], 2)
    _line("CPU seconds", cpu, 1)
    mine, its = ours[0], theirs[0]
    _line("mean squared error", [statistics.fmean(side.mse.values()) for side in (mine, its)], 1)
    _line("bytes an image", [statistics.fmean(side.size.values()) for side in (mine, its)], 0)
    lower = sum(mine.mse[name] < its.mse[name] for name in mine.mse)
    print(f"the error is lower here for {lower} of {count} images")
    per_image = (wall[0] - start.wall) / (count - 1), (cpu[0] - start.cpu_total) / (count - 1)
    print(f"start apart: {1e3 * per_image[0]:.1f} ms, {1e3 * per_image[1]:.1f} CPU ms an image")
    peaks = {part: max(side.usage.peak.get(part, 0) for side in ours) / _MB for part in ("driver", "JVM", "workers")}
    print("most memory: " + ", ".join(f"{part} {megabytes:.0f} MB" for part, megabytes in peaks.items()))


def _line(name: str, values: list[float], digits: int) -> None:
    mine, its = values
    print(f"{name:24} {mine:14.{digits}f} {its:10.{digits}f} {mine / its:7.2f}")


if __name__ == "__main__":
    main()
