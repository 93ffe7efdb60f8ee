"""One palette for the tiles of a large picture, found by Spark, beside that of the whole picture in one process.

    python -m benchmarks.library_palette LARGE [--side 256] [--ks 16 64 256] [--more 8192] [--crops 5000]

The picture is cut into tiles, and one run of the application of a library finds their palette and compresses them. Then
palettes of the first so many of a larger library are found, whose tiles are crops of the same picture: the time by tile
and the driver's memory, which should not grow. Last, the pass that finds the palette of a library and the pass that
compresses it with this palette, at k = 16.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.library import RUN, corpus_command, crops_of, linked
from benchmarks.process_tree import Usage, succeeded, watch
from colorquant import quantize
from colorquant.jobs import CompressionResult, Plan, RunRequest, plan_run, run_folder
from colorquant.pixels import Pixels
from colorquant.settings import LIBRARY, Settings

_APPLICATION = Path(__file__).resolve().parent.parent / "spark_apps" / "find_palettes.py"
_MB = 1e6
_K = 16


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("large", type=Path)
    parser.add_argument("--side", type=int, default=256, help="of the square tiles, in pixels")
    parser.add_argument("--ks", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--more", type=int, default=8192, help="tiles of the larger library")
    parser.add_argument("--crops", type=int, default=5000, help="of the library whose two passes are compared")
    arguments = parser.parse_args()
    picture = cv2.cvtColor(cv2.imread(str(arguments.large)), cv2.COLOR_BGR2RGB)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tiles = _tiles(picture, arguments.side, work / "tiles")
        _compare(picture, tiles, arguments.ks, work / "out")
        crops = crops_of(arguments.large.parent, max(arguments.more, arguments.crops), arguments.side, work / "crops")
        print("\n| tiles | palette pass, s | CPU s | ms a tile | driver, MB | JVM, MB | a worker, MB |")
        print("|---:|---:|---:|---:|---:|---:|---:|")
        for count in (tiles_in(tiles), arguments.more):
            library = linked(crops[:count], work / str(count))
            usage = _palette_pass(library, work / f"{count}-out", arguments.ks)
            memory = [usage.peak.get(part, 0) / _MB for part in ("driver", "JVM", "workers")]
            figures = f"{usage.wall:.1f} | {usage.cpu_total:.1f} | {1000 * usage.wall / count:.1f}"
            print(f"| {count} | {figures} | {' | '.join(f'{each:.0f}' for each in memory)} |", flush=True)
        _print_passes(linked(crops[: arguments.crops], work / "library"), work / "both")


def tiles_in(folder: Path) -> int:
    """Number of files in a folder."""
    return sum(1 for _ in folder.iterdir())


def _tiles(picture: Pixels, side: int, folder: Path) -> Path:
    folder.mkdir()
    for top in range(0, picture.shape[0] - side + 1, side):
        for left in range(0, picture.shape[1] - side + 1, side):
            tile = picture[top : top + side, left : left + side]
            cv2.imwrite(str(folder / f"{top:05d}-{left:05d}.png"), cv2.cvtColor(tile, cv2.COLOR_RGB2BGR))
    return folder


def _compare(picture: Pixels, tiles: Path, ks: list[int], output: Path) -> None:
    """Print the error of the tiles' palette beside that of the picture's, and how many colors map to two entries."""
    command = corpus_command(tiles, output, 0)
    command = [f"--ks={' '.join(map(str, ks))}" if part.startswith("--ks=") else part for part in command]
    run = succeeded(watch([*command, f"--palette={LIBRARY}"]))
    plan = Plan.read(run_folder(output, RUN) / "plan.json")
    print(f"{picture.shape[1]} x {picture.shape[0]} pixels, {tiles_in(tiles)} tiles: {run.wall:.0f} s for all k")
    print("\n| k | MSE of the tiles' palette | of the picture's | ratio | colors with two entries |")
    print("|---:|---:|---:|---:|---:|")
    for k in ks:
        own = quantize(picture, k)
        whole = own.inertia / picture[..., 0].size
        records = [CompressionResult.read(job.result) for job in plan.jobs if job.k == k]
        pixels = sum(record.width * record.height for record in records)
        error = sum(record.mse * record.width * record.height for record in records) / pixels
        split = _split_colors(plan, k)
        print(f"| {k} | {error:.4f} | {whole:.4f} | {error / whole:.5f} | {split} |", flush=True)


def _split_colors(plan: Plan, k: int) -> int:
    """How many colors of the originals are shown by two entries or more."""
    shown = np.full(1 << 24, -1, np.int64)
    split: set[int] = set()
    for job in plan.jobs:
        if job.k == k:
            before, after = (_packed(path) for path in (job.image, job.output))
            first, at = np.unique(before, return_index=True)
            # Within a tile, and against the tiles before.
            split.update(before[after != after[at[np.searchsorted(first, before)]]].tolist())
            known = shown[first]
            split.update(first[(known >= 0) & (known != after[at])].tolist())
            shown[first] = after[at]
    return len(split)


def _packed(path: str) -> np.ndarray:
    pixels = cv2.imread(path, cv2.IMREAD_COLOR)
    if pixels is None:
        sys.exit(f"{path} cannot be read")
    return pixels.reshape(-1, 3).astype(np.int64) @ np.array([1, 1 << 8, 1 << 16])


def _palette_pass(library: Path, output: Path, ks: list[int]) -> Usage:
    """Find the palettes of a library at all k, without compressing anything."""
    settings = Settings(palette=LIBRARY)
    plan = plan_run(RunRequest(run_id=RUN, images=str(library), ks=ks, output=str(output), settings=settings))
    plan.write(output / "plan.json")
    command = corpus_command(library, output, 0)
    submit = command[: next(index for index, part in enumerate(command) if part.endswith("compress_corpus.py"))]
    usage = succeeded(watch([*submit, str(_APPLICATION), f"--plan={output / 'plan.json'}"]))
    return usage


def _print_passes(library: Path, output: Path) -> None:
    """Print what it takes to find the palette of a library, and then to compress it with this palette."""
    palette = _palette_pass(library, output, [_K])
    compression = succeeded(watch([*corpus_command(library, output, _K), f"--palette={LIBRARY}"]))
    print(f"\n{tiles_in(library)} crops at k = {_K}, the start of Spark included:")
    print("\n| pass | s | CPU s |")
    print("|---|---:|---:|")
    for name, usage in (("finds the palette", palette), ("compresses", compression)):
        print(f"| {name} | {usage.wall:.1f} | {usage.cpu_total:.1f} |")
    print(f"| ratio | {palette.wall / compression.wall:.3f} | {palette.cpu_total / compression.cpu_total:.3f} |")


if __name__ == "__main__":
    main()
