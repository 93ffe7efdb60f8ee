"""The progress of a long run as lines for a log: jobs done, images per second, time left. Standard library only."""

import time
from collections.abc import Callable

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
        return self.line(images, image_bytes, failed)

    def line(self, images: int, image_bytes: int, failed: int) -> str:
        """Such as ``1200/5000 images, 8.3 images/s, about 7 min left, 3 jobs failed``."""
        elapsed = max(self._now() - self._started, 1e-9)
        parts = [f"{images}/{self._images} images", f"{images / elapsed:.1f} images/s"]
        if images == self._images:
            parts.append(f"in {_duration(elapsed)}")
        elif image_bytes:
            parts.append(f"about {_duration(elapsed * (self._bytes - image_bytes) / image_bytes)} left")
        if failed:
            parts.append(f"{failed} jobs failed")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
