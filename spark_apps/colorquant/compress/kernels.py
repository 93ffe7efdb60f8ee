"""The kernels that images in RGB need with the usual settings, compiled before the first image does.

Numba compiles a kernel when it is called for the first time, and keeps it in a file for every later process: for all of
them half a minute of one core. Jobs that begin at the same time would each compile all.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from colorquant.compress.output import Figures, encode
from colorquant.compress.pipeline import compress_image
from colorquant.decode import Metadata
from colorquant.pixels import Pixels
from colorquant.quantizer import PixelSource, load_kernels
from colorquant.settings import Settings

_SIDE = 320  # Has more colors than are searched exactly.
_K = 16


def compile_kernels() -> None:
    """Compile all of them, in the order in which an image needs them, but those that another process has compiled."""
    load_kernels()
    with tempfile.TemporaryDirectory() as folder:
        image, output = str(Path(folder, "noise.png")), str(Path(folder, "output.png"))
        pixels = _noise(_SIDE)
        pixels[: _SIDE // 4] = 255  # Colors of flat areas are looked for too.
        cv2.imwrite(image, pixels)
        compress_image(image, _K, output, None, Settings().fixed(), PixelSource)


def compile_encoding_kernels() -> None:
    """Compile those of encoding and measuring, which come last: what a second process does at the same time."""
    pixels, indexes = _noise(_SIDE), _noise(_SIDE)[..., 0] % _K
    palette = _noise(4).reshape(_K, 3)
    for side in (_SIDE, _SIDE // 4):  # On a small picture more is tried.
        encode(palette, indexes[:side, :side], Settings().fixed(), Metadata())
    Figures.of(pixels, palette[indexes])


def _noise(side: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
