"""How long the steps of a job take. Standard library only."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Wall-clock seconds of the named steps."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        # What an image's first k alone pays for, where it is opened once for several.
        self.seconds: dict[str, float] = {"decode": 0.0, "histogram": 0.0}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        before = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - before, 4)

    def stop(self) -> dict[str, float]:
        """All steps, and the total since the stopwatch was made."""
        return self.seconds | {"total": round(time.perf_counter() - self._started, 4)}
