"""How an image is spread over Spark: rows as bands, the histogram as shares of the colors, sums merged by reduce.

Everything that workers return is an exact integer or decided color by color, so the result does not depend on the
number of partitions, on executors or on retries. No pixel ever is a Python object: bands travel as bytes.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark import RDD, SparkConf, SparkContext, StorageLevel

from colorquant.cells import Cells, coarse_cells, merge_cells
from colorquant.histogram import ColorHistogram, count_colors, merge_histograms
from colorquant.kmeans import ClusterSums, partial_sums
from colorquant.remap import remap

if TYPE_CHECKING:
    Band = tuple[int, bytes]  # width, and rows of RGB
    Share = tuple[bytes, bytes]  # colors uint32 and counts int64 of some of the histogram

#: A band holds at most this many pixels (12 MiB as RGB), so that a task's memory does not grow with the image.
BAND_PIXELS = 1 << 22


def start_context(name: str) -> SparkContext:
    """The application's one SparkContext, with this package importable by its workers."""
    context = SparkContext(conf=SparkConf().setAppName(name))
    package = Path(__file__).resolve().parent
    if (context.master or "").startswith("local"):
        # Workers on this machine import the same files, and so find the kernels that are compiled already.
        context.environment["PYTHONPATH"] = str(package.parent)
    else:
        archive = shutil.make_archive(str(Path(tempfile.mkdtemp()) / package.name), "zip", package.parent, package.name)
        context.addPyFile(archive)
    return context


class SparkSource:
    """A ``quantizer.ColorSource`` over an image that is spread over a Spark cluster.

    Parameters
    ----------
    context : SparkContext
    pixels : uint8 (H, W, 3)
    partitions : int, optional
        Spark partitions, by default the context's default parallelism. It does not change any result.
    """

    def __init__(self, context: SparkContext, pixels: np.ndarray, partitions: int | None = None) -> None:
        self.context = context
        self.partitions = min(partitions or context.defaultParallelism, pixels.shape[0])
        self.jobs = 0
        self._width = pixels.shape[1]
        bands = list(_split(pixels, self.partitions))
        # Kept by the executors: the remap needs the same pixels again, and they should travel once.
        self._bands: RDD[Band] = context.parallelize(bands, self.partitions).persist(StorageLevel.MEMORY_AND_DISK)

    @cached_property
    def _shares(self) -> "RDD[Share]":
        shares = self.partitions
        return (
            self._bands.flatMap(lambda band: _count_shares(band, shares))
            .reduceByKey(_merge_shares, shares)
            .values()
            .persist(StorageLevel.MEMORY_AND_DISK)
        )

    @cached_property
    def _summary(self) -> tuple[int, Cells]:
        """The number of distinct colors, and the cells."""
        self.jobs += 1
        parts = self._shares.map(_summarize_share).collect()
        return sum(colors for colors, _ in parts), merge_cells([cells for _, cells in parts])

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors of the image."""
        return self._summary[0]

    def cells(self) -> Cells:
        """The finest cells within the limit."""
        return self._summary[1]

    def partial_sums(self, centroids: np.ndarray) -> ClusterSums:
        """One round of K-Means over the whole histogram: workers assign and sum, reduce adds."""
        self.jobs += 1
        return self._shares.map(lambda share: partial_sums(_histogram(share), centroids)).reduce(lambda a, b: a + b)

    def remap(self, palette: np.ndarray) -> np.ndarray:
        """Index map uint8 (H, W), band by band."""
        self.jobs += 1
        rows = self._bands.map(lambda band: remap(_pixels(band), palette).tobytes()).collect()
        return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, self._width)

    def describe(self) -> dict[str, Any]:
        """What the result record says of Spark."""
        return {
            "application_id": self.context.applicationId,
            "master": self.context.master,
            "version": self.context.version,
            "partitions": self.partitions,
            "jobs": self.jobs,
        }


def _split(pixels: np.ndarray, partitions: int) -> Iterator["Band"]:
    height, width = pixels.shape[:2]
    bands = max(partitions, -(-height * width // BAND_PIXELS))
    for rows in np.array_split(pixels, min(bands, height)):
        yield width, rows.tobytes()


def _pixels(band: "Band") -> np.ndarray:
    width, rows = band
    return np.frombuffer(rows, np.uint8).reshape(-1, width, 3)


def _count_shares(band: "Band", shares: int) -> Iterable[tuple[int, "Share"]]:
    """Histogram of a band, dealt into shares of colors by a multiplicative hash (Knuth 1973): shares of even size."""
    histogram = count_colors(_pixels(band))
    share_of = ((histogram.colors * np.uint32(2654435761)) >> np.uint32(16)) % np.uint32(shares)
    for share in range(shares):
        chosen = share_of == share
        yield share, (histogram.colors[chosen].tobytes(), histogram.counts[chosen].tobytes())


def _merge_shares(one: "Share", other: "Share") -> "Share":
    merged = merge_histograms([_histogram(one), _histogram(other)])
    return merged.colors.tobytes(), merged.counts.tobytes()


def _histogram(share: "Share") -> ColorHistogram:
    colors, counts = share
    return ColorHistogram(np.frombuffer(colors, np.uint32), np.frombuffer(counts, np.int64))


def _summarize_share(share: "Share") -> tuple[int, Cells]:
    histogram = _histogram(share)
    return len(histogram), coarse_cells(histogram)
