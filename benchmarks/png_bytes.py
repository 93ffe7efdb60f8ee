"""Bytes of indexed PNGs against Pillow with oxipng: ``python -m benchmarks.png_bytes IMAGES``.

The same index map, this project's, is written by this project and in luminance order by Pillow with ``optimize=True``,
then by oxipng at level 2. CPU time is of the encoders alone; there is one thread.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import oxipng
from PIL import Image

from benchmarks.folders import TABLES, images_in
from benchmarks.tables import Row, recorded
from colorquant import quantize
from colorquant.decode import decode_output, read_image
from colorquant.encode import encode_indexed_png, luminance_order


def main() -> None:
    """Measure, and write ``png_bytes.md`` and ``png_bytes.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--k", type=int, nargs="+", default=[4, 16, 64, 256])
    parser.add_argument("--every", type=int, default=1, help="only every n-th image")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()

    paths = images_in(arguments.images)
    rows = recorded(measure(paths[:: arguments.every], arguments.k), arguments.output / "png_bytes.csv")
    report = _table(rows, arguments.k)
    (arguments.output / "png_bytes.md").write_text(report)
    print(report)


def measure(paths: Iterable[Path], ks: Iterable[int]) -> Iterator[Row]:
    """Yield one row for each image and k; both files are decoded and must show the same picture."""
    encode_indexed_png(np.zeros((256, 3), np.uint8), np.zeros((8, 8), np.uint8))  # Kernels are compiled.
    for path in paths:
        pixels = read_image(path).pixels[..., :3]
        for k in ks:
            image = quantize(np.ascontiguousarray(pixels), k)
            ours, seconds = _timed(lambda image=image: encode_indexed_png(image.palette, image.indexes))
            reference, reference_seconds = _timed(lambda image=image: _reference(image.palette, image.indexes))
            if not np.array_equal(decode_output(ours), decode_output(reference)):
                raise SystemExit(f"{path.name} at k = {k}: the two files show different pictures")
            yield {
                "image": path.stem,
                "k": k,
                "bytes": len(ours),
                "reference": len(reference),
                "seconds": round(seconds, 6),
                "reference_seconds": round(reference_seconds, 6),
            }


def pillow_png(palette: np.ndarray, indexes: np.ndarray) -> bytes:
    """What Pillow writes with ``optimize=True``: the palette in the order that it is given in."""
    image = Image.fromarray(indexes).convert("P")
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _reference(palette: np.ndarray, indexes: np.ndarray) -> bytes:
    order = luminance_order(palette)
    rank = np.argsort(order).astype(np.uint8)
    return oxipng.optimize_from_memory(pillow_png(palette[order], rank[indexes]), level=2)


def _timed(encode: Callable[[], bytes]) -> tuple[bytes, float]:
    start = time.process_time()
    content = encode()
    return content, time.process_time() - start


def _table(rows: list[Row], ks: list[int]) -> str:
    lines = [
        f"Bytes relative to Pillow {version('pillow')}, optimize=True, and oxipng (pyoxipng {version('pyoxipng')}) "
        f"level 2 in luminance order, the same index maps, {len({row['image'] for row in rows})} images:",
        "",
        "| k | mean | largest | files that are larger | CPU seconds an image | reference |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for k in ks:
        of_k = [row for row in rows if row["k"] == k]
        ratios = [float(row["bytes"]) / float(row["reference"]) for row in of_k]
        ours, theirs = (statistics.fmean(float(row[name]) for row in of_k) for name in ("seconds", "reference_seconds"))
        larger = sum(ratio > 1 for ratio in ratios)
        lines.append(
            f"| {k} | {statistics.fmean(ratios):.4f} | {max(ratios):.4f} | {larger} | {ours:.3f} | {theirs:.3f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
