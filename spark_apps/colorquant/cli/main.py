"""Compress images without Airflow and Spark, to the bytes that a Spark job makes of them.

    python -m colorquant cat.jpg --k 16
    python -m colorquant photos --quality 0.95 --output small

Exit codes: 0 all images are compressed; 1 one failed for a reason that may go away; 2 wrong arguments, nothing is done;
65 one cannot be compressed; 130 stopped by Ctrl-C. What is finished is kept, and the other images are compressed.
"""

import argparse
import signal
import sys
import warnings
from pathlib import Path

from colorquant import __version__, settings
from colorquant.cli.inputs import Task, tasks_of
from colorquant.cli.options import quality, reason_of, whole
from colorquant.errors import InvalidInputs
from colorquant.jobs import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_WRONG_ARGUMENTS, CompressionResult
from colorquant.light_imports import lighten
from colorquant.limits import MAX_COLORS
from colorquant.text import byte_size, printable

EXIT_INTERRUPTED = 128 + signal.SIGINT
# How many ignored files are named.
_MOST_IGNORED = 5


def main(argv: list[str] | None = None) -> int:
    """Compress what the command line names; return the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        tasks, ignored = tasks_of(arguments.images, arguments.output, f".{arguments.format}", arguments.force)
    except InvalidInputs as error:
        parser.exit(EXIT_WRONG_ARGUMENTS, f"{parser.prog}: {printable(str(error))}\n")
    if ignored and not arguments.quiet:
        print(_ignored(ignored), file=sys.stderr)
    lighten()
    # What Pillow says of odd EXIF data is for programmers; what matters of it is a refusal.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        return _compress_all(tasks, arguments)
    except KeyboardInterrupt:
        print("Stopped. What is finished is kept.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m colorquant",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"colorquant {__version__}")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, and folders of them")
    palette = parser.add_mutually_exclusive_group(required=True)
    palette.add_argument("--k", type=whole(1, MAX_COLORS), help=f"palette size, 1 to {MAX_COLORS}")
    palette.add_argument(
        "--quality",
        type=quality,
        help="find the smallest palette of a quality: 0.95 (an SSIM), psnr=38 or ssimulacra2=70",
    )
    parser.add_argument("--output", default="compressed", help="folder of the indexed PNGs (default: compressed)")
    parser.add_argument("--force", action="store_true", help="replace outputs that are there")
    parser.add_argument("--quiet", action="store_true", help="say only what fails")
    settings.add_arguments(parser)
    return parser


def _compress_all(tasks: list[Task], arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from colorquant.errors import UnsupportedImage

    errors = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    exit_codes, records = {0}, []
    with Progress(*columns, console=errors, transient=True, disable=arguments.quiet or not errors.is_terminal) as bar:
        progress = bar.add_task("", total=len(tasks))
        for task in tasks:
            bar.update(progress, description=printable(task.image.name))
            try:
                record = _compress(task, arguments)
            except UnsupportedImage as error:
                errors.print(printable(str(error)))
                exit_codes.add(EXIT_BAD_INPUT)
            except Exception as error:  # Whatever it is (no memory, say), the other images can do without it.
                reason = str(error) if isinstance(error, OSError) else reason_of(error)
                errors.print(printable(f"{task.image}: {reason}"))
                exit_codes.add(EXIT_FAILED)
            else:
                records.append(record)
                if not arguments.quiet:
                    print(_line(task, record), flush=True)
            bar.advance(progress)
    if len(tasks) > 1 and not arguments.quiet:
        print(_total(tasks, records))
    # Of several failures, what may go away: trying again helps some of them.
    return EXIT_FAILED if EXIT_FAILED in exit_codes else max(exit_codes)


def _compress(task: Task, arguments: argparse.Namespace) -> CompressionResult:
    from colorquant.compress import compress_image
    from colorquant.quantizer import PixelSource

    return compress_image(
        str(task.image),
        arguments.quality or arguments.k,
        str(task.output),
        None,
        settings.of_arguments(arguments),
        PixelSource,
        must_reach=True,
    )


def _line(task: Task, record: CompressionResult) -> str:
    quality = "lossless" if record.psnr_db is None else f"PSNR {record.psnr_db:.2f} dB, SSIM {record.ssim:.4f}"
    sizes = f"{byte_size(record.original_bytes)} to {byte_size(record.compressed_bytes)}"
    larger = ", LARGER than the original" if record.compression_ratio < 1 else ""
    return (
        f"{printable(str(task.image))} -> {printable(str(task.output))}: k = {record.k}, {sizes} "
        f"(ratio {record.compression_ratio:.2f}{larger}), {quality}"
    )


def _ignored(files: list[Path]) -> str:
    names = ", ".join(printable(str(file)) for file in files[:_MOST_IGNORED])
    more = f" and {len(files) - _MOST_IGNORED} more" if len(files) > _MOST_IGNORED else ""
    return f"Ignored, no image by name or outside the folder: {names}{more}"


def _total(tasks: list[Task], records: list[CompressionResult]) -> str:
    before, after = (sum(getattr(record, f"{name}_bytes") for record in records) for name in ("original", "compressed"))
    done = f"{len(records)} of {len(tasks)} images compressed"
    return f"{done}: {byte_size(before)} to {byte_size(after)} (ratio {before / after:.2f})" if records else done


if __name__ == "__main__":
    sys.exit(main())
