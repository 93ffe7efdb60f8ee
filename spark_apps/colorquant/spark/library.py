"""A library of images on Spark: each task compresses a batch of images, and returns only counts.

Workers write the results to the output folder themselves. The driver holds the plan, but no image; of a very large
library not even the plan, of which each task reads what it needs.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pyspark import AccumulatorParam, SparkContext, TaskContext

from colorquant.arithmetic import ceil_div
from colorquant.compress import Counts, ImageJobs, compress_batch
from colorquant.limits import Limits
from colorquant.storage import access, adopt

T = TypeVar("T")
B = TypeVar("B")

_SLICES_PER_CORE = 16
_MIN_NAMES = 8
_WATCH_SECONDS = 1.0


def map_on(context: SparkContext) -> Callable[[Callable[[str], T], list[str]], list[T]]:
    """A function like ``map`` over a list of names, in order, whose calls run on the workers."""

    def run(function: Callable[[str], T], names: list[str]) -> list[T]:
        slices = min(ceil_div(len(names), _MIN_NAMES), context.defaultParallelism * _SLICES_PER_CORE)
        variables = access()

        def call_with_access(name: str) -> T:
            adopt(variables)
            return function(name)

        return context.parallelize(names, slices).map(call_with_access).collect()

    return run


def compress_batches(
    context: SparkContext,
    batches: Sequence[B],
    force: bool,
    limits: Limits,
    watch: Callable[[Counts], None],
    images_of: Callable[[B], Sequence[ImageJobs]],
) -> Counts:
    """Compress every batch in a task of its own, in this order; return the counts of all.

    Parameters
    ----------
    context : SparkContext
    batches : sequence of batches
        From ``make_batches`` or ``make_stretches``.
    force : bool
        Whether to compress again where there is a valid result.
    limits : Limits
        An image beyond one of them is refused.
    watch : callable
        Called about once a second with the counts so far.
    images_of : callable
        Tells a worker the images of a batch.
    """
    counts = context.accumulator(Counts(), _CountsParam())
    spark = {
        "application_id": context.applicationId,
        "master": context.master,
        "version": context.version,
        "partitions": 1,
        "jobs": 1,
    }

    # In the closure, not in a setting of Spark: settings are shown on pages and in logs.
    variables = access()

    def compress(partition: Iterable[B]) -> None:
        adopt(variables)
        task = TaskContext.get()
        for batch in partition:
            counts.add(compress_batch(images_of(batch), spark, force, task.attemptNumber() if task else 0, limits))

    with _repeated(lambda: watch(counts.value)):
        context.parallelize(batches, len(batches)).foreachPartition(compress)
    return counts.value


class _CountsParam(AccumulatorParam[Counts]):
    """Adds the counts of each task once, when it has succeeded."""

    def zero(self, value: Counts) -> Counts:
        return Counts()

    def addInPlace(self, value1: Counts, value2: Counts) -> Counts:
        return value1 + value2


@contextmanager
def _repeated(action: Callable[[], None]) -> Iterator[None]:
    """Within the block, call ``action`` every second in a thread."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(_WATCH_SECONDS):
            action()

    thread = threading.Thread(target=repeat, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
