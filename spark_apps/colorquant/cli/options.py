"""What the applications have in common: exit codes, arguments, reasons of errors, their end. Standard library only.

Exit codes: 0 done; 2 wrong arguments; 65 the image cannot be compressed, trying again is useless; anything else is a
failure worth a retry.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from colorquant.errors import InvalidTarget
from colorquant.jobs import EXIT_FAILED, EXIT_WRONG_ARGUMENTS
from colorquant.limits import DEFAULT_MAX_PIXELS
from colorquant.target import Target

_MAX_PIXELS = "COMPRESSION_MAX_PIXELS"


class Parser(argparse.ArgumentParser):
    """A command line whose errors are one line, and exit code 2."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and exit."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(EXIT_WRONG_ARGUMENTS)


def whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from ``least`` to ``most``."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parse


def quality(text: str) -> Target:
    """The type of an argument that is a quality target."""
    try:
        return Target.parse(text)
    except InvalidTarget as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_max_pixels(parser: argparse.ArgumentParser) -> None:
    """The option ``--max-pixels``, whose default a deployment may set by an environment variable."""
    parser.add_argument(
        "--max-pixels",
        type=whole(1, 10**12),
        # Set to nothing, as Docker Compose does with what .env has not, is not set.
        default=os.environ.get(_MAX_PIXELS, "").strip() or str(DEFAULT_MAX_PIXELS),
        help=f"images with more are refused (default {DEFAULT_MAX_PIXELS}, or {_MAX_PIXELS}); but "
        "compress_image.py reads TIFFs with more part by part",
    )


def reason_of(error: Exception) -> str:
    """What an error says; of Spark's errors, which bring the traces of several processes, what went wrong first."""
    text = str(error).partition("\n\tat ")[0]
    # Spark ends the trace of a worker's Python with its own code for "an error in Python".
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith("SQLSTATE: ")]
    return f"{type(error).__name__}: {said[-1] if said else ''}"


def end_with_parent() -> None:
    """End this process when spark-submit's JVM, its parent, is gone: a killed job must not write any more."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(EXIT_FAILED)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
