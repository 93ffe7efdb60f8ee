"""Compress one image at one palette size on Spark: what one `compress_image` task submits.

    spark-submit compress_image.py --image cat.jpg --k 16 --output cat.png --result cat.json

Exit codes: 0 done; 2 wrong arguments; 65 the image cannot be compressed, trying again is useless; anything else is a
failure worth a retry.
"""

import argparse
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from colorquant import settings
from colorquant.cli import Parser, add_max_pixels, end_with_parent, quality, reason_of, whole
from colorquant.errors import InvalidLocation, UnsupportedImage
from colorquant.jobs import EXIT_BAD_INPUT, EXIT_FAILED, CompressionResult, Job, JobFailure
from colorquant.light_imports import lighten
from colorquant.limits import MAX_COLORS
from colorquant.storage import is_remote, location

if TYPE_CHECKING:
    import numpy as np
    from pyspark import SparkContext

    from colorquant.decode import TiledImage
    from colorquant.spark import SparkRegions, SparkSource

T = TypeVar("T")

# How Spark names what a worker raised.
_UNSUPPORTED = f"Py4JJavaError: {UnsupportedImage.__module__}.{UnsupportedImage.__qualname__}: "


def main() -> int:
    """Run the job that the command line names; return the exit code."""
    job, arguments = _parse(sys.argv[1:])
    end_with_parent()
    if not arguments.force and job.is_done():
        print(f"{job.title}: done already, {job.result}")
        return 0
    # Only now: arguments are checked, and a done job found, without the second that these imports take.
    lighten()
    try:
        record = _compress(job, arguments.partitions, arguments.max_pixels)
    except UnsupportedImage as error:
        return _failed(job, str(error), EXIT_BAD_INPUT)
    except Exception as error:
        reason = reason_of(error)
        if reason.startswith(_UNSUPPORTED):  # A worker found it.
            return _failed(job, reason.removeprefix(_UNSUPPORTED), EXIT_BAD_INPUT)
        traceback.print_exc()
        return _failed(job, reason, EXIT_FAILED)
    print(_figures(job, record))
    return 0


def _compress(job: Job, partitions: int | None, max_pixels: int) -> CompressionResult:
    # Spark's start takes most of a small job's time, nearly all of it in the JVM: here, meanwhile, modules are
    # imported and the image is decoded.
    context = _Promised(lambda: _start_context(job.title))
    from colorquant.compress import compress_image

    tiled = _tiled_image(job.image, max_pixels)
    if tiled is not None:
        return _compress_tiled(job, tiled, context.result, partitions)

    def distribute(pixels: "np.ndarray") -> "SparkSource":
        from colorquant.quantizer import load_kernels
        from colorquant.spark import SparkSource

        load_kernels()  # While Spark is starting.
        return SparkSource(context.result(), pixels, partitions)

    return compress_image(
        job.image,
        job.palette,
        job.output,
        job.result,
        job.settings,
        distribute,
        expected_sha256=job.image_sha256,
        max_pixels=max_pixels,
    )


def _tiled_image(path: str, limit: int) -> "TiledImage | None":
    from colorquant.decode import is_tiff

    if not is_tiff(path):
        return None
    from colorquant.decode import tiled_image_above

    return tiled_image_above(path, limit)


def _compress_tiled(
    job: Job, image: "TiledImage", context: "Callable[[], SparkContext]", partitions: int | None
) -> CompressionResult:
    from colorquant.compress import compress_tiled_image

    if job.k is None:
        raise UnsupportedImage(
            f"{job.image!r} is too large for the search for a target, which holds all of it; choose a k."
        )

    if is_remote(job.output):
        raise UnsupportedImage(
            f"{job.image!r} is too large to be written to an object store: its output is put together on disk; choose "
            "a local output folder."
        )

    if os.path.realpath(job.output_paths()[1]) == os.path.realpath(job.image):
        raise UnsupportedImage(
            f"{job.image!r} is read part by part, and its output, a TIFF, would replace it; choose another output."
        )

    def distribute(image: "TiledImage") -> "SparkRegions":
        from colorquant.spark import SparkRegions

        return SparkRegions(context(), image, partitions)

    return compress_tiled_image(image, job.k, job.output, job.result, job.settings, distribute, job.image_sha256)


def _start_context(name: str) -> "SparkContext":
    from colorquant.spark import start_context

    return start_context(name)


class _Promised(Generic[T]):
    """A result that another thread works on. The interpreter does not wait for that thread at its end."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: T | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="promised")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error

    def result(self) -> T:
        """What the work returned. Raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return cast(T, self._result)


def _parse(argv: list[str]) -> tuple[Job, argparse.Namespace]:
    parser = Parser(__doc__)
    parser.add_argument("--image", required=True, help="the image file; it is only read")
    palette = parser.add_mutually_exclusive_group(required=True)
    palette.add_argument("--k", type=whole(1, MAX_COLORS), help=f"palette size, 1 to {MAX_COLORS}")
    palette.add_argument("--target", type=quality, help="find the smallest palette of a quality, for example ssim=0.95")
    parser.add_argument(
        "--output",
        required=True,
        help="the indexed PNG to write; where its input is a TIFF that is read part by part, a TIFF beside it",
    )
    parser.add_argument("--result", required=True, help="the JSON record to write, after the output")
    parser.add_argument("--failure", help="a JSON file for the reason, where there is no result")
    settings.add_arguments(parser)
    parser.add_argument("--partitions", type=whole(1, 100_000), help="Spark partitions; they do not change the result")
    add_max_pixels(parser)
    parser.add_argument("--image-sha256", help="refuse the image if its hash is another one")
    parser.add_argument("--force", action="store_true", help="compress even if the result is there")
    arguments = parser.parse_args(argv)
    _refuse_one_for_two(parser, arguments)
    job = Job(
        image=arguments.image,
        name=Path(arguments.image).name,
        image_sha256=arguments.image_sha256,
        k=arguments.k,
        target=arguments.target and str(arguments.target),
        settings=settings.of_arguments(arguments),
        output=arguments.output,
        result=arguments.result,
        failure=arguments.failure or os.devnull,
    )
    return job, arguments


def _refuse_one_for_two(parser: Parser, arguments: argparse.Namespace) -> None:
    """Each of the files is one of its own: the input is never written to, and no output by another one's name."""
    named: dict[str, str] = {}
    for name in ("image", "output", "result", "failure"):
        path = getattr(arguments, name)
        if path is None:
            continue
        try:
            place = str(location(path)) if is_remote(path) else os.path.realpath(location(path))
        except InvalidLocation as error:
            parser.error(f"argument --{name}: {error}")
        if place in named:
            parser.error(f"--{named[place]} and --{name} are the same file, {path!r}: give each its own")
        named[place] = name


def _failed(job: Job, reason: str, exit_code: int) -> int:
    print(f"{job.title}: {reason}", file=sys.stderr)
    if job.failure != os.devnull:
        failure = JobFailure(
            image=job.image, k=job.k, reason=reason, exit_code=exit_code, retryable=exit_code == EXIT_FAILED
        )
        try:
            failure.write(job.failure)
        except OSError as error:
            print(f"{job.title}: the reason could not be written: {error}", file=sys.stderr)
    return exit_code


def _figures(job: Job, record: CompressionResult) -> str:
    quality = "lossless" if record.psnr_db is None else f"PSNR {record.psnr_db:.2f} dB, SSIM {record.ssim:.4f}"
    return (
        f"{job.title}: {record.colors_used} colors, {record.original_bytes} -> {record.compressed_bytes} bytes "
        f"({record.compression_ratio:.2f}x), {quality}, {record.seconds['total']:.1f} s, {record.output}"
    )


if __name__ == "__main__":
    sys.exit(main())
