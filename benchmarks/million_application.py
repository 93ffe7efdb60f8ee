"""The application of a library in which the compression of an image does nothing: see ``benchmarks.million``."""

import importlib
import sys
from typing import Any

from colorquant.spark import corpus_application


def nothing(images: Any, *_: Any) -> Any:
    """Count the images of a batch as done. Workers get this function by value."""
    from colorquant.compress import Counts

    jobs = [job for image in images for job in image]
    return Counts(images=len(images), image_bytes=sum(image[0].image_bytes for image in images), done=len(jobs))


if __name__ == "__main__":
    library: Any = importlib.import_module("colorquant.spark.library")
    library.compress_batch = nothing
    sys.exit(corpus_application.main())
