"""Make the picture of the seams between tiles in docs/palettes.md: palettes of their own, and one in common.

    python -m benchmarks.seams [--image include/images/coffee.png] [--side 100] [--k 4]

Left the tiles have palettes of their own, right that of all tiles. Prints how many colors of the image have two
entries.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from colorquant import quantize
from colorquant.compress import AddedColors, count
from colorquant.decode import read_image
from colorquant.hex_colors import OPAQUE, colors_text
from colorquant.pixels import Pixels
from colorquant.quantizer import solve
from colorquant.settings import Settings

_PROJECT = Path(__file__).resolve().parent.parent
_PICTURE = _PROJECT / "docs" / "pictures" / "seams.webp"
_GAP = 8


def main() -> None:
    """Write the picture, and print the number of colors with two entries on each side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=_PROJECT / "include" / "images" / "coffee.png")
    parser.add_argument("--side", type=int, default=100, help="of the square tiles, in pixels")
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--columns", type=int, default=4, help="of tiles, from the left")
    arguments = parser.parse_args()
    pixels = read_image(arguments.image).pixels[:, : arguments.columns * arguments.side]
    tops, lefts = (range(0, length, arguments.side) for length in pixels.shape[:2])
    tiles = [(slice(top, top + arguments.side), slice(left, left + arguments.side)) for top in tops for left in lefts]
    added = AddedColors()
    for tile in tiles:
        added.add(count(np.ascontiguousarray(pixels[tile]), Settings()))
    entries = [(red, green, blue, OPAQUE) for red, green, blue in solve(added.source(), arguments.k).palette.tolist()]
    sides = []
    for palette in ("", colors_text(entries)):
        shown = np.empty_like(pixels)
        for tile in tiles:
            image = quantize(np.ascontiguousarray(pixels[tile]), arguments.k, palette=palette)
            shown[tile] = image.palette[image.indexes]
        print(f"{'in common' if palette else 'of their own'}: {_split(pixels, shown)} colors with two entries or more")
        sides.append(shown)
    gap = np.full((pixels.shape[0], _GAP, 3), 255, np.uint8)
    Image.fromarray(np.hstack([sides[0], gap, sides[1]])).save(_PICTURE, lossless=True, method=6)


def _split(before: Pixels, after: Pixels) -> int:
    """How many colors of the original are shown by two entries or more."""
    pairs = np.unique(np.concatenate([before, after], axis=2).reshape(-1, 6), axis=0)
    _, entries = np.unique(pairs[:, :3], axis=0, return_counts=True)
    return int((entries > 1).sum())


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
