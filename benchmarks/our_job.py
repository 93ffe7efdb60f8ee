"""Our own side of a comparison: whole jobs in this process, and the CPU time that they took."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from colorquant.compress import compress_image
from colorquant.decode import decode_output
from colorquant.quality import perceptual_similarity
from colorquant.quantizer import PixelSource
from colorquant.settings import Settings, options
from colorquant.target import Target


@dataclass(frozen=True, eq=False)
class Output:
    """What a job made.

    Attributes
    ----------
    bytes : int
        Of the file.
    k : int
    pixels : uint8 (H, W, 3 or 4)
        The decoded file, in the channels of the original.
    ssimulacra2 : float
        Of those pixels.
    cpu_seconds : float
        From the path to the written file, all threads.
    settings : str
        What the job's record says of its settings, defaults left out.
    """

    bytes: int
    k: int
    pixels: np.ndarray
    ssimulacra2: float
    cpu_seconds: float
    settings: str


def compressed(path: Path, goal: int | Target, settings: Settings, original: np.ndarray) -> Output:
    """One job; ``original`` is the decoded image, uint8 (H, W, 3 or 4)."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / path.stem
        with cpu_time() as seconds:
            record = compress_image(str(path), goal, str(output), None, settings, PixelSource)
        content = Path(record.output).read_bytes()
    pixels = decode_output(content, alpha=original.shape[2] == 4)
    chosen = {name: value for name, value in record.settings.items() if name in options()}
    return Output(
        bytes=len(content),
        k=record.k,
        pixels=pixels,
        ssimulacra2=perceptual_similarity(original, pixels),
        cpu_seconds=seconds(),
        settings=_named(chosen),
    )


def variants() -> dict[str, Settings]:
    """Every objective with every dithering, by what differs from the defaults.

    The squared error is left undithered: dithering cannot lower it.
    """
    known = options()
    names = [name for name in ("objective", "dither") if name in known]
    found = {}
    for values in product(*(known[name].choices for name in names)):
        chosen = dict(zip(names, values, strict=True))
        if chosen.get("objective") == "squared-error" and chosen["dither"] != "none":
            continue
        found[", ".join(f"{name}={value}" for name, value in chosen.items())] = Settings.parse(chosen).fixed()
    return found


@contextmanager
def cpu_time() -> Iterator[Callable[[], float]]:
    """Yield a function that returns, after the block, the CPU seconds of this process in it."""
    start = time.process_time()
    taken: list[float] = []
    yield lambda: taken[0]
    taken.append(time.process_time() - start)


def _named(settings: dict[str, object]) -> str:
    known = options()
    changed = [f"{name}={value}" for name, value in settings.items() if value != known[name].default]
    return " ".join(changed) or "defaults"
