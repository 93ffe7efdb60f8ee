"""Processes: ending those of a list, or one with all its descendants; and how many files they may open."""

import resource
from collections.abc import Iterable

import psutil

_TIMEOUT = 10.0
# Spark's JVM opens each of its some 300 jars. Shells of macOS, and some services, allow 256 files.
_OPEN_FILES = 4096


def end(processes: Iterable[psutil.Process]) -> None:
    """Kill processes, and wait up to 10 s until they are gone.

    A process that has ended already is skipped, even if its id now belongs to another one.
    """
    ending = list(processes)
    for process in ending:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(ending, timeout=_TIMEOUT)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants, the process first; empty if there is none with this id.

    They are found by parentage, not by process group: PySpark's worker daemon has a group of its own.
    """
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def allow_open_files() -> None:
    """Let this process, and those that it starts, open the files that Spark needs, as far as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
