"""What a palette in common costs the images of a folder, and whether colors that are to be kept stay.

    python -m benchmarks.shared_palettes IMAGES [--ks 16 64 256]

For each k one palette for all images, next to a palette of each image's own: the errors and the bytes of the PNGs. Then
each image with three colors that every palette has: red, white, and the image's most frequent color. How many pixels of
these colors have another one in the output, and the error of the other pixels relative to a palette of k - 3 that is
found for them alone.
"""

import argparse
import statistics
from pathlib import Path

import cv2
import numpy as np

from benchmarks.folders import images_in
from colorquant.compress import AddedColors, count
from colorquant.decode import read_image
from colorquant.encode import encode_indexed_png
from colorquant.hex_colors import OPAQUE, colors_text
from colorquant.pixels import Pixels
from colorquant.quantizer import PixelSource, Solution, impose, kept_colors, quantize, solve
from colorquant.settings import Settings

_FIXED = ((214, 39, 40, OPAQUE), (255, 255, 255, OPAQUE))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--ks", type=int, nargs="+", default=[16, 64, 256])
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    images = [read_image(path).pixels for path in images_in(arguments.images)]
    print(f"{len(images)} images of {arguments.images}")
    _compare(images, arguments.ks)
    _keep(images, arguments.ks)


def _compare(images: list[Pixels], ks: list[int]) -> None:
    added = AddedColors()
    for pixels in images:
        added.add(count(pixels, Settings()))
    common = added.source()
    print("\n| k | error with the palette in common relative to own palettes: median, largest | bytes: sum, largest |")
    print("|---:|---:|---:|")
    for k in ks:
        shared = solve(common, k).palette
        errors, sizes = [], []
        for pixels in images:
            source = PixelSource(pixels)
            own, imposed = solve(source, k), impose(source, shared)[0]
            # An image of at most k colors has no error of its own.
            errors.append(imposed.inertia / own.inertia if own.inertia else float("nan"))
            sizes.append([_bytes(source, solution) for solution in (imposed, own)])
        finite = [error for error in errors if error == error]
        in_common, alone = (sum(column) for column in zip(*sizes, strict=True))
        largest = max(one / other for one, other in sizes)
        error = f"{statistics.median(finite):.2f}, {max(finite):.1f}"
        left = f" ({len(errors) - len(finite)} without loss left out)" if len(finite) < len(errors) else ""
        print(f"| {k} | {error}{left} | {in_common / alone:.3f}, {largest:.2f} |", flush=True)


def _bytes(source: PixelSource, solution: Solution) -> int:
    return len(encode_indexed_png(solution.palette, source.remap(solution.palette)))


def _keep(images: list[Pixels], ks: list[int]) -> None:
    print(
        "\n| k | images | pixels of kept colors | of another color in the output | error of the others, mean, largest |"
    )
    print("|---:|---:|---:|---:|---:|")
    for k in ks:
        ratios, wanted, off = [], 0, 0
        for pixels in images:
            colors, counts = np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0, return_counts=True)
            frequent = (*map(int, colors[counts.argmax(), :3]), OPAQUE)
            settings = Settings(keep=colors_text(tuple(dict.fromkeys((*_FIXED, frequent)))))
            kept = kept_colors(settings, pixels.shape[2])
            is_kept = (pixels[:, :, None] == kept).all(axis=3).any(axis=2)
            image = quantize(pixels, k, keep=settings.keep)
            shown = image.palette[image.indexes]
            wanted += int(is_kept.sum())
            off += int((shown[is_kept] != pixels[is_kept]).any(axis=1).sum())
            # A picture of one row: the colors of the other pixels are all that counts.
            others = PixelSource(np.ascontiguousarray(pixels[~is_kept])[None]) if (~is_kept).any() else None
            if others and k > len(kept) and (free := solve(others, k - len(kept)).inertia):
                ratios.append(impose(others, image.palette)[0].inertia / free)
        error = f"{statistics.fmean(ratios):.4f}, {max(ratios):.4f}" if ratios else "-"
        print(f"| {k} | {len(images)} | {wanted} | {off} | {error} |", flush=True)


if __name__ == "__main__":
    main()
