"""Work in two halves, in two threads where a pool is given. The result is the same either way."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


def both(pool: Executor | None, work: Callable[..., T], first: tuple, second: tuple) -> tuple[T, T]:
    """Call ``work`` with each of two tuples of arguments: the second in the pool, or, without a pool, afterwards."""
    if pool is None:
        return work(*first), work(*second)
    other = pool.submit(work, *second)
    return work(*first), other.result()


def over_ranges(pool: Executor | None, work: Callable[[int, int], T], size: int) -> list[T]:
    """Call ``work(first, last)`` for the two halves of the range from 0 to ``size``; without a pool, for the whole."""
    if pool is None:
        return [work(0, size)]
    return list(both(pool, work, (0, size // 2), (size // 2, size)))
