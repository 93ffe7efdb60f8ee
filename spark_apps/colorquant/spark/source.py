"""An image on Spark: its rows as bands, its histogram as shares of the colors, its sums merged by reduce.

Workers return exact integers, or decide pixel by pixel. So the result does not depend on the number of partitions, on
executors or on retries. No pixel is ever a Python object: see ``bands``.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pyspark import RDD, SparkConf, SparkContext

from colorquant.colors import ColorHistogram
from colorquant.perception import flat_colors, important_cells
from colorquant.pixels import Pixels
from colorquant.quantizer import RGB, ColorModel, Remapping, color_model
from colorquant.spark.bands import KEPT, Band, CarriedImage, MappedImage, max_bands, number_of_bands
from colorquant.spark.context import is_local
from colorquant.storage import access, adopt

if TYPE_CHECKING:
    from colorquant.decode import Region, TiledImage

    T = TypeVar("T")
    Share = tuple[bytes, bytes]  # colors uint32 and counts int64, a part of the histogram

# Partitions of regions for each core. More of them lose less work by a failure, and end closer together.
_PARTITIONS_PER_CORE = 8


class SparkColors:
    """A ``ColorSource`` over the bands of an image on Spark.

    Parameters
    ----------
    context : SparkContext
    bands : RDD of Band
    shares : int or None
        Number of parts of the histogram; None where there is one band, whose histogram the driver gets.
    model : ColorModel
    """

    def __init__(self, context: SparkContext, bands: "RDD[Band]", shares: int | None, model: ColorModel) -> None:
        self.context = context
        self.jobs = 0
        self.partitions = bands.getNumPartitions()
        self._bands = bands
        self._wanted_shares = shares
        self.model = model

    @cached_property
    def _whole(self) -> ColorHistogram | None:
        """The histogram of an image of one band: to fetch it once costs less than one round of K-Means on a worker."""
        if self._wanted_shares is not None:
            return None
        self.jobs += 1
        count = self.model.count_colors
        (share,) = self._bands.map(lambda band: as_share(count(band.pixels()))).collect()
        return histogram_of(share)

    @cached_property
    def _shares(self) -> "RDD[Share]":
        shares, bands, model = self._wanted_shares, self._bands, self.model
        assert shares is not None, "one band: see _whole"
        dealt = bands.flatMap(lambda band: _count_shares(model, band, shares))
        return dealt.reduceByKey(lambda a, b: _merge_shares(model, a, b), shares).values().persist(KEPT)

    @cached_property
    def _summary(self) -> tuple[int, Any]:
        """The number of distinct colors and the cells."""
        model = self.model
        if self._whole is not None:
            return len(self._whole), model.coarse_cells(self._whole)
        self.jobs += 1
        parts = self._shares.map(lambda share: summarize_share(model, share)).collect()
        return sum(colors for colors, _ in parts), model.merge_cells([cells for _, cells in parts])

    @property
    def unique_colors(self) -> int:
        """Number of distinct colors of the image."""
        return self._summary[0]

    def cells(self) -> Any:
        """The finest cells within the limit."""
        return self._summary[1]

    @cached_property
    def _flat_colors(self) -> ColorHistogram:
        model = self.model
        return self.fold_bands(flat_colors, lambda one, other: model.merge_histograms([one, other]))

    def flat_colors(self) -> ColorHistogram:
        """``perception.flat_colors`` of the whole image, made once for all k."""
        return self._flat_colors

    @cached_property
    def _important_cells(self) -> Any:
        model = self.model
        return self.fold_bands(important_cells, lambda one, other: model.merge_cells([one, other]))

    def important_cells(self) -> Any:
        """``perception.important_cells`` of the whole image, made once for all k."""
        return self._important_cells

    def partial_sums(self, centroids: npt.NDArray) -> Any:
        """One round of K-Means over the whole histogram: workers assign and sum, reduce adds.

        Parameters
        ----------
        centroids : (k, 3 or 4), as ``ColorModel.partial_sums`` takes them

        Returns
        -------
        ClusterSums or AlphaSums
        """
        sums_of = self.model.partial_sums
        if self._whole is not None:
            return sums_of(self._whole, centroids)
        self.jobs += 1
        return self._shares.map(lambda share: sums_of(histogram_of(share), centroids)).reduce(lambda a, b: a + b)

    def without(self, colors: npt.NDArray[np.uint32]) -> "SparkColors":
        """The same image as if it had no pixels of some colors, uint32 (m,); only its colors are then of use."""
        rest = copy(self)
        rest.__dict__.pop("_summary", None)
        rest._flat_colors = self._flat_colors.without(colors)
        if self._whole is not None:
            rest._whole = self._whole.without(colors)
        else:
            rest._shares = self._shares.map(lambda share: as_share(histogram_of(share).without(colors)))
        return rest

    def fold_bands(self, function: "Callable[[np.ndarray], T]", merge: "Callable[[T, T], T]") -> "T":
        """The merged values of a function of bands, which the workers compute and Spark merges."""
        self.jobs += 1
        return self._bands.map(lambda band: function(band.pixels())).treeReduce(merge)

    def describe(self) -> dict[str, Any]:
        """The result record's field ``spark``."""
        return {
            "application_id": self.context.applicationId,
            "master": self.context.master,
            "version": self.context.version,
            "partitions": self.partitions,
            "jobs": self.jobs,
        }


class SparkSource(SparkColors):
    """The ``Source`` of an image in the driver's memory, whose rows go to Spark as bands.

    Parameters
    ----------
    context : SparkContext
    pixels : uint8 (H, W, 3 or 4)
    partitions : int, optional
        Number of bands, each a Spark partition; by default chosen by the image's size and the number of cores. There
        is at most one band for 64 rows. The number does not change the result.
    """

    def __init__(self, context: SparkContext, pixels: Pixels, partitions: int | None = None) -> None:
        wanted = partitions or number_of_bands(pixels.shape, context.defaultParallelism)
        bands = min(wanted, max_bands(pixels.shape[0]))
        self._image: MappedImage | CarriedImage
        if is_local(context.master or ""):
            self._image = MappedImage(context, pixels, bands, _local_folder())
        else:
            self._image = CarriedImage(context, pixels, bands)
        shares = min(bands, partitions or context.defaultParallelism) if bands > 1 else None
        super().__init__(context, self._image.bands, shares, color_model(pixels))
        self._pixels = pixels

    @cached_property
    def _flat_colors(self) -> ColorHistogram:
        # Here it takes a millisecond a megapixel, less than a job of Spark.
        return flat_colors(self._pixels)

    def remap(self, palette: Pixels, remapping: Remapping = None) -> Pixels:
        """Index map uint8 (H, W), band by band: the nearest entries, those that a rate model prefers, or dithered."""
        self.jobs += 1
        remap = self.model.remap
        return self._image.remap(lambda pixels: remap(pixels, palette, remapping))


class SparkRegions(SparkColors):
    """The ``RegionSource`` of an image whose regions the workers read themselves.

    Parameters
    ----------
    context : SparkContext
    image : TiledImage
    partitions : int, optional
        Number of Spark partitions, each some consecutive regions; by default a few for each core.
    """

    def __init__(self, context: SparkContext, image: "TiledImage", partitions: int | None = None) -> None:
        regions = image.regions()
        cores = context.defaultParallelism
        wanted = partitions or _PARTITIONS_PER_CORE * cores
        variables = access()

        def with_access(regions: "Iterable[Region]") -> "Iterable[Region]":
            adopt(variables)
            return regions

        self._regions: RDD[Region] = context.parallelize(regions, min(len(regions), wanted)).mapPartitions(with_access)
        super().__init__(context, self._regions, cores if len(regions) > 1 else None, RGB)

    def each(self, work: "Callable[[Region], T]") -> "list[T]":
        """The results of ``work`` on each region, in the order of ``TiledImage.regions``."""
        self.jobs += 1
        return self._regions.map(work).collect()


def _local_folder() -> str:
    """The folder for temporary files, found as Spark finds its own."""
    # Not by SparkContext.getConf, which asks the JVM for every setting, one by one.
    configured = os.environ.get("SPARK_LOCAL_DIRS") or SparkConf().get("spark.local.dir")
    return configured.split(",")[0] if configured else tempfile.gettempdir()


def _count_shares(model: ColorModel, band: Band, shares: int) -> Iterable[tuple[int, "Share"]]:
    """The histogram of a band in shares."""
    yield from enumerate(in_shares(model.count_colors(band.pixels()), shares))


def in_shares(histogram: ColorHistogram, shares: int) -> "list[Share]":
    """A histogram in shares of about equal size, by a multiplicative hash of the color (Knuth, 1973)."""
    # Without alpha, so that an opaque color has one share whether it was packed with alpha or not.
    share_of = (((histogram.colors & np.uint32(0xFFFFFF)) * np.uint32(2654435761)) >> np.uint32(16)) % np.uint32(shares)
    chosen = (share_of == share for share in range(shares))
    return [(histogram.colors[each].tobytes(), histogram.counts[each].tobytes()) for each in chosen]


def _merge_shares(model: ColorModel, one: "Share", other: "Share") -> "Share":
    return as_share(model.merge_histograms([histogram_of(one), histogram_of(other)]))


def as_share(histogram: ColorHistogram) -> "Share":
    """A histogram as bytes, which Spark moves faster than arrays."""
    return histogram.colors.tobytes(), histogram.counts.tobytes()


def histogram_of(share: "Share") -> ColorHistogram:
    """The histogram of a share's bytes."""
    colors, counts = share
    return ColorHistogram(np.frombuffer(colors, np.uint32), np.frombuffer(counts, np.int64))


def summarize_share(model: ColorModel, share: "Share") -> tuple[int, Any]:
    """The number of colors of a share, and its cells."""
    histogram = histogram_of(share)
    return len(histogram), model.coarse_cells(histogram)
