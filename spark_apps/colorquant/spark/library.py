"""How a library of images is spread over Spark: each task does some images, and only numbers come back.

Results go from the workers to where the output is; the driver holds the plan, and nothing of the images.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pyspark import AccumulatorParam, SparkContext, TaskContext

from colorquant.compress import Counts, ImageJobs, compress_batch
from colorquant.storage import access, adopt

T = TypeVar("T")

_SLICES_FOR_EACH_CORE = 16
_LEAST_NAMES = 8
_LOOK_SECONDS = 1.0


def map_on(context: SparkContext) -> Callable[[Callable[[str], T], list[str]], list[T]]:
    """Like ``map`` over names, in order, on the workers."""

    def look(function: Callable[[str], T], names: list[str]) -> list[T]:
        slices = min(-(-len(names) // _LEAST_NAMES), context.defaultParallelism * _SLICES_FOR_EACH_CORE)
        variables = access()

        def look_as_the_driver(name: str) -> T:
            adopt(variables)
            return function(name)

        return context.parallelize(names, slices).map(look_as_the_driver).collect()

    return look


def compress_batches(
    context: SparkContext,
    batches: Sequence[Sequence[ImageJobs]],
    force: bool,
    max_pixels: int,
    watch: Callable[[Counts], None],
) -> Counts:
    """Compress every batch, each in a task of its own, in this order; return what became of them.

    Parameters
    ----------
    watch : called about once a second with what is done so far.
    """
    counts = context.accumulator(Counts(), _CountsParam())
    spark = {
        "application_id": context.applicationId,
        "master": context.master,
        "version": context.version,
        "partitions": 1,
        "jobs": 1,
    }

    # By the closure, not as a setting of Spark: settings are shown on pages and in logs.
    variables = access()

    def compress(partition: Iterable[Sequence[ImageJobs]]) -> None:
        adopt(variables)
        task = TaskContext.get()
        for batch in partition:
            counts.add(compress_batch(batch, spark, force, task.attemptNumber() if task else 0, max_pixels))

    with _repeated(lambda: watch(counts.value)):
        context.parallelize(batches, len(batches)).foreachPartition(compress)
    return counts.value


class _CountsParam(AccumulatorParam[Counts]):
    """Adds what tasks have done, each once, when it has ended well."""

    def zero(self, value: Counts) -> Counts:
        return Counts()

    def addInPlace(self, value1: Counts, value2: Counts) -> Counts:
        return value1 + value2


@contextmanager
def _repeated(action: Callable[[], None]) -> Iterator[None]:
    """Within the block, do something every second in a thread."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(_LOOK_SECONDS):
            action()

    thread = threading.Thread(target=repeat, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
