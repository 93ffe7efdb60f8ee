"""What the Spark applications have in common: how they end, and the reason that they leave. Standard library only.

Exit codes: 0 done; 2 wrong arguments; 65 the image cannot be compressed, a retry is useless; after any other exit code
a retry may help.
"""

import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator

from colorquant.errors import UnsupportedImage
from colorquant.jobs import EXIT_BAD_INPUT, EXIT_FAILED, JobFailure
from colorquant.spark.private import error_of_worker, is_started_by_spark_submit
from colorquant.storage import is_refusal

_FRAME = re.compile(r"[\w.$/@<>]+\([^()]*\)")


def end_with_parent() -> None:
    """End this process when spark-submit's JVM, its parent, is gone: a killed job must not write any more."""
    if not is_started_by_spark_submit():
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(EXIT_FAILED)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def end_after(seconds: int, failure: JobFailure, path: str | None) -> None:
    """End this process, with the exit code of a failure that it leaves, if it still runs after so many seconds."""

    def end() -> None:
        fail("", failure, path)
        os._exit(failure.exit_code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def refusal_of(error: Exception) -> str | None:
    """Why an image cannot be compressed, whether this process or a worker found it; None for any other error."""
    if isinstance(error, UnsupportedImage):
        return str(error)
    name, _, reason = (error_of_worker(error) or "").partition(": ")
    # A worker's exception arrives as text, in which its class has its dotted name.
    return reason if name in {f"{each.__module__}.{each.__qualname__}" for each in _tree(UnsupportedImage)} else None


def failure_of(error: Exception) -> JobFailure:
    """Why an application fails that an error ends. The trace of an error that no image has caused is printed."""
    if refusal := refusal_of(error):
        return JobFailure.of(EXIT_BAD_INPUT, refusal)
    traceback.print_exception(error)
    return JobFailure.of(EXIT_FAILED, reason_of(error), lasting=is_refusal(error))


def _tree(root: type[UnsupportedImage]) -> Iterator[type[UnsupportedImage]]:
    yield root
    for subclass in root.__subclasses__():
        yield from _tree(subclass)


def reason_of(error: Exception) -> str:
    """What an error says, in one line. Of Spark's errors, which hold the traces of several processes, the cause."""
    lines = [line.strip() for line in str(error).partition("\n\tat ")[0].splitlines()]
    # Spark says of a stopped context where it was created, in frames of the JVM's stack.
    said = [line for line in lines if line and not _FRAME.fullmatch(line)]
    # py4j's first line names the method that was called, the second one begins with a colon and the JVM's exception.
    of_jvm = [line.removeprefix(": ") for line in said if line.startswith(": ")]
    return f"{type(error).__name__}: {error_of_worker(error) or next(iter(of_jvm or said[-1:]), '')}"


def fail(title: str, failure: JobFailure, path: str | None) -> int:
    """Print why an application fails, leave the record for its caller, and return the exit code."""
    print(f"{title}: {failure.reason}", file=sys.stderr)
    if path is not None:
        failure.leave(path)
    return failure.exit_code
