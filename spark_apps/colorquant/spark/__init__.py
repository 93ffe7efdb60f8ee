"""How images are spread over Spark: the context, one image's bands, a library's batches.

The modules are imported on first use, so that the context can start while the others are still loading.
"""

from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    from colorquant.spark.context import start_context
    from colorquant.spark.library import compress_batches, map_on
    from colorquant.spark.source import SparkRegions, SparkSource

__all__ = ["compress_batches", "map_on", "SparkRegions", "SparkSource", "start_context"]

__getattr__ = imported_on_first_use(
    __name__,
    {
        "start_context": "context",
        "compress_batches": "library",
        "map_on": "library",
        "SparkRegions": "source",
        "SparkSource": "source",
    },
)
