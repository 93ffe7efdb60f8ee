"""How an image is spread over Spark: rows as bands, the histogram as shares of the colors, sums merged by reduce.

Everything that workers return is an exact integer or decided color by color, so the result does not depend on the
number of partitions, on executors or on retries. No pixel ever is a Python object: see ``bands``.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pyspark import RDD, SparkConf, SparkContext

from colorquant.bands import KEPT, Band, CarriedImage, MappedImage, most_bands, number_of_bands
from colorquant.color_model import RGB, ColorModel, Remapping, color_model
from colorquant.context import is_local
from colorquant.histogram import ColorHistogram

if TYPE_CHECKING:
    from colorquant.tiles import Region, TiledImage

    T = TypeVar("T")
    Share = tuple[bytes, bytes]  # colors uint32 and counts int64 of some of the histogram

# Parts that one core works on one after the other: what is lost by a failure, and how long others wait at the end.
_PARTITIONS_FOR_EACH_CORE = 8


class SparkColors:
    """A ``solver.ColorSource`` over parts of an image that are spread over a Spark cluster.

    Parameters
    ----------
    context : SparkContext
    bands : the parts.
    shares : into so many parts the histogram is dealt; None where there is one band, whose histogram the driver gets.
    model : of the colors.
    """

    def __init__(self, context: SparkContext, bands: "RDD[Band]", shares: int | None, model: ColorModel) -> None:
        self.context = context
        self.jobs = 0
        self.partitions = bands.getNumPartitions()
        self._bands = bands
        self._wanted_shares = shares
        self._model = model

    @cached_property
    def _whole(self) -> ColorHistogram | None:
        """The histogram of an image of one band: brought here once, for less than one round of K-Means over there."""
        if self._wanted_shares is not None:
            return None
        self.jobs += 1
        count = self._model.count_colors
        (share,) = self._bands.map(lambda band: _as_share(count(band.pixels()))).collect()
        return _histogram(share)

    @cached_property
    def _shares(self) -> "RDD[Share]":
        shares, bands, model = self._wanted_shares, self._bands, self._model
        assert shares is not None, "one band: see _whole"
        dealt = bands.flatMap(lambda band: _count_shares(model, band, shares))
        return dealt.reduceByKey(lambda a, b: _merge_shares(model, a, b), shares).values().persist(KEPT)

    @cached_property
    def _summary(self) -> tuple[int, Any]:
        """The number of distinct colors, and the cells."""
        model = self._model
        if self._whole is not None:
            return len(self._whole), model.coarse_cells(self._whole)
        self.jobs += 1
        parts = self._shares.map(lambda share: _summarize_share(model, share)).collect()
        return sum(colors for colors, _ in parts), model.merge_cells([cells for _, cells in parts])

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors of the image."""
        return self._summary[0]

    def cells(self) -> Any:
        """The finest cells within the limit."""
        return self._summary[1]

    def partial_sums(self, centroids: np.ndarray) -> Any:
        """One round of K-Means over the whole histogram: workers assign and sum, reduce adds."""
        sums_of = self._model.partial_sums
        if self._whole is not None:
            return sums_of(self._whole, centroids)
        self.jobs += 1
        return self._shares.map(lambda share: sums_of(_histogram(share), centroids)).reduce(lambda a, b: a + b)

    def fold_bands(self, function: "Callable[[np.ndarray], T]", merge: "Callable[[T, T], T]") -> "T":
        """The merged values of a function of bands, which the workers compute and Spark merges."""
        self.jobs += 1
        return self._bands.map(lambda band: function(band.pixels())).treeReduce(merge)

    def describe(self) -> dict[str, Any]:
        """What the result record says of Spark."""
        return {
            "application_id": self.context.applicationId,
            "master": self.context.master,
            "version": self.context.version,
            "partitions": self.partitions,
            "jobs": self.jobs,
        }


class SparkSource(SparkColors):
    """A ``pipeline.Source`` over an image in memory, whose rows are spread over a Spark cluster.

    Parameters
    ----------
    context : SparkContext
    pixels : uint8 (H, W, 3 or 4)
    partitions : int, optional
        Bands of rows, and Spark partitions, by default as many as the image's size and the cores suggest; never more
        than one for 64 rows. They do not change any result.
    """

    def __init__(self, context: SparkContext, pixels: np.ndarray, partitions: int | None = None) -> None:
        wanted = partitions or number_of_bands(pixels.shape, context.defaultParallelism)
        bands = min(wanted, most_bands(pixels.shape[0]))
        self._image: MappedImage | CarriedImage
        if is_local(context.master or ""):
            self._image = MappedImage(context, pixels, bands, _local_folder())
        else:
            self._image = CarriedImage(context, pixels, bands)
        shares = min(bands, partitions or context.defaultParallelism) if bands > 1 else None
        super().__init__(context, self._image.bands, shares, color_model(pixels))

    def remap(self, palette: np.ndarray, remapping: Remapping = None) -> np.ndarray:
        """Index map uint8 (H, W), band by band: the nearest entries, those that a rate model prefers, or dithered."""
        self.jobs += 1
        remap = self._model.remap
        return self._image.remap(lambda pixels: remap(pixels, palette, remapping))


class SparkRegions(SparkColors):
    """A ``tile_pipeline.RegionSource``: an image whose regions the workers read themselves.

    Parameters
    ----------
    context : SparkContext
    image : TiledImage
    partitions : int, optional
        Spark partitions, each of some regions that follow one another, by default a few for each core.
    """

    def __init__(self, context: SparkContext, image: "TiledImage", partitions: int | None = None) -> None:
        regions = image.regions()
        cores = context.defaultParallelism
        wanted = partitions or _PARTITIONS_FOR_EACH_CORE * cores
        self._regions: RDD[Region] = context.parallelize(regions, min(len(regions), wanted))
        super().__init__(context, self._regions, cores if len(regions) > 1 else None, RGB)

    def each(self, work: "Callable[[Region], T]") -> "list[T]":
        """What ``work`` makes of each region, in their order."""
        self.jobs += 1
        return self._regions.map(work).collect()


def _local_folder() -> str:
    """A folder for what is too large for memory, as Spark itself finds one."""
    # Not SparkContext.getConf, which asks the JVM for each setting that there is, one by one.
    configured = os.environ.get("SPARK_LOCAL_DIRS") or SparkConf().get("spark.local.dir")
    return configured.split(",")[0] if configured else tempfile.gettempdir()


def _count_shares(model: ColorModel, band: Band, shares: int) -> Iterable[tuple[int, "Share"]]:
    """Histogram of a band, dealt into shares of colors by a multiplicative hash (Knuth 1973): shares of even size."""
    histogram = model.count_colors(band.pixels())
    share_of = ((histogram.colors * np.uint32(2654435761)) >> np.uint32(16)) % np.uint32(shares)
    for share in range(shares):
        chosen = share_of == share
        yield share, (histogram.colors[chosen].tobytes(), histogram.counts[chosen].tobytes())


def _merge_shares(model: ColorModel, one: "Share", other: "Share") -> "Share":
    return _as_share(model.merge_histograms([_histogram(one), _histogram(other)]))


def _as_share(histogram: ColorHistogram) -> "Share":
    return histogram.colors.tobytes(), histogram.counts.tobytes()


def _histogram(share: "Share") -> ColorHistogram:
    colors, counts = share
    return ColorHistogram(np.frombuffer(colors, np.uint32), np.frombuffer(counts, np.int64))


def _summarize_share(model: ColorModel, share: "Share") -> tuple[int, Any]:
    histogram = _histogram(share)
    return len(histogram), model.coarse_cells(histogram)
