"""Compress one image at one palette size on Spark: what one `compress_image` task submits.

    spark-submit compress_image.py --image cat.jpg --k 16 --output cat.png --result cat.json

Exit codes: 0 done; 2 wrong arguments; 65 the image cannot be compressed, trying again is useless; anything else is a
failure worth a retry.
"""

import argparse
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar, cast

from colorquant import settings
from colorquant.jobs import Job
from colorquant.light_imports import lighten
from colorquant.plan import MAX_K
from colorquant.records import CompressionResult, JobFailure
from colorquant.target import InvalidTarget, Target

if TYPE_CHECKING:
    import numpy as np
    from pyspark import SparkContext

    from colorquant.spark import SparkSource

T = TypeVar("T")

EXIT_WRONG_ARGUMENTS = 2
EXIT_BAD_INPUT = 65
EXIT_FAILED = 1


def main() -> int:
    """Run the job that the command line names; return the exit code."""
    job, arguments = _parse(sys.argv[1:])
    _end_with_parent()
    if not arguments.force and job.is_done():
        print(f"{job.title}: done already, {job.result}")
        return 0
    # Only now: arguments are checked, and a done job found, without the second that these imports take.
    lighten()
    from colorquant.images import UnsupportedImage

    try:
        record = _compress(job, arguments.partitions)
    except UnsupportedImage as error:
        return _failed(job, str(error), EXIT_BAD_INPUT)
    except Exception as error:
        traceback.print_exc()
        return _failed(job, f"{type(error).__name__}: {_reason(error)}", EXIT_FAILED)
    print(_figures(job, record))
    return 0


def _compress(job: Job, partitions: int | None) -> CompressionResult:
    # Spark's start takes most of a small job's time, nearly all of it in the JVM: here, meanwhile, modules are
    # imported and the image is decoded.
    context = _Promised(lambda: _start_context(job.title))
    from colorquant.pipeline import compress_image

    def distribute(pixels: "np.ndarray") -> "SparkSource":
        from colorquant.spark import SparkSource

        return SparkSource(context.result(), pixels, partitions)

    return compress_image(
        job.image,
        Target.parse(job.target) if job.target else cast(int, job.k),
        job.output,
        job.result,
        job.settings,
        distribute,
        expected_sha256=job.image_sha256,
    )


def _start_context(name: str) -> "SparkContext":
    from colorquant.context import start_context

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
    parser = _Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--image", required=True, help="the image file; it is only read")
    palette = parser.add_mutually_exclusive_group(required=True)
    palette.add_argument("--k", type=_whole(1, MAX_K), help=f"palette size, 1 to {MAX_K}")
    palette.add_argument("--target", type=_target, help="find the smallest palette of a quality, for example ssim=0.95")
    parser.add_argument("--output", required=True, help="the indexed PNG to write")
    parser.add_argument("--result", required=True, help="the JSON record to write, after the output")
    parser.add_argument("--failure", help="a JSON file for the reason, where there is no result")
    settings.add_arguments(parser)
    parser.add_argument("--partitions", type=_whole(1, 100_000), help="Spark partitions; they do not change the result")
    parser.add_argument("--image-sha256", help="refuse the image if its hash is another one")
    parser.add_argument("--force", action="store_true", help="compress even if the result is there")
    arguments = parser.parse_args(argv)
    job = Job(
        image=arguments.image,
        name=Path(arguments.image).name,
        image_sha256=arguments.image_sha256,
        k=arguments.k,
        target=arguments.target,
        settings=settings.of_arguments(arguments),
        output=arguments.output,
        result=arguments.result,
        failure=arguments.failure or os.devnull,
    )
    return job, arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"compress_image.py: {message}", file=sys.stderr)
        sys.exit(EXIT_WRONG_ARGUMENTS)


def _target(text: str) -> str:
    try:
        return str(Target.parse(text))
    except InvalidTarget as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _whole(least: int, most: int):  # type: ignore[no-untyped-def]
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parse


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


def _reason(error: Exception) -> str:
    """What an error says; of Spark's errors, which bring the traces of several processes, what went wrong first."""
    text = str(error).partition("\n\tat ")[0]
    # Spark ends the trace of a worker's Python with its own code for "an error in Python".
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith("SQLSTATE: ")]
    return said[-1] if said else ""


def _figures(job: Job, record: CompressionResult) -> str:
    quality = "lossless" if record.psnr_db is None else f"PSNR {record.psnr_db:.2f} dB, SSIM {record.ssim:.4f}"
    return (
        f"{job.title}: {record.colors_used} colors, {record.original_bytes} -> {record.compressed_bytes} bytes "
        f"({record.compression_ratio:.2f}x), {quality}, {record.seconds['total']:.1f} s, {record.output}"
    )


def _end_with_parent() -> None:
    """End this process when spark-submit's JVM, its parent, is gone: a killed job must not write any more."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(EXIT_FAILED)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


if __name__ == "__main__":
    sys.exit(main())
