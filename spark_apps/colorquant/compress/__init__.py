"""The main path: decode, count colors, find the palette, remap, encode, measure, commit.

``compress_image`` compresses one image, ``compress_tiled_image`` one that is too large for a process, and
``compress_batch`` the images of a library. ``open_image`` and ``compress_opened`` work in memory and write no file.
``needed_bytes`` is what another of the ``FORMATS`` needs for a quality. ``compile_kernels`` and
``compile_encoding_kernels``, in two processes, spare the first images of a machine half a minute. The modules are
imported on first use: tiled TIFFs need libraries that other images do not.
"""

from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    from colorquant.compress.comparison import FORMATS, needed_bytes
    from colorquant.compress.kernels import compile_encoding_kernels, compile_kernels
    from colorquant.compress.library import Counts, ImageJobs, compress_batch, make_batches, make_stretches
    from colorquant.compress.pipeline import Compressed, compress_image, compress_opened, open_image
    from colorquant.compress.shared_palette import (
        AddedColors,
        AddedHistogram,
        ImageColors,
        Origin,
        as_rgba,
        colors_of,
        count,
        find_shared_palette,
    )
    from colorquant.compress.stopwatch import Stopwatch
    from colorquant.compress.tile_pipeline import compress_tiled_image

__all__ = [
    "AddedColors",
    "AddedHistogram",
    "as_rgba",
    "colors_of",
    "compile_encoding_kernels",
    "compile_kernels",
    "compress_batch",
    "compress_image",
    "compress_opened",
    "compress_tiled_image",
    "Compressed",
    "count",
    "Counts",
    "find_shared_palette",
    "FORMATS",
    "ImageColors",
    "ImageJobs",
    "make_batches",
    "make_stretches",
    "needed_bytes",
    "open_image",
    "Origin",
    "Stopwatch",
]

__getattr__ = imported_on_first_use(
    __name__,
    {
        "FORMATS": "comparison",
        "needed_bytes": "comparison",
        "compile_kernels": "kernels",
        "compile_encoding_kernels": "kernels",
        "Counts": "library",
        "ImageJobs": "library",
        "compress_batch": "library",
        "make_batches": "library",
        "make_stretches": "library",
        "Compressed": "pipeline",
        "compress_image": "pipeline",
        "compress_opened": "pipeline",
        "open_image": "pipeline",
        "AddedColors": "shared_palette",
        "AddedHistogram": "shared_palette",
        "ImageColors": "shared_palette",
        "Origin": "shared_palette",
        "as_rgba": "shared_palette",
        "colors_of": "shared_palette",
        "count": "shared_palette",
        "find_shared_palette": "shared_palette",
        "Stopwatch": "stopwatch",
        "compress_tiled_image": "tile_pipeline",
    },
)
