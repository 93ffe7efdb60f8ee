"""pngquant 3 with oxipng behind it: palettes that were made to look right, in the smallest files around.

pngquant runs at speed 1, its best, without dithering, with half of it and with all of it. It writes 2 to 256 colors.
"""

import io
import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec

import numpy as np
from PIL import Image

from colorquant.quality import perceptual_similarity

DITHERINGS = {"none": "--nofs", "half": "--floyd=0.5", "full": "--floyd=1"}
OXIPNG_LEVEL = 6
_MIN_VERSION = 3


@dataclass(frozen=True, eq=False)
class Trial:
    """A file of pngquant.

    Attributes
    ----------
    k : int
        Colors that were asked for.
    dithering : str
        One of ``DITHERINGS``.
    content : bytes
        The PNG.
    ssimulacra2 : float
    """

    k: int
    dithering: str
    content: bytes
    ssimulacra2: float


class Pngquant:
    """The trials of one image; none is made twice.

    Parameters
    ----------
    pixels : uint8 (H, W, 3 or 4)
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels
        self._trials: dict[tuple[str, int], Trial] = {}
        self._optimized: dict[tuple[str, int], Trial] = {}

    def trial(self, k: int, dithering: str) -> Trial:
        """The file of at most ``k`` colors, 2 to 256."""
        key = (dithering, k)
        if key not in self._trials:
            content = quantized_png(self._pixels, k, dithering)
            similarity = perceptual_similarity(self._pixels, decoded(content, self._pixels.shape[2]))
            self._trials[key] = Trial(k, dithering, content, similarity)
        return self._trials[key]

    def best_at(self, k: int) -> Trial:
        """The dithering with the highest SSIMULACRA2 at ``k``."""
        return max((self.trial(k, dithering) for dithering in DITHERINGS), key=lambda trial: trial.ssimulacra2)

    def smallest(self, ssimulacra2: float) -> Trial | None:
        """The smallest file that is at least that good, after oxipng; None where none of 256 colors is.

        For each dithering k is found by bisection, and of all its trials that are good enough the smallest goes
        through oxipng.
        """
        found = [trial for dithering in DITHERINGS if (trial := self._smallest(ssimulacra2, dithering))]
        return min((self._optimize(trial) for trial in found), key=lambda trial: len(trial.content), default=None)

    def _smallest(self, ssimulacra2: float, dithering: str) -> Trial | None:
        if self.trial(256, dithering).ssimulacra2 < ssimulacra2:
            return None
        below, above = 1, 256
        while above - below > 1:
            middle = (below + above) // 2
            if self.trial(middle, dithering).ssimulacra2 >= ssimulacra2:
                above = middle
            else:
                below = middle
        good = [
            trial
            for trial in self._trials.values()
            if trial.dithering == dithering and trial.ssimulacra2 >= ssimulacra2
        ]
        return min(good, key=lambda trial: len(trial.content))

    def _optimize(self, trial: Trial) -> Trial:
        key = (trial.dithering, trial.k)
        if key not in self._optimized:
            self._optimized[key] = replace(trial, content=oxipng(trial.content))
        return self._optimized[key]


def quantized_png(pixels: np.ndarray, k: int, dithering: str) -> bytes:
    """pngquant's PNG of pixels uint8 (H, W, 3 or 4) in at most ``k`` colors."""
    program = pngquant_program()
    if program is None:
        raise FileNotFoundError("pngquant 3 is not installed; make bench installs it")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    command = [program, DITHERINGS[dithering], "--speed", "1", str(k), "-"]
    return subprocess.run(command, input=buffer.getvalue(), stdout=subprocess.PIPE, check=True).stdout


def oxipng(content: bytes) -> bytes:
    """A PNG through oxipng, without chunks that viewers do not need."""
    from oxipng import optimize_from_memory

    return bytes(optimize_from_memory(content, level=OXIPNG_LEVEL, strip="safe"))


def decoded(content: bytes, channels: int) -> np.ndarray:
    """Pixels uint8 (H, W, channels) of a PNG."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA" if channels == 4 else "RGB"))


def installed() -> bool:
    """Whether pngquant 3 and oxipng can be run."""
    return pngquant_program() is not None and find_spec("oxipng") is not None


@cache
def pngquant_program() -> str | None:
    """The environment's pngquant, or that of the PATH if it is new enough."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    program = shutil.which("pngquant", path=path)
    if program is None or int(_version(program).split(".")[0]) < _MIN_VERSION:
        return None
    return program


def pngquant_version() -> str:
    """The version of the program in use; ``3.0.3``."""
    program = pngquant_program()
    return _version(program) if program else "not installed"


def _version(program: str) -> str:
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[0]
