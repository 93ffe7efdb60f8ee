"""What the settings `dither` and `format` cost and gain: ``python -m benchmarks.output_choices IMAGES``.

Ratios of bytes and of errors to the defaults (no dithering, PNG), geometric means over the images. "From afar" is the
mean squared error after both pictures are blurred (Gaussian, sigma 2 pixels), about what an eye averages.
"""

import argparse
import math
from pathlib import Path

import cv2
import numpy as np

from benchmarks.folders import TABLES, images_in
from colorquant import quantize
from colorquant.decode import read_image
from colorquant.encode import encode_indexed_png, encode_lossless_webp
from colorquant.quality import measures

SIZES = (4, 8, 16, 64, 256)
COLUMNS = ("webp bytes", "dithered: bytes", "dithered, webp: bytes", "dithered: error", "dithered: error from afar")


def main() -> None:
    """Measure, print the table and write ``output_choices.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()
    paths = images_in(arguments.images)
    pictures = [read_image(path).pixels for path in paths]
    lines = [f"| k | {' | '.join(COLUMNS)} |", "|---:" * (len(COLUMNS) + 1) + "|"]
    for k in SIZES:
        rows = [_ratios(pixels, k) for pixels in pictures]
        means = [math.exp(math.fsum(map(math.log, column)) / len(column)) for column in zip(*rows, strict=True)]
        lines.append(f"| {k} | {' | '.join(f'{mean:.3f}' for mean in means)} |")
        print(lines[-1], flush=True)
    report = f"{len(paths)} images, relative to PNG without dithering\n\n" + "\n".join(lines) + "\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "output_choices.md").write_text(report)
    print(report)


def _ratios(pixels: np.ndarray, k: int) -> tuple[float, ...]:
    plain, dithered = (quantize(pixels, k, dither=kind) for kind in ("none", "blue-noise"))
    png, dithered_png = (len(encode_indexed_png(image.palette, image.indexes)) for image in (plain, dithered))
    webp, dithered_webp = (len(encode_lossless_webp(image.palette, image.indexes)) for image in (plain, dithered))
    shown = [image.palette[image.indexes] for image in (plain, dithered)]
    error, dithered_error = (measures.mean_squared_error(pixels, picture) for picture in shown)
    far, dithered_far = (measures.mean_squared_error(_blurred(pixels), _blurred(picture)) for picture in shown)
    return webp / png, dithered_png / png, dithered_webp / png, dithered_error / error, dithered_far / far


def _blurred(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2), np.uint8)


if __name__ == "__main__":
    main()
