"""The main path: decode, count colors, find the palette, remap, encode, measure, commit.

``compress_image`` compresses one image, ``compress_tiled_image`` one that is too large for a process, and
``compress_batch`` the images of a library. ``open_image`` and ``compress_opened`` work in memory and write no file.
``needed_bytes`` is what another of the ``FORMATS`` needs for a quality. The modules are imported on first use: tiled
TIFFs need libraries that other images do not.
"""

from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    from colorquant.compress.comparison import FORMATS, needed_bytes
    from colorquant.compress.library import Counts, ImageJobs, compress_batch, make_batches
    from colorquant.compress.pipeline import Compressed, compress_image, compress_opened, open_image
    from colorquant.compress.stopwatch import Stopwatch
    from colorquant.compress.tile_pipeline import compress_tiled_image

__all__ = [
    "compress_batch",
    "compress_image",
    "compress_opened",
    "compress_tiled_image",
    "Compressed",
    "Counts",
    "FORMATS",
    "ImageJobs",
    "make_batches",
    "needed_bytes",
    "open_image",
    "Stopwatch",
]

__getattr__ = imported_on_first_use(
    __name__,
    {
        "FORMATS": "comparison",
        "needed_bytes": "comparison",
        "Counts": "library",
        "ImageJobs": "library",
        "compress_batch": "library",
        "make_batches": "library",
        "Compressed": "pipeline",
        "compress_image": "pipeline",
        "compress_opened": "pipeline",
        "open_image": "pipeline",
        "Stopwatch": "stopwatch",
        "compress_tiled_image": "tile_pipeline",
    },
)
