"""The progress of a long run as lines for a log: jobs done, images per second, time left. Standard library only."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from colorquant.jobs import RunProgress

# A line every five seconds at first, later at most one a minute, so that a night's log stays readable.
_MIN_SECONDS = 5.0
_MAX_SECONDS = 60.0


class Progress:
    """Makes a line whenever one is due.

    Parameters
    ----------
    images : int
        Number of images of the run.
    image_bytes : int
        Bytes of their files. The time left is estimated from bytes, since large images come first.
    now : callable
        The clock, in seconds.
    """

    def __init__(self, images: int, image_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self._images, self._bytes = images, image_bytes
        self._now = now
        self._started = now()
        self._next = _MIN_SECONDS

    def see(self, images: int, image_bytes: int, failed: int) -> str | None:
        """The line for these numbers of finished images, their bytes, and failed jobs; None where none is due yet."""
        elapsed = self._now() - self._started
        if elapsed < self._next:
            return None
        self._next = elapsed + min(_MAX_SECONDS, max(_MIN_SECONDS, elapsed / 10))
        return self.state(images, image_bytes, failed).text()

    def state(self, images: int, image_bytes: int, failed: int) -> RunProgress:
        """How far the run is, with an estimate of the time left."""
        elapsed = self._now() - self._started
        return RunProgress(
            images=images,
            of_images=self._images,
            seconds=elapsed,
            seconds_left=elapsed * (self._bytes - image_bytes) / image_bytes if image_bytes else None,
            failed=failed,
            told_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
