"""Compress one image at one palette size on Spark: what one task of the DAG `kmeans_image_compression` submits.

    spark-submit compress_image.py --image cat.jpg --k 16 --output cat.png --result cat.json

Exit codes: 0 done; 2 wrong arguments; 65 the image cannot be compressed, a retry is useless; after any other exit code
a retry may help.
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
from colorquant.cli import Parser, add_limits, limits_of, palette_size, quality, read_settings, whole
from colorquant.errors import DecoderEnded, InvalidLocation, UnsupportedImage
from colorquant.jobs import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    CompressionResult,
    Job,
    JobFailure,
    SharedPalette,
    WeightsFile,
    too_slow_for,
)
from colorquant.light_imports import lighten
from colorquant.limits import BYTES_PER_PIXEL, MAX_COLORS, Limits
from colorquant.spark.application import end_after, end_with_parent, fail, reason_of, refusal_of
from colorquant.storage import allow, file_version, is_refusal, is_remote, location
from colorquant.text import psnr_text

if TYPE_CHECKING:
    from pyspark import SparkContext

    from colorquant.decode import TiledImage
    from colorquant.pixels import Pixels
    from colorquant.spark.source import SparkRegions, SparkSource

T = TypeVar("T")


def main() -> int:
    """Run the job that the command line describes; return the exit code."""
    job, arguments = _parse(sys.argv[1:])
    end_with_parent()
    if not arguments.force and job.is_done():
        print(f"{job.title}: done already, {job.result}")
        return 0
    # Only now, since these imports take a second: wrong arguments and a finished job need none of them.
    lighten()
    limits = limits_of(arguments)
    too_slow = JobFailure.of(EXIT_BAD_INPUT, too_slow_for(job.image, limits), job.image, job.k, killed=True)
    end_after(limits.seconds, too_slow, arguments.failure)
    try:
        record = _compress(job, arguments.partitions, limits)
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            traceback.print_exc()
            killed = isinstance(error, MemoryError | DecoderEnded)
            failure = JobFailure.of(EXIT_FAILED, reason_of(error), job.image, job.k, killed, is_refusal(error))
        else:
            failure = JobFailure.of(EXIT_BAD_INPUT, refusal, job.image, job.k)
        return fail(job.title, failure, arguments.failure)
    print(_figures(job, record))
    return 0


def _compress(job: Job, partitions: int | None, limits: Limits) -> CompressionResult:
    # Spark's start takes most of a small job's time, nearly all of it in the JVM. Meanwhile, this process imports
    # modules and decodes the image.
    context = _Promised(lambda: _start_context(job.title))
    from colorquant.decode import is_tiff, start_decoding

    may_be_tiled = is_tiff(job.image)
    if not may_be_tiled:
        start_decoding(limits)
    from colorquant.compress import compress_image

    tiled = _tiled_image(job.image, limits) if may_be_tiled else None
    if tiled is not None:
        return _compress_tiled(job, tiled, context.result, partitions)

    def distribute(pixels: "Pixels") -> "SparkSource":
        from colorquant.quantizer import load_kernels
        from colorquant.spark.source import SparkSource

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
        limits=limits,
        shared=_shared(job),
        weights=job.weights,
    )


def _shared(job: Job) -> SharedPalette | None:
    """The palette that the job's image has in common with others."""
    return SharedPalette.read(job.shared_palette) if job.shared_palette else None


def _tiled_image(path: str, limits: Limits) -> "TiledImage | None":
    from colorquant.decode import tiled_image_above

    in_memory = limits.pixels_in_memory(file_version(path).size, BYTES_PER_PIXEL)
    return tiled_image_above(path, min(limits.pixels, in_memory), limits)


def _compress_tiled(
    job: Job, image: "TiledImage", context: "Callable[[], SparkContext]", partitions: int | None
) -> CompressionResult:
    from colorquant.compress import compress_tiled_image

    if job.k is None:
        raise UnsupportedImage(
            f"{job.image!r} is too large to search for a target, which needs the whole image in memory; choose a k."
        )

    if _resolved(str(job.output_paths()[1])) == _resolved(job.image):
        raise UnsupportedImage(
            f"{job.image!r} is read part by part, and its output, a TIFF, would replace it; choose another output."
        )

    def distribute(image: "TiledImage") -> "SparkRegions":
        from colorquant.spark.source import SparkRegions

        return SparkRegions(context(), image, partitions)

    return compress_tiled_image(
        image, job.k, job.output, job.result, job.settings, distribute, job.image_sha256, _shared(job), job.weights
    )


def _start_context(name: str) -> "SparkContext":
    from colorquant.spark.context import start_context

    return start_context(name)


class _Promised(Generic[T]):
    """A result that a thread computes. Unlike with an executor's future, the process may end before that thread."""

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
        """Wait for the work; return what it returned, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return cast(T, self._result)


def _parse(argv: list[str]) -> tuple[Job, argparse.Namespace]:
    parser = Parser(__doc__)
    parser.add_argument("--image", required=True, help="path or URI of the image file; it is only read")
    palette = parser.add_mutually_exclusive_group()
    palette.add_argument("--k", type=whole(1, MAX_COLORS), help=f"palette size, 1 to {MAX_COLORS}")
    palette.add_argument("--target", type=quality, help="the smallest palette that reaches a quality: ssim=0.95")
    parser.add_argument(
        "--output",
        required=True,
        help="the indexed PNG to write; a TIFF that is read part by part becomes a TIFF next to it",
    )
    parser.add_argument("--result", required=True, help="the JSON record to write after the output")
    parser.add_argument("--failure", help="the JSON file to write if the job fails, with the reason")
    parser.add_argument(
        "--shared-palette", help="the JSON record of the palette that the image has in common with others"
    )
    parser.add_argument("--weights-file", help="the grey picture that says how much each pixel counts")
    parser.add_argument("--weights-sha256", help="refuse that picture if its SHA-256 is different")
    settings.add_arguments(parser)
    parser.add_argument(
        "--partitions", type=whole(1, 100_000), help="number of Spark partitions; it does not change the result"
    )
    add_limits(parser)
    parser.add_argument("--image-sha256", help="refuse the image if its SHA-256 is different")
    parser.add_argument("--force", action="store_true", help="compress even if there is a valid result")
    arguments = parser.parse_args(argv)
    _require_distinct_files(parser, arguments)
    chosen = read_settings(parser, arguments)
    if chosen.weights:
        parser.error("argument --weights: one image has one picture; give it with --weights-file")
    weights = None
    if arguments.weights_file:
        weights = WeightsFile(path=arguments.weights_file, sha256=arguments.weights_sha256)
    job = Job(
        image=arguments.image,
        name=Path(arguments.image).name,
        image_sha256=arguments.image_sha256,
        k=palette_size(parser, arguments.k, arguments.target is not None, chosen, "--k, --target"),
        target=arguments.target and str(arguments.target),
        # At a given k nothing is searched for: what is free has its default.
        settings=chosen if arguments.target else chosen.fixed(),
        output=arguments.output,
        result=arguments.result,
        failure=arguments.failure or os.devnull,
        shared_palette=arguments.shared_palette,
        weights=weights,
    )
    return job, arguments


def _require_distinct_files(parser: Parser, arguments: argparse.Namespace) -> None:
    """Refuse two names of one file, links included (no output may replace another file), and paths not allowed."""
    named: dict[str, str] = {}
    for name in ("image", "output", "result", "failure", "weights_file"):
        path = getattr(arguments, name)
        if path is None:
            continue
        try:
            allow(path)
            resolved = _resolved(path)
        except InvalidLocation as error:
            parser.error(f"argument --{name.replace('_', '-')}: {error}")
        if resolved in named:
            parser.error(f"--{named[resolved]} and --{name} are the same file, {path!r}: give each its own")
        named[resolved] = name


def _resolved(path: str) -> str:
    """The path without links, or the URI."""
    return str(location(path)) if is_remote(path) else os.path.realpath(location(path))


def _figures(job: Job, record: CompressionResult) -> str:
    return (
        f"{job.title}: {record.colors_used} colors, {record.original_bytes} -> {record.compressed_bytes} bytes "
        f"({record.compression_ratio:.2f}x), {psnr_text(record.psnr_db)}, SSIM {record.ssim:.4f}, "
        f"{record.seconds['total']:.1f} s, {record.output}"
    )


if __name__ == "__main__":
    sys.exit(main())
