"""Compress images without Airflow and Spark. The output files have the bytes that a Spark job writes.

    colorquant cat.jpg --k 16
    colorquant photos --quality 0.95 --output small
    colorquant - --k 16 < cat.jpg > small.png
    colorquant prune output              old results of runs; see colorquant prune --help

An output that is not smaller than its original is not written, unless you pass --keep-larger. An image or an --output
called - is standard input or output; a file of that name is ./-, and one called prune is ./prune.

Exit codes: 0 all images were compressed; 1 an image failed for a reason that may go away, or a folder cannot be read; 2
wrong arguments, nothing was compressed; 65 an image cannot be compressed; 98 an output was not smaller than its
original; 130 stopped by Ctrl-C; 141 the reader of the output has closed it. Of several images, 1 comes before 65, and
65 before 98. A failed image does not stop the others, and finished outputs are kept.
"""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from colorquant import __version__, settings
from colorquant.cli.inputs import DEFAULT_OUTPUT, STANDARD_STREAM, Task, tasks_of, with_weights
from colorquant.cli.options import Parser, palette_size, quality, read_settings, whole
from colorquant.cli.palettes import common_palettes, require_earlier
from colorquant.cli.standard_streams import (
    check_streams,
    discard_output,
    standard_input,
    write_to_standard_output,
)
from colorquant.errors import InvalidInputs, InvalidSetting, UnsupportedImage
from colorquant.jobs import EXIT_BAD_INPUT, EXIT_FAILED, CompressionResult, SharedPalette, no_weights
from colorquant.light_imports import lighten
from colorquant.limits import MAX_COLORS, Limits
from colorquant.settings import Settings
from colorquant.text import byte_size, printable, psnr_text

if TYPE_CHECKING:
    from colorquant.compress import Compressed

#: As pngquant's --skip-if-larger, so that scripts for the one work with the other.
EXIT_NOT_SMALLER = 98
EXIT_INTERRUPTED = 128 + signal.SIGINT
#: As a shell reports a process that a closed pipe ended.
EXIT_CLOSED_PIPE = 128 + signal.SIGPIPE
# The exit code of several images is the first of these that one of them has. A retry helps after a failure, and other
# settings after an output that is too large.
_PRECEDENCE = (EXIT_FAILED, EXIT_BAD_INPUT, EXIT_NOT_SMALLER)
_NAME = "colorquant"
# How many skipped files are named.
_MAX_NAMED = 5


def main(argv: list[str] | None = None) -> int:
    """Compress the images on the command line; return the exit code.

    Parameters
    ----------
    argv : list of str, optional
        The arguments, by default those of this process.
    """
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["prune"]:
        from colorquant.cli import prune

        return prune.main(given[1:])
    parser = _parser()
    arguments = parser.parse_args(argv)
    arguments.settings = read_settings(parser, arguments)
    searched = arguments.quality is not None
    arguments.k = palette_size(parser, arguments.k, searched, arguments.settings, "--k, --quality")
    if arguments.settings.shared and STANDARD_STREAM in (*arguments.images, arguments.output):
        parser.error("argument --palette: a palette of several images takes files and an output folder")
    if arguments.settings.weights and STANDARD_STREAM in arguments.images:
        parser.error("argument --weights: standard input has no name to look for there; give a file")
    try:
        found = tasks_of(arguments.images, arguments.output, f".{arguments.format}", arguments.force)
        if arguments.settings.weights:
            found = with_weights(found, arguments.settings.weights)
        check_streams(found.tasks[0])
        limits = Limits.of_environment()
        require_earlier(arguments.settings, arguments.k, arguments.output)
    except (InvalidInputs, InvalidSetting) as error:
        parser.error(str(error))
    lighten()
    # Pillow's warnings about odd EXIF data are for programmers; where it matters, the image is refused.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        if found.skipped and not arguments.quiet:
            _tell(_skipped_line(found.skipped))
        palettes = common_palettes(found.tasks, arguments.settings, arguments.k, arguments.output, limits)
        exit_code = _compress_all(found.tasks, arguments, limits, palettes)
        codes = {exit_code}
        for path, reason in found.unreadable.items():
            _tell(f"{path} is not read: {reason}")
            codes.add(EXIT_BAD_INPUT if os.path.isfile(path) else EXIT_FAILED)
        return next((code for code in _PRECEDENCE if code in codes), exit_code)
    except KeyboardInterrupt:
        _tell("Stopped. Finished outputs are kept.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        discard_output(errors_too=True)
        return EXIT_CLOSED_PIPE
    except OSError as error:  # Not of an image or its output file: these are reported where they occur.
        discard_output(errors_too=False)
        _tell(f"standard output cannot be written: {error.strerror}")
        return EXIT_FAILED


def _parser() -> Parser:
    # One name for both ways to start it: by -m, argparse would take the path of __main__.py.
    parser = Parser(__doc__, prog=_NAME)
    parser.add_argument("--version", action="version", version=f"{_NAME} {__version__}")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files and folders of images; - alone for standard input"
    )
    palette = parser.add_mutually_exclusive_group()
    palette.add_argument("--k", type=whole(1, MAX_COLORS), help=f"palette size, 1 to {MAX_COLORS}")
    palette.add_argument(
        "--quality",
        type=quality,
        help="the smallest file that reaches a quality: 0.95 (an SSIM), psnr=38 or ssimulacra2=70",
    )
    parser.add_argument("--fewest-colors", action="store_true", help="with --quality: the fewest colors that reach it")
    parser.add_argument(
        "--output",
        default=DEFAULT_OUTPUT,
        help=f"folder of the output files (default: {DEFAULT_OUTPUT}); - for standard output, which takes one image",
    )
    parser.add_argument("--force", action="store_true", help="replace existing output files")
    parser.add_argument(
        "--keep-larger", action="store_true", help="write an output even if it is not smaller than its original"
    )
    parser.add_argument("--quiet", action="store_true", help="print only which images have no output, and why")
    settings.add_arguments(parser)
    return parser


def _compress_all(
    tasks: list[Task], arguments: argparse.Namespace, limits: Limits, palettes: Mapping[str, SharedPalette]
) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    exit_codes, records = [], []
    with Progress(
        *columns,
        console=errors,
        transient=True,
        # Lines above the bar go through its console, standard error. Those of a file or a pipe must not.
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        disable=arguments.quiet or not errors.is_terminal,
    ) as bar:
        progress = bar.add_task("", total=len(tasks))
        for task in tasks:
            bar.update(progress, description=printable(task.image.name if task.image else task.title))
            try:
                compressed = _compress(task, arguments, limits, palettes.get(task.folder(arguments.settings)))
                record = compressed.record
                smaller = record.compressed_bytes < record.original_bytes
                written = smaller or arguments.keep_larger
                if written and task.output is not None:
                    compressed.commit(None)
            except UnsupportedImage as error:
                _tell(str(error))
                exit_codes.append(EXIT_BAD_INPUT)
            except Exception as error:  # Too little memory, say: other images may need less.
                reason = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
                _tell(f"{task.title}: {reason}")
                exit_codes.append(EXIT_FAILED)
            else:
                if not written:
                    _tell(_not_smaller_line(task, record))
                    exit_codes.append(EXIT_NOT_SMALLER)
                else:
                    # Outside of the try: after an error of standard output, no other image can be reported.
                    if task.output is None:
                        write_to_standard_output(compressed.encoded)
                    records.append(record)
                    if not arguments.quiet and task.output is None:
                        _tell(_line(task, record))
                    elif not arguments.quiet:
                        print(_line(task, record), flush=True)
            bar.advance(progress)
    if len(tasks) > 1 and not arguments.quiet:
        print(_total(tasks, records, exit_codes.count(EXIT_NOT_SMALLER)), flush=True)
    return next((code for code in _PRECEDENCE if code in exit_codes), 0)


def _compress(task: Task, arguments: argparse.Namespace, limits: Limits, shared: SharedPalette | None) -> "Compressed":
    from colorquant.compress import Stopwatch, compress_opened, open_image
    from colorquant.quantizer import PixelSource

    clock = Stopwatch()
    stream = standard_input() if task.image is None else None
    opened = open_image(task.title, PixelSource, clock, limits=limits, stream=stream, weights=task.weights)
    chosen: Settings = arguments.settings
    if chosen.weights and (notice := opened.notice if task.weights else no_weights(chosen.weights)):
        _tell(f"{task.title}: {notice}")
    return compress_opened(
        opened,
        arguments.quality or arguments.k,
        _title_of_output(task),
        chosen.fixed() if arguments.fewest_colors else chosen,
        clock,
        must_reach=True,
        shared=shared,
    )


def _tell(message: str) -> None:
    """Print a message that is not a result."""
    print(f"{_NAME}: {printable(message)}", file=sys.stderr, flush=True)


def _title_of_output(task: Task) -> str:
    return "standard output" if task.output is None else str(task.output)


def _line(task: Task, record: CompressionResult) -> str:
    sizes = f"{byte_size(record.original_bytes)} to {byte_size(record.compressed_bytes)}"
    larger = ", LARGER than the original" if record.compression_ratio < 1 else ""
    return (
        f"{printable(task.title)} -> {printable(record.output)}: k = {record.k}, {sizes} "
        f"(ratio {record.compression_ratio:.2f}{larger}), {psnr_text(record.psnr_db)}, SSIM {record.ssim:.4f}"
        f"{_compared(record)}"
    )


def _not_smaller_line(task: Task, record: CompressionResult) -> str:
    return (
        f"{task.title}: not written, since {record.compressed_bytes:,} bytes (k = {record.k}) are not fewer than the "
        f"original's {record.original_bytes:,}; choose fewer colors or a lower quality, or pass --keep-larger."
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
    return f"Skipped files without an image extension or outside the folder, and links to folders: {names}{more}"


def _total(tasks: list[Task], records: list[CompressionResult], not_smaller: int) -> str:
    before, after = (sum(getattr(record, f"{name}_bytes") for record in records) for name in ("original", "compressed"))
    done = f"{len(records)} of {len(tasks)} images compressed"
    if not_smaller:
        done += f", {not_smaller} not written since the output is not smaller"
    return f"{done}: {byte_size(before)} to {byte_size(after)} (ratio {before / after:.2f})" if records else done


if __name__ == "__main__":
    sys.exit(main())
