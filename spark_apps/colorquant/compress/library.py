"""A library of images: batches of about the same size, and each image of a batch at all its palette sizes.

Nothing here knows Spark, which runs the batches (``colorquant.spark``).
"""

import math
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import PurePath
from typing import Any

import cv2

from colorquant.compress.pipeline import Compressed, compress_opened, open_image
from colorquant.compress.stopwatch import Stopwatch
from colorquant.errors import DecoderEnded, InvalidRecord, UnsupportedImage
from colorquant.jobs import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    Job,
    JobFailure,
    PlannedJobs,
    SharedPalette,
    Stretch,
    note_kill,
    refusal_for_kills,
    too_slow_for,
)
from colorquant.limits import DEFAULT_LIMITS, Limits
from colorquant.pixels import Pixels
from colorquant.quantizer import PixelSource
from colorquant.storage import is_file, is_refusal, remove

#: The jobs of one image, one for each palette size that has no result yet.
ImageJobs = tuple[Job, ...]

# Many batches for each core: the last ones are small, so that no core is idle for long at the end.
_BATCHES_PER_CORE = 50
_MAX_IMAGES = 100
# Threads of a worker that write results, and how many results may wait for them.
_WRITERS = 2
_MAX_UNWRITTEN = 8
_DIED = "The worker process died while it compressed this image: give it more memory."


@dataclass(frozen=True)
class Counts:
    """What has been done: images tried, the bytes of their files, and jobs done and failed.

    ``retryable`` are those of the failed jobs for which a retry may help.
    """

    images: int = 0
    image_bytes: int = 0
    done: int = 0
    failed: int = 0
    retryable: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self.as_tuple(), other.as_tuple(), strict=True)))

    def as_tuple(self) -> tuple[int, ...]:
        """The numbers in the order of the fields."""
        return (self.images, self.image_bytes, self.done, self.failed, self.retryable)


def make_batches(jobs: Sequence[Job], cores: int) -> list[list[ImageJobs]]:
    """Group jobs by image, the largest file first, and cut the list into batches of about the same number of bytes.

    A large image is a batch of its own and starts early, and the last batches are small, so cores finish together.
    Jobs of one image must follow one another.
    """
    images = [tuple(group) for _, group in groupby(jobs, key=lambda job: job.name)]
    images.sort(key=lambda group: -group[0].image_bytes)
    budget = sum(group[0].image_bytes for group in images) / (cores * _BATCHES_PER_CORE)
    batches: list[list[ImageJobs]] = []
    bytes_left = 0.0
    for group in images:
        size = group[0].image_bytes
        if not batches or size > bytes_left or len(batches[-1]) == _MAX_IMAGES:
            batches.append([])
            bytes_left = budget
        batches[-1].append(group)
        bytes_left -= size
    return batches


def make_stretches(jobs: PlannedJobs, cores: int) -> list[Stretch]:
    """The pending images of a very large library in batches, the one with the most bytes first.

    As ``make_batches``, but images of a batch follow one another in the plan, so a worker finds them in one file.
    """
    total = sum(stretch.image_bytes for stretch in jobs.stretches(_MAX_IMAGES, math.inf))
    stretches = jobs.stretches(_MAX_IMAGES, total / (cores * _BATCHES_PER_CORE))
    return sorted(stretches, key=lambda stretch: -stretch.image_bytes)


def compress_batch(
    batch: Sequence[ImageJobs],
    spark: dict[str, Any],
    force: bool,
    attempt: int,
    limits: Limits = DEFAULT_LIMITS,
) -> Counts:
    """Compress each image of a batch at all its palette sizes. No image raises: its jobs leave a ``JobFailure``.

    Parameters
    ----------
    batch : sequence of ImageJobs
    spark : dict
        The result records' field ``spark``.
    force : bool
        Whether to compress again where there is a valid result.
    attempt : int
        0, or the number of tries before this one whose process died. Then each image gets its failure before it is
        begun, and loses it when it is done: an image that kills its process is not tried twice.
    limits : Limits
        An image beyond one of them is refused before it is decoded.
    """
    # There is one task for each core: OpenCV's own threads would only compete with the other tasks.
    cv2.setNumThreads(1)
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"  # Of the process that decodes.
    counts = Counts()
    # Writing to a disk or an object store takes no CPU time: meanwhile the next image is compressed.
    with ThreadPoolExecutor(_WRITERS) as writers:
        written: list[Future[Counts]] = []
        for jobs in batch:
            known = Counts(images=1, image_bytes=jobs[0].image_bytes)
            if attempt > 0:
                jobs, ended = _not_ended(jobs, force)
                known += ended
                for job in jobs:
                    JobFailure.of(EXIT_FAILED, _DIED, job.image, job.k, killed=True).leave(job.failure)
            counts += known
            if not jobs:
                continue
            refusal = None if force else _refusal(jobs[0])
            with _ended_after(limits, jobs, force):
                if refusal is None:
                    written += _compress_image(jobs, spark, writers, limits)
                else:
                    written += [writers.submit(_failed, job, UnsupportedImage(refusal)) for job in jobs]
            # After a process has died, the failure of a finished image is removed before the next one is begun.
            while len(written) > (0 if attempt > 0 else _MAX_UNWRITTEN):
                counts += written.pop(0).result()
        return sum((one.result() for one in written), counts)


@contextmanager
def _ended_after(limits: Limits, jobs: ImageJobs, force: bool) -> Iterator[None]:
    """Within the block, end this process when the time of an image is over, and leave the failure of its jobs.

    The next attempt finds the failures, and so does not begin with this image again.
    """

    def end() -> None:
        for job in jobs:
            reason = too_slow_for(job.image, limits)
            # With force a result may be an old one.
            if force or not job.is_done():
                JobFailure.of(EXIT_BAD_INPUT, reason, job.image, job.k, killed=True).leave(job.failure)
        os._exit(EXIT_FAILED)

    timer = threading.Timer(limits.seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _compress_image(
    jobs: Sequence[Job], spark: dict[str, Any], writers: Executor, limits: Limits
) -> list[Future[Counts]]:
    """Compress an image at each palette size. Each future counts one job once its result is written."""
    first, clock = jobs[0], Stopwatch()
    try:
        opened = open_image(
            first.image,
            lambda pixels: _Source(pixels, spark),
            clock,
            first.image_sha256,
            limits,
            weights=first.weights,
        )
    except Exception as error:
        return [writers.submit(_failed, job, error) for job in jobs]
    written = []
    for job in jobs:
        try:
            shared = job.shared_palette and _shared_palette(job.shared_palette)
            compressed = compress_opened(opened, job.palette, job.output, job.settings, clock, shared=shared or None)
        except Exception as error:
            written.append(writers.submit(_failed, job, error))
        else:
            written.append(writers.submit(_write, job, compressed))
        clock = Stopwatch()
    return written


@lru_cache(maxsize=64)
def _shared_palette(path: str) -> SharedPalette:
    """A palette, read once in each process: its file never changes."""
    return SharedPalette.read(path)


def _write(job: Job, compressed: Compressed) -> Counts:
    try:
        compressed.commit(job.result)
    except Exception as error:
        return _failed(job, error)
    remove(job.failure)
    return Counts(done=1)


class _Source(PixelSource):
    """An image in this process, on one thread."""

    def __init__(self, pixels: Pixels, spark: dict[str, Any]) -> None:
        super().__init__(pixels)
        self._spark = spark

    def describe(self) -> dict[str, Any]:
        """The result record's field ``spark``."""
        return self._spark


def _not_ended(jobs: ImageJobs, force: bool) -> tuple[ImageJobs, Counts]:
    """The jobs that earlier attempts neither finished nor gave up, and the counts of the others."""
    counts, left = Counts(), []
    for job in jobs:
        if is_file(job.failure):
            counts += Counts(failed=1, retryable=int(_may_go_away(job)))
            _remember(job)
        elif not force and job.is_done():
            counts += Counts(done=1)
        else:
            left.append(job)
    return tuple(left), counts


def _refusal(job: Job) -> str | None:
    """Why the image of a job is refused for what it did to earlier ones; None where that cannot be known."""
    with suppress(OSError):
        return refusal_for_kills(job.kills, job.image)
    return None


def _remember(job: Job) -> None:
    """Note it if the process of an earlier attempt ended by a job's image; all palette sizes are one event."""
    with suppress(InvalidRecord, OSError):  # Without this memory, the image is only tried once more.
        failure = JobFailure.read(job.failure)
        if failure.killed:
            note_kill(job.kills, str(PurePath(job.failure).parent), failure.reason)


def _may_go_away(job: Job) -> bool:
    try:
        return JobFailure.read(job.failure).retryable
    except InvalidRecord:
        return True


def _failed(job: Job, error: Exception) -> Counts:
    if isinstance(error, UnsupportedImage):
        failure = JobFailure.of(EXIT_BAD_INPUT, str(error), job.image, job.k)
    else:
        killed = isinstance(error, MemoryError | DecoderEnded)
        reason = f"{type(error).__name__}: {error}"
        failure = JobFailure.of(EXIT_FAILED, reason, job.image, job.k, killed, is_refusal(error))
    failure.leave(job.failure)
    _remember(job)
    return Counts(failed=1, retryable=int(failure.retryable))
