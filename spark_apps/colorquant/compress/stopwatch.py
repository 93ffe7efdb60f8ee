"""How long the steps of a job take. Standard library only."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Wall-clock seconds of named steps: ``with clock("decode"): ...``."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        # Where an image is opened once for several palette sizes, the later ones took no time for these two.
        self.seconds: dict[str, float] = {"decode": 0.0, "histogram": 0.0}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Time the block as the step of that name."""
        before = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - before, 4)

    def stop(self) -> dict[str, float]:
        """The seconds of all steps, and ``total``: since the stopwatch was made."""
        return self.seconds | {"total": round(time.perf_counter() - self._started, 4)}
