"""Standard input as an image and standard output as its output file. Standard library only."""

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from colorquant.cli.inputs import Task
from colorquant.errors import InvalidInputs


def check_streams(task: Task) -> None:
    """Raise InvalidInputs where the task's standard stream is closed or a terminal, or its output is its input."""
    if task.image is None and (sys.stdin is None or sys.stdin.isatty()):
        state = "closed" if sys.stdin is None else "a terminal"
        raise InvalidInputs(f"Standard input is {state}: pipe an image file into it (colorquant - < photo.jpg).")
    if task.output is None and (sys.stdout is None or sys.stdout.isatty()):
        state = "closed" if sys.stdout is None else "a terminal"
        raise InvalidInputs(f"Standard output is {state}: redirect it to a file (> small.png).")
    if task.output is None and _are_one_file(task.image):
        raise InvalidInputs(f"Standard output is the same file as {task.title}: redirect it to another file.")


def _are_one_file(image: Path | None) -> bool:
    with contextlib.suppress(OSError):  # An image that cannot be read is refused when it is decoded.
        read, written = os.stat(sys.stdin.fileno() if image is None else image), os.fstat(sys.stdout.fileno())
        # A socket may well be both.
        return stat.S_ISREG(read.st_mode) and os.path.samestat(read, written)
    return False


def standard_input() -> BinaryIO:
    """The bytes of standard input."""
    return sys.stdin.buffer


def write_to_standard_output(content: bytes) -> None:
    """Write all bytes, without a buffer that could fail again at the end of the process. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


def discard_output(errors_too: bool) -> None:
    """Send what is still buffered for standard output, and for standard error too, nowhere.

    Otherwise Python would try to write it once more when the process ends, and report the second failure.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr) if errors_too else (sys.stdout,):
        if stream is not None:
            os.dup2(null, stream.fileno())
