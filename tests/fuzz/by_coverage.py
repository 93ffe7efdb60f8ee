"""Fuzz by coverage (atheris, libFuzzer): inputs that reach new code are kept and changed further.

    python -m tests.fuzz.by_coverage decode --seconds 60 --corpus output/fuzz/decode

An input may be decoded, read or refused by the error that its reader documents. Everything else is a failure: another
exception, a crash, more than 10 seconds or 2 GB. libFuzzer then ends with an exit code other than 0, and leaves the
input in the folder ``--keep``. The corpus begins with the files of ``tests/fuzz/seeds``, and grows.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["colorquant.decode", "colorquant.publish", "colorquant.storage", "PIL", "tifffile"]
):
    import colorquant.decode.decoders
    import colorquant.decode.tiff_directories
    import colorquant.decode.tiled_tiff
    import colorquant.publish.stripping
    import colorquant.storage.json_record  # noqa: F401

from colorquant.decode.decoders import decode
from colorquant.decode.tiff_directories import find_picture
from colorquant.decode.tiled_tiff import tiled_image_above
from colorquant.errors import InvalidRecord, Undecodable, Unpublishable, UnsupportedImage
from colorquant.jobs import CompressionResult, JobFailure, Plan
from colorquant.jobs.kills import Kills
from colorquant.jobs.memory import Memory
from colorquant.limits import Limits
from colorquant.publish.manifest import Manifest
from colorquant.publish.stripping import stripped
from colorquant.report import Summary
from colorquant.report.illustrations import Illustrations
from colorquant.report.repetition import Repetition

SEEDS = Path(__file__).parent / "seeds"
RECORDS = (CompressionResult, Illustrations, JobFailure, Kills, Manifest, Memory, Plan, Repetition, Summary)
_LIMITS = Limits(pixels=1 << 20, frames=10)
_REGION = 64


def decode_image(content: bytes, path: Path) -> None:
    """A whole image file."""
    with suppress(Undecodable):
        pixels = decode(content, _LIMITS)
        assert pixels.dtype == "uint8" and pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.size


def strip_image(content: bytes, path: Path) -> None:
    """A whole image file that is published without its metadata."""
    with suppress(Unpublishable):
        for _ in stripped(io.BytesIO(content), bool(len(content) % 2), len):
            pass


def read_tiff(content: bytes, path: Path) -> None:
    """A TIFF: its directories, and its first and last regions."""
    with suppress(ValueError):
        find_picture(io.BytesIO(content), _LIMITS.frames)
    path.write_bytes(content)
    with suppress(UnsupportedImage):
        image = tiled_image_above(str(path), 0, _LIMITS)
        if image is not None:
            bottom, right = min(image.height, _REGION), min(image.width, _REGION)
            assert image.read(0, 0, bottom, right).shape == (bottom, right, 3)
            image.read(image.height - bottom, image.width - right, image.height, image.width)


def read_json(content: bytes, path: Path) -> None:
    """Every kind of record that is read from JSON."""
    path.write_bytes(content)
    for kind in RECORDS:
        with suppress(InvalidRecord):
            assert isinstance(kind.read(path), kind)


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "decode": decode_image,
    "strip": strip_image,
    "tiff": read_tiff,
    "json": read_json,
}


def seeds_of(target: str) -> Path:
    """The folder of a target's first inputs: what can be decoded can be stripped."""
    return SEEDS / {"strip": "decode"}.get(target, target)


def main() -> None:
    """Fuzz as the command line says; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder of inputs that reached new code; by default none is kept")
    parser.add_argument("--keep", type=Path, default=Path("output/fuzz"), help="folder for the input that failed")
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    arguments.keep.mkdir(parents=True, exist_ok=True)
    folder = tempfile.TemporaryDirectory()
    corpus = arguments.corpus or Path(folder.name, "corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    path = Path(folder.name, "input")
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-seed={arguments.seed}",
        f"-artifact_prefix={arguments.keep}/{arguments.target}-",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup(
        [sys.argv[0], *options, str(corpus), str(seeds_of(arguments.target))], lambda data: target(data, path)
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
