"""The progress of a long run as lines for a log: how much is done, how fast, and how long the rest will take."""

import time
from collections.abc import Callable

# A line every five seconds at first, and later so seldom that a night's log stays readable.
_FIRST_SECONDS = 5.0
_MOST_SECONDS = 60.0


class Progress:
    """Prints a line when it is time for one.

    Parameters
    ----------
    images, image_bytes : all that there is to do. The time left goes by bytes, since large images come first.
    now : the clock, in seconds.
    """

    def __init__(self, images: int, image_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self._images, self._bytes = images, image_bytes
        self._now = now
        self._started = now()
        self._next = _FIRST_SECONDS

    def see(self, images: int, image_bytes: int, failed: int) -> str | None:
        """The line for what is done now, where one is due."""
        elapsed = self._now() - self._started
        if elapsed < self._next:
            return None
        self._next = elapsed + min(_MOST_SECONDS, max(_FIRST_SECONDS, elapsed / 10))
        return self.line(images, image_bytes, failed)

    def line(self, images: int, image_bytes: int, failed: int) -> str:
        """``1200/5000 images, 8.3 images/s, about 7 min left``; and the failed jobs, if there are any."""
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
