"""Ending a process whose parent is gone, from both sides: the child that is started, and this task itself."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

_PR_SET_PDEATHSIG = 1


def parent_death_signal() -> Callable[[], None] | None:
    """A ``preexec_fn`` of Popen: the kernel kills the child as soon as this process ends, in whatever way.

    Linux only; None elsewhere. The child of interest is spark-submit's JVM, which PySpark's driver watches.
    """
    if not sys.platform.startswith("linux"):
        return None
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # The parent ended before the call.
            os._exit(1)

    return in_child


@contextmanager
def supervisor_watch() -> Iterator[None]:
    """Within the block, end this task as soon as its supervisor is gone: nobody would take its result.

    Airflow runs a task in a child process of a supervisor. Where a person runs an operator, for example with
    ``airflow dags test``, the parent is a shell. The end of a shell means nothing to the task, so there is no watch.
    """
    parent = os.getppid()
    try:
        is_airflow = any("airflow" in part for part in psutil.Process(parent).cmdline())
    except psutil.Error:
        is_airflow = False
    block_ended = threading.Event()

    def watch() -> None:
        while not block_ended.wait(1.0):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)  # Airflow then calls on_kill.
                time.sleep(8.0)
                os.kill(os.getpid(), signal.SIGKILL)

    if is_airflow:
        threading.Thread(target=watch, daemon=True, name="supervisor-watch").start()
    try:
        yield
    finally:
        block_ended.set()
