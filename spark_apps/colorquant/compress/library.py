"""A library of images in one application: one image at all its k in one process, and batches of images by size.

Spark deals the batches out (``spark_corpus``); nothing here knows it.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import cv2
import numpy as np

from colorquant.compress.pipeline import Compressed, compress_opened, open_image
from colorquant.compress.stopwatch import Stopwatch
from colorquant.errors import InvalidRecord, UnsupportedImage
from colorquant.jobs import EXIT_BAD_INPUT, EXIT_FAILED, Job, JobFailure
from colorquant.limits import DEFAULT_MAX_PIXELS
from colorquant.quantizer import PixelSource
from colorquant.storage import location, remove

#: The jobs of one image, at all the k that it still needs.
ImageJobs = tuple[Job, ...]

# So many batches for each core: the last ones are small, and no core is idle long at the end.
_BATCHES_FOR_EACH_CORE = 50
_MOST_IMAGES = 100
# Threads of a worker that write results, and how many results may wait for them.
_WRITERS = 2
_MOST_UNWRITTEN = 8
_DIED = "The worker process died while it compressed this image: give it more memory."


@dataclass(frozen=True)
class Counts:
    """What has been done: images looked at, the bytes of their files, and jobs by how they ended."""

    images: int = 0
    image_bytes: int = 0
    done: int = 0
    failed: int = 0
    retryable: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self.as_tuple(), other.as_tuple(), strict=True)))

    def as_tuple(self) -> tuple[int, ...]:
        """The numbers, in the order of the fields."""
        return (self.images, self.image_bytes, self.done, self.failed, self.retryable)


def make_batches(jobs: Sequence[Job], cores: int) -> list[list[ImageJobs]]:
    """Group jobs by image, the largest file first, and cut that into batches of about the same number of bytes.

    A large image is a batch of its own, and starts early; what is left for the end is small. So cores finish together.
    """
    images = [tuple(group) for _, group in groupby(jobs, key=lambda job: job.name)]
    images.sort(key=lambda group: -group[0].image_bytes)
    budget = sum(group[0].image_bytes for group in images) / (cores * _BATCHES_FOR_EACH_CORE)
    batches: list[list[ImageJobs]] = []
    room = 0.0
    for group in images:
        size = group[0].image_bytes
        if not batches or size > room or len(batches[-1]) == _MOST_IMAGES:
            batches.append([])
            room = budget
        batches[-1].append(group)
        room -= size
    return batches


def compress_batch(
    batch: Sequence[ImageJobs],
    spark: dict[str, Any],
    force: bool,
    attempt: int,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Counts:
    """Compress each image of a batch at all its k. No image raises: what goes wrong is a ``JobFailure``.

    Parameters
    ----------
    spark : what the result records say of Spark.
    force : do jobs whose result is there too.
    attempt : 0, or more where this is a try again after the process of an earlier one died. Then each image gets its
        failure before it is begun, and loses it when it is done: one that takes the process down is not tried twice.
    max_pixels : images with more are refused before they are decoded.
    """
    # One task a core: threads of their own would only disturb each other.
    cv2.setNumThreads(1)
    counts = Counts()
    # While results reach the disk or the store, which takes no CPU time, the next image is compressed.
    with ThreadPoolExecutor(_WRITERS) as writers:
        written: list[Future[Counts]] = []
        for jobs in batch:
            known = Counts(images=1, image_bytes=jobs[0].image_bytes)
            if attempt > 0:
                jobs, ended = _not_ended(jobs, force)
                known += ended
                for job in jobs:
                    JobFailure.of(EXIT_FAILED, _DIED, job.image, job.k).leave(job.failure)
            counts += known
            written += _compress_image(jobs, spark, writers, max_pixels) if jobs else []
            # After a process has died, an image's failure goes when it is done: before the next one is begun.
            while len(written) > (0 if attempt > 0 else _MOST_UNWRITTEN):
                counts += written.pop(0).result()
        return sum((one.result() for one in written), counts)


def _compress_image(
    jobs: Sequence[Job], spark: dict[str, Any], writers: Executor, max_pixels: int
) -> list[Future[Counts]]:
    """Compress an image at each k; what becomes of each job is known when its result is written."""
    first, clock = jobs[0], Stopwatch()
    try:
        opened = open_image(first.image, lambda pixels: _Source(pixels, spark), clock, first.image_sha256, max_pixels)
    except Exception as error:
        return [writers.submit(_failed, job, error) for job in jobs]
    written = []
    for job in jobs:
        try:
            compressed = compress_opened(opened, job.palette, job.output, job.settings, clock)
        except Exception as error:
            written.append(writers.submit(_failed, job, error))
        else:
            written.append(writers.submit(_write, job, compressed))
        clock = Stopwatch()
    return written


def _write(job: Job, compressed: Compressed) -> Counts:
    try:
        compressed.commit(job.result)
    except Exception as error:
        return _failed(job, error)
    remove(job.failure)
    return Counts(done=1)


class _Source(PixelSource):
    """The whole image in this process, on one thread."""

    def __init__(self, pixels: np.ndarray, spark: dict[str, Any]) -> None:
        super().__init__(pixels)
        self._spark = spark

    def describe(self) -> dict[str, Any]:
        """What the result record says of Spark."""
        return self._spark


def _not_ended(jobs: ImageJobs, force: bool) -> tuple[ImageJobs, Counts]:
    """The jobs that an earlier attempt neither did nor gave up, and the counts of the others."""
    counts, left = Counts(), []
    for job in jobs:
        if location(job.failure).exists():
            counts += Counts(failed=1, retryable=int(_may_go_away(job)))
        elif not force and job.is_done():
            counts += Counts(done=1)
        else:
            left.append(job)
    return tuple(left), counts


def _may_go_away(job: Job) -> bool:
    try:
        return JobFailure.read(job.failure).retryable
    except InvalidRecord:
        return True


def _failed(job: Job, error: Exception) -> Counts:
    if isinstance(error, UnsupportedImage):
        failure = JobFailure.of(EXIT_BAD_INPUT, str(error), job.image, job.k)
    else:
        failure = JobFailure.of(EXIT_FAILED, f"{type(error).__name__}: {error}", job.image, job.k)
    failure.leave(job.failure)
    return Counts(failed=1, retryable=int(failure.retryable))
