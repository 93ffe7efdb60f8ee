"""A tiled TIFF of a gigapixel, made of copies of a picture, compressed as the DAG does it.

    python -m benchmarks.gigapixel IMAGE [--side 32768] [--k 64] [--folder FOLDER]

Printed are the seconds of each step, and the most memory of each kind of process and of all together. FOLDER needs
3 bytes a pixel for the input, and less than one for the output.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tifffile

from benchmarks.job_command import job_command
from benchmarks.process_tree import succeeded, watch

_TILE = 256
_MB = 1e6


def main() -> None:
    """Make the picture, compress it, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--side", type=int, default=32768)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        image = Path(folder, "image.tif")
        _make(arguments.image, image, arguments.side)
        command, environment = job_command(folder, str(image), arguments.k, "--max-pixels=1000000")
        usage = succeeded(watch(command, environment, total_memory=True))
        _print(json.loads(Path(folder, "r.json").read_text()), usage)


def _make(source: str, target: Path, side: int) -> None:
    """Mirrored copies side by side, each a little brighter than the one before, so that colors are many."""
    pixels = cv2.imread(source)
    if pixels is None:
        sys.exit(f"{source} cannot be read as an image")
    pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    height, width = (length // _TILE * _TILE for length in pixels.shape[:2])

    def tiles() -> Iterator[np.ndarray]:
        for top in range(0, side, _TILE):
            for left in range(0, side, _TILE):
                (row, y), (column, x) = divmod(top, height), divmod(left, width)
                copy = pixels[:height, :width][:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]
                tile = copy[y : y + _TILE, x : x + _TILE]
                yield cv2.add(np.ascontiguousarray(tile), (row % 16, column % 16, (row + column) % 16, 0))

    tifffile.imwrite(
        target, tiles(), shape=(side, side, 3), dtype=np.uint8, photometric="rgb", tile=(_TILE, _TILE), bigtiff=True
    )


def _print(record: dict, usage) -> None:  # type: ignore[no-untyped-def, type-arg]
    pixels = record["width"] * record["height"]
    steps = ", ".join(f"{step} {seconds:.0f}" for step, seconds in record["seconds"].items())
    print(f"{record['width']} x {record['height']}, k = {record['k']}, {record['unique_colors']} colors")
    megabytes = [record[name] / _MB for name in ("original_bytes", "compressed_bytes")]
    print(f"  {megabytes[0]:.0f} MB -> {megabytes[1]:.0f} MB, SSIM {record['ssim']:.4f}")
    print(f"  wall {usage.wall:.0f} s, CPU {usage.cpu_total:.0f} s, {pixels / 1e6 / usage.wall:.2f} megapixels/s")
    print(f"  seconds: {steps}")
    print(f"  most memory at one time, all processes: {usage.peak_total / _MB:.0f} MB")
    for part in ("JVM", "driver", "daemon", "workers"):
        print(f"    {part:8} {usage.peak.get(part, 0) / _MB:6.0f} MB, {usage.cpu.get(part, 0.0):6.1f} CPU seconds")


if __name__ == "__main__":
    main()
