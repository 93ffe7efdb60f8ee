"""How far the application of a whole library is: a file in the run's folder. Standard library only."""

from dataclasses import dataclass
from typing import Annotated

from colorquant.limits import Count, Range
from colorquant.storage import JsonRecord

#: Name of the file in the run's folder.
PROGRESS = "progress.json"
_Seconds = Annotated[float, Range(0)]


@dataclass(frozen=True, kw_only=True)
class RunProgress(JsonRecord):
    """How many of the images that were to be compressed are done.

    Attributes
    ----------
    images, of_images : number of images done, and of all.
    seconds : since the first one was begun.
    seconds_left : an estimate; None where nothing can be told yet.
    failed : number of failed jobs.
    told_at : ISO 8601 time in UTC.
    """

    schema_version: int = 1
    images: Count
    of_images: Count
    seconds: _Seconds
    seconds_left: _Seconds | None
    failed: Count
    told_at: str

    def text(self) -> str:
        """Such as ``1,240 of 5,000 images, 27.0 images/s, about 2 min left, 3 jobs failed``."""
        speed = self.images / max(self.seconds, 1e-9)
        parts = [f"{self.images:,} of {self.of_images:,} images", f"{speed:.1f} images/s"]
        if self.images == self.of_images:
            parts.append(f"in {_duration(self.seconds)}")
        elif self.seconds_left is not None:
            parts.append(f"about {_duration(self.seconds_left)} left")
        if self.failed:
            parts.append(f"{self.failed:,} jobs failed")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
