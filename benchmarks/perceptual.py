"""What the color space of the search changes: ``python -m benchmarks.perceptual IMAGES``.

Mean CIEDE2000 (CIE 2000, by scikit-image) over the pixels, with the palette that is found in RGB and in Oklab; and how
the mean squared error rises with the latter. Means over the images of more than k colors, the rise a geometric one.
Images with transparent pixels are left out.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.folders import TABLES, images_in
from colorquant import quantize
from colorquant.decode import read_image
from colorquant.quality import measures

RGB = 3


def main() -> None:
    """Measure, print the table and write ``perceptual.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--k", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--every", type=int, default=1, help="only every n-th image")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()
    paths = images_in(arguments.images)[:: arguments.every]
    pictures = [pixels for path in paths if (pixels := read_image(path).pixels).shape[2] == RGB]
    lines = ["| k | CIEDE2000, rgb | CIEDE2000, oklab | MSE, oklab to rgb |", "|---:|---:|---:|---:|"]
    for k in arguments.k:
        compared = [_compared(pixels, k) for pixels in pictures if measures.count_colors(pixels) > k]
        if not compared:
            continue
        differences, ratios = zip(*compared, strict=True)
        rgb, oklab = (statistics.fmean(column) for column in zip(*differences, strict=True))
        lines.append(f"| {k} | {rgb:.2f} | {oklab:.2f} | {statistics.geometric_mean(ratios):.3f} |")
    report = f"{len(pictures)} images\n\n" + "\n".join(lines) + "\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "perceptual.md").write_text(report)
    print(report)


def _compared(pixels: np.ndarray, k: int) -> tuple[tuple[float, float], float]:
    """Mean CIEDE2000 with the palettes of both searches, and the second's mean squared error by the first's."""
    images = (quantize(pixels, k, color_space=space) for space in ("rgb", "oklab"))
    rgb, oklab = (image.palette[image.indexes] for image in images)
    ratio = measures.mean_squared_error(pixels, oklab) / measures.mean_squared_error(pixels, rgb)
    return (visible_difference(pixels, rgb), visible_difference(pixels, oklab)), ratio


def visible_difference(pixels: np.ndarray, picture: np.ndarray) -> float:
    """Mean CIEDE2000 of two pictures, uint8 (H, W, 3) in sRGB."""
    return float(deltaE_ciede2000(rgb2lab(pixels), rgb2lab(picture)).mean())


if __name__ == "__main__":
    main()
