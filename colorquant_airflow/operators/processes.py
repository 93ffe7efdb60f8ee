"""Ending processes: a list of them, or one with all that it started."""

from collections.abc import Iterable

import psutil

_TIMEOUT = 10.0


def end(processes: Iterable[psutil.Process]) -> None:
    """Kill them, and wait until they are gone. Who is gone already is left alone, also where another has its number."""
    ending = list(processes)
    for process in ending:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(ending, timeout=_TIMEOUT)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; PySpark's worker daemon has a process group of its own, so: by parentage."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
