"""The memory that a decoder may take, which follows from the number of pixels that a file's header promises."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from colorquant.errors import Undecodable
from colorquant.limits import DECODING_BYTES_PER_PIXEL

# What does not depend on the image: tables of decoders, and the stacks of their threads, one for each core.
_BASE = 2**28
_PER_CORE = 2**24


@contextmanager
def bounded_memory(pixels: int) -> Iterator[None]:
    """Within the block, refuse this process more memory than it has and than an image of so many pixels needs.

    Without pixels, it is what reading the header of a file needs.

    A file may promise a small image and make its decoder allocate a large one, or crash at the attempt. Linux only:
    elsewhere, and where the process has a tighter limit, nothing changes. The limit is that of the whole process, so
    no other image may be decoded at the same time in another thread.

    Raises
    ------
    Undecodable
        The block ran out of memory.
    """
    used = _data_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = (used or 0) + _allowance(pixels)
    if used is None or resource.RLIM_INFINITY != soft <= wanted or resource.RLIM_INFINITY != hard < wanted:
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    except MemoryError:
        what = f"an image of {pixels:,} pixels" if pixels else "a header"
        raise Undecodable(f"needs more memory than {what} may; save it again.") from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def needed_bytes(pixels: int, file_bytes: int) -> int:
    """What this process may come to have while it decodes a file of so many bytes and pixels, at most."""
    return (_data_bytes() or 0) + _BASE + file_bytes + _allowance(pixels)


def _allowance(pixels: int) -> int:
    return _BASE + _PER_CORE * (os.cpu_count() or 1) + DECODING_BYTES_PER_PIXEL * pixels


def _data_bytes() -> int | None:
    """The bytes that count for RLIMIT_DATA: private memory that can be written. None where the system does not say."""
    try:
        return int(os.pread(_statm(os.getpid()), 200, 0).split()[5]) * resource.getpagesize()
    except (OSError, IndexError):
        return None


@lru_cache(maxsize=1)
def _statm(process: int) -> int:
    """A descriptor that stays open: the process that decodes cannot open one when it needs it."""
    return os.open(f"/proc/{process}/statm", os.O_RDONLY | os.O_CLOEXEC)
