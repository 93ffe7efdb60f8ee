"""Bytes of indexed PNGs against oxipng and zopflipng: ``python -m benchmarks.png_bytes IMAGES``.

The same index map, this project's, is written by this project with both efforts and by Pillow with ``optimize=True``;
what Pillow wrote is then optimized by oxipng at level 6 and by zopflipng. CPU time is of the encoders alone, each on
one thread.
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import oxipng
import zopfli.png
from PIL import Image

from benchmarks.folders import TABLES, images_in
from benchmarks.tables import Row, recorded
from colorquant import quantize
from colorquant.decode import decode_output, read_image
from colorquant.encode import encode_indexed_png

os.environ["RAYON_NUM_THREADS"] = "1"  # oxipng's threads.

EFFORTS = ("normal", "max")
PEERS = ("oxipng", "zopflipng")


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
            plain = pillow_png(image.palette, image.indexes)
            row: Row = {"image": path.stem, "k": k}
            for name, encode in encoders(image.palette, image.indexes, plain).items():
                content, seconds = _timed(encode)
                if not np.array_equal(decode_output(content), image.palette[image.indexes]):
                    raise SystemExit(f"{path.name} at k = {k}: the file of {name} shows another picture")
                row |= {name: len(content), f"{name} seconds": round(seconds, 6)}
            yield row


def encoders(palette: np.ndarray, indexes: np.ndarray, plain: bytes) -> dict[str, Callable[[], bytes]]:
    """The encoder with either effort, and the optimizers of a plain PNG of the same picture."""
    ours = {effort: partial(encode_indexed_png, palette, indexes, effort=effort) for effort in EFFORTS}
    peers = {
        "oxipng": partial(oxipng.optimize_from_memory, plain, level=6),
        "zopflipng": partial(zopfli.png.optimize, plain),
    }
    return ours | {name: peers[name] for name in PEERS}


def pillow_png(palette: np.ndarray, indexes: np.ndarray) -> bytes:
    """What Pillow writes with ``optimize=True``: the palette in the order that it is given in."""
    image = Image.fromarray(indexes).convert("P")
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _timed(encode: Callable[[], bytes]) -> tuple[bytes, float]:
    start = time.process_time()
    content = encode()
    return content, time.process_time() - start


def _table(rows: list[Row], ks: list[int]) -> str:
    lines = [
        f"Bytes relative to oxipng (oxipng-pybind {version('oxipng-pybind')}) at level 6 and zopflipng (zopfli",
        f"{version('zopfli')}), given what Pillow {version('pillow')} writes with optimize=True of the same index",
        f"maps; {len({row['image'] for row in rows})} images. The smaller peer: the smaller of the two for each file.",
        "",
        "| k | effort | against | mean | largest | larger files | CPU seconds an image | the peer's |",
        "|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    for k in ks:
        of_k = [row for row in rows if row["k"] == k]
        for effort in EFFORTS:
            for name, peers in (*((peer, (peer,)) for peer in PEERS), ("the smaller peer", PEERS)):
                ratios = [float(row[effort]) / min(float(row[peer]) for peer in peers) for row in of_k]
                theirs = sum(statistics.fmean(float(row[f"{peer} seconds"]) for row in of_k) for peer in peers)
                ours = statistics.fmean(float(row[f"{effort} seconds"]) for row in of_k)
                lines.append(
                    f"| {k} | {effort} | {name} | {statistics.fmean(ratios):.4f} | {max(ratios):.4f} "
                    f"| {sum(ratio > 1 for ratio in ratios)} | {ours:.3f} | {theirs:.3f} |"
                )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
