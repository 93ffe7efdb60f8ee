"""Compress images without Airflow and Spark. The output files have the bytes that a Spark job writes.

    colorquant cat.jpg --k 16
    colorquant photos --quality 0.95 --output small

Exit codes: 0 all images were compressed; 1 an image failed for a reason that may go away; 2 wrong arguments, nothing
was compressed; 65 an image cannot be compressed; 130 stopped by Ctrl-C. A failed image does not stop the others, and
finished outputs are kept.
"""

import argparse
import os
import signal
import sys
import warnings
from pathlib import Path

from colorquant import __version__, settings
from colorquant.cli.inputs import Task, tasks_of
from colorquant.cli.options import quality, whole
from colorquant.errors import InvalidInputs
from colorquant.jobs import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_WRONG_ARGUMENTS, CompressionResult
from colorquant.light_imports import lighten
from colorquant.limits import MAX_COLORS
from colorquant.text import byte_size, printable, psnr_text

EXIT_INTERRUPTED = 128 + signal.SIGINT
# How many skipped files are named.
_MAX_NAMED = 5


def main(argv: list[str] | None = None) -> int:
    """Compress the images on the command line; return the exit code.

    Parameters
    ----------
    argv : list of str, optional
        The arguments, by default those of this process.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        tasks, skipped = tasks_of(arguments.images, arguments.output, f".{arguments.format}", arguments.force)
    except InvalidInputs as error:
        parser.exit(EXIT_WRONG_ARGUMENTS, f"{parser.prog}: {printable(str(error))}\n")
    if skipped and not arguments.quiet:
        print(_skipped_line(skipped), file=sys.stderr)
    lighten()
    # Pillow's warnings about odd EXIF data are for programmers; where it matters, the image is refused.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        return _compress_all(tasks, arguments)
    except KeyboardInterrupt:
        print("Stopped. Finished outputs are kept.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        # The console script is called colorquant; run by -m, the first argument is the path of __main__.py.
        prog="python -m colorquant" if os.path.basename(sys.argv[0]) == "__main__.py" else "colorquant",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"colorquant {__version__}")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files and folders of images")
    palette = parser.add_mutually_exclusive_group(required=True)
    palette.add_argument("--k", type=whole(1, MAX_COLORS), help=f"palette size, 1 to {MAX_COLORS}")
    palette.add_argument(
        "--quality",
        type=quality,
        help="the smallest palette that reaches a quality: 0.95 (an SSIM), psnr=38 or ssimulacra2=70",
    )
    parser.add_argument("--output", default="compressed", help="folder of the output files (default: compressed)")
    parser.add_argument("--force", action="store_true", help="replace existing output files")
    parser.add_argument("--quiet", action="store_true", help="print failures only")
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
            except Exception as error:  # Too little memory, say: other images may need less.
                reason = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
                errors.print(printable(f"{task.image}: {reason}"))
                exit_codes.add(EXIT_FAILED)
            else:
                records.append(record)
                if not arguments.quiet:
                    print(_line(task, record), flush=True)
            bar.advance(progress)
    if len(tasks) > 1 and not arguments.quiet:
        print(_total(tasks, records))
    # After several failures of both kinds: a retry helps some of the images.
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
    sizes = f"{byte_size(record.original_bytes)} to {byte_size(record.compressed_bytes)}"
    larger = ", LARGER than the original" if record.compression_ratio < 1 else ""
    return (
        f"{printable(str(task.image))} -> {printable(str(task.output))}: k = {record.k}, {sizes} "
        f"(ratio {record.compression_ratio:.2f}{larger}), {psnr_text(record.psnr_db)}, SSIM {record.ssim:.4f}"
        f"{_compared(record)}"
    )


def _compared(record: CompressionResult) -> str:
    """What other formats need for the SSIMULACRA2 of the output, where that was measured."""
    if not record.comparison:
        return ""
    needed = {settings.COMPARED_FORMATS[name]: needed for name, needed in record.comparison.items()}
    texts = [f"{title} {byte_size(found.bytes)}" if found else f"no {title}" for title, found in needed.items()]
    return f"; at its SSIMULACRA2 of {record.ssimulacra2:.1f}: {', '.join(texts)}"


def _skipped_line(files: list[Path]) -> str:
    names = ", ".join(printable(str(file)) for file in files[:_MAX_NAMED])
    more = f" and {len(files) - _MAX_NAMED} more" if len(files) > _MAX_NAMED else ""
    return f"Skipped files without an image extension, or outside the folder: {names}{more}"


def _total(tasks: list[Task], records: list[CompressionResult]) -> str:
    before, after = (sum(getattr(record, f"{name}_bytes") for record in records) for name in ("original", "compressed"))
    done = f"{len(records)} of {len(tasks)} images compressed"
    return f"{done}: {byte_size(before)} to {byte_size(after)} (ratio {before / after:.2f})" if records else done


if __name__ == "__main__":
    sys.exit(main())
