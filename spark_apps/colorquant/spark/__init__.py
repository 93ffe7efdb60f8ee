"""Images on Spark: the context, an image as bands or regions, a library as batches, and the three applications.

``spark-submit`` starts ``IMAGE_APPLICATION``, ``CORPUS_APPLICATION`` or ``PALETTE_APPLICATION``. In a checkout these
are also ``spark_apps/compress_image.py``, ``compress_corpus.py`` and ``find_palettes.py``. The modules are imported on
first use, so that this package needs the standard library only, and the context can start while the other modules are
still loading.
"""

from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use
from colorquant.spark.files import CORPUS_APPLICATION, IMAGE_APPLICATION, LOG4J2, PALETTE_APPLICATION

if TYPE_CHECKING:
    from colorquant.spark.context import start_context
    from colorquant.spark.library import compress_batches, map_on
    from colorquant.spark.shipping import package_archive
    from colorquant.spark.source import SparkRegions, SparkSource

__all__ = [
    "compress_batches",
    "corpus_application",
    "image_application",
    "CORPUS_APPLICATION",
    "IMAGE_APPLICATION",
    "LOG4J2",
    "map_on",
    "package_archive",
    "PALETTE_APPLICATION",
    "palette_application",
    "SparkRegions",
    "SparkSource",
    "start_context",
]

__getattr__ = imported_on_first_use(
    __name__,
    {
        "start_context": "context",
        "compress_batches": "library",
        "map_on": "library",
        "package_archive": "shipping",
        "SparkRegions": "source",
        "SparkSource": "source",
    },
)
