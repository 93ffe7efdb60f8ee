"""Palettes that images have in common, found on Spark: workers count the colors of the images, shares add them up.

Map: each task decodes its images one by one and adds their histograms, which are exact. Shuffle: a color belongs to
one share, by a hash, so the shares add up side by side. Reduce: each share is summarized in cells, and a tree of tasks
merges these. The driver gets cells and sums, and the histogram itself only where it is small: its memory does not grow
with the number of images. All that is merged are whole numbers, so the palette does not depend on tasks, cores or
retries.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
from pyspark import RDD, SparkContext, TaskContext

from colorquant.colors import ColorHistogram
from colorquant.compress import AddedHistogram, Origin, as_rgba, colors_of, find_shared_palette
from colorquant.errors import ChangedImage, DecoderEnded, UnsupportedImage
from colorquant.jobs import Job, PaletteRequest, palette_path, refusal_for_kills
from colorquant.limits import Limits
from colorquant.perception import large_areas
from colorquant.quantizer import RGB, RGBA, ColorModel, ColorSource, HistogramSource
from colorquant.settings import Settings
from colorquant.spark.bands import KEPT
from colorquant.spark.source import SparkColors, as_share, histogram_of, in_shares, summarize_share
from colorquant.storage import access, adopt

Share = tuple[bytes, bytes]

# Enough that the share of a worker of a small cluster fits into its memory: 2^24 colors in 16 shares are 12 MB each.
_MIN_SHARES = 16
_SLICES_PER_CORE = 16
# Rows of a task's histograms, 12 bytes each, at which it gives them away and begins again.
_MAX_ROWS = 1 << 22
# Rows of a histogram that the driver takes as a whole: with its points some 100 MB.
_MAX_ON_DRIVER = 1 << 21
# Tries of a task after which an image that ends its decoder is left out.
_TRIES = 3

# What a task gives away, by kind: the colors of images, and of their flat areas, without and with alpha; a report.
_RGB_COLORS, _RGBA_COLORS, _RGB_FLAT, _RGBA_FLAT, _REPORT = range(5)
_KINDS = 5
_MODELS = {_RGB_COLORS: RGB, _RGBA_COLORS: RGBA, _RGB_FLAT: RGB, _RGBA_FLAT: RGBA}


@dataclass(frozen=True)
class _Report:
    """What was counted: images without and with alpha, their pixels and weights; and what was left out, and why."""

    opaque: int = 0
    transparent: int = 0
    pixels: int = 0
    weight: int = 0
    left_out: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: "_Report") -> "_Report":
        return _Report(
            self.opaque + other.opaque,
            self.transparent + other.transparent,
            self.pixels + other.pixels,
            self.weight + other.weight,
            self.left_out | other.left_out,
        )


def find_palettes(
    context: SparkContext,
    requests: Sequence[PaletteRequest],
    output_folder: str,
    settings: Settings,
    limits: Limits,
    force: bool = False,
    pool: Executor | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Find the palettes of a plan and write them to its output folder.

    Parameters
    ----------
    context : SparkContext
    requests : sequence of PaletteRequest
    output_folder : path or URI.
    settings : Settings
    limits : Limits
        An image beyond one of them is left out of the palette.
    force : bool
        Whether images are tried that ended the processes of earlier jobs.
    pool : Executor, optional
        Threads of the driver.
    tell : callable
        Gets a line for each palette.

    Raises
    ------
    UnsupportedImage
        No image of a palette can be read, or one has changed since the plan was made.
    """
    for request in requests:
        counted = CountedLibrary(context, request.images, settings, limits, force)
        try:
            origin = counted.origin(request)
            if not origin.images:
                where = f"the folder {request.folder!r}" if request.folder else "the library"
                reason = next(iter(origin.left_out.values()), "there is none")
                raise UnsupportedImage(f"There is no palette of {where}, since no image can be read: {reason}")
            for k in request.ks:
                path = palette_path(output_folder, request.name, k)
                found = find_shared_palette(counted.colors, k, settings, path, origin, pool)
                tell(f"Palette {found.name} of {found.images} images: k = {k}, {len(found.entries)} colors, {path}")
        finally:
            counted.forget()


class CountedLibrary:
    """The colors of the images of a library, counted by the workers.

    Parameters
    ----------
    context : SparkContext
    images : sequence of Job
        One job of each image.
    settings, limits, force : as of ``find_palettes``
    slices : int, optional
        Number of tasks that count; it does not change the result.
    """

    def __init__(
        self,
        context: SparkContext,
        images: Sequence[Job],
        settings: Settings,
        limits: Limits,
        force: bool = False,
        slices: int | None = None,
    ) -> None:
        cores = context.defaultParallelism
        shares = max(_MIN_SHARES, cores)
        slices = slices or min(len(images), cores * _SLICES_PER_CORE)
        variables = access()

        def count(part: Iterable[Job]) -> Iterator[tuple[int, Any]]:
            adopt(variables)
            return _counted(part, settings, limits, force, shares)

        self._context, self._parallelism = context, shares
        self._parts: RDD[tuple[int, Any]] = (
            context.parallelize(images, slices)
            .mapPartitions(count)
            .reduceByKey(_merged, shares, partitionFunc=lambda key: key // _KINDS)
            .persist(KEPT)
        )

    @cached_property
    def _report(self) -> _Report:
        reports = self._parts.filter(lambda item: item[0] % _KINDS == _REPORT).values().collect()
        return sum(reports, _Report())

    def origin(self, request: PaletteRequest) -> Origin:
        """What the palettes of a request are made of."""
        report = self._report
        return Origin(
            name=request.name,
            folder=request.folder,
            images=report.opaque + report.transparent,
            pixels=report.pixels,
            left_out=report.left_out,
        )

    @cached_property
    def colors(self) -> ColorSource:
        """The colors of all images that could be read: with alpha where one image has it."""
        model = RGBA if self._report.transparent else RGB

        def histogram(kind: int, share: Share) -> ColorHistogram:
            found = histogram_of(share)
            return as_rgba(found) if model.channels > _MODELS[kind].channels else found

        def of(kinds: Sequence[int]) -> RDD[ColorHistogram]:
            """The histogram of each share: its colors without and with alpha are in one partition."""

            def merge(items: Iterable[tuple[int, Share]]) -> Iterator[ColorHistogram]:
                yield model.merge_histograms([histogram(key % _KINDS, share) for key, share in items])

            return self._parts.filter(lambda item: item[0] % _KINDS in kinds).mapPartitions(merge)

        weight = self._report.weight
        areas = of((_RGB_FLAT, _RGBA_FLAT)).map(lambda flat: large_areas(flat, weight)).collect()
        flat = model.merge_histograms(areas)
        shares = of((_RGB_COLORS, _RGBA_COLORS))
        if shares.map(len).sum() <= _MAX_ON_DRIVER:
            return HistogramSource(model, model.merge_histograms(shares.collect()), flat)
        return _SharedColors(self._context, shares.map(as_share), self._parallelism, model, flat)

    def forget(self) -> None:
        """Let Spark free what it keeps of the colors."""
        self._parts.unpersist()


class _SharedColors(SparkColors):
    """A ``ColorSource`` over shares of colors that are counted already."""

    def __init__(
        self, context: SparkContext, shares: "RDD[Share]", partitions: int, model: ColorModel, flat: ColorHistogram
    ) -> None:
        super().__init__(context, context.emptyRDD(), partitions, model)
        self._shares = shares
        self._flat_colors = flat

    @cached_property
    def _summary(self) -> tuple[int, Any]:
        """The number of distinct colors and the cells, merged by a tree of tasks."""
        model = self.model

        def merge(one: tuple[int, Any], other: tuple[int, Any]) -> tuple[int, Any]:
            return one[0] + other[0], model.merge_cells([one[1], other[1]])

        return self._shares.map(lambda share: summarize_share(model, share)).treeReduce(merge)


def _counted(
    images: Iterable[Job], settings: Settings, limits: Limits, force: bool, shares: int
) -> Iterator[tuple[int, Any]]:
    """Count some images: the shares of their colors, added up in this process as long as they are not too many."""
    # There is one task for each core: OpenCV's own threads would only compete with the other tasks.
    cv2.setNumThreads(1)
    os.environ["OPENCV_FOR_THREADS_NUM"] = "1"  # Of the process that decodes.
    task = TaskContext.get()
    is_last_try = task is not None and task.attemptNumber() >= _TRIES - 1
    added = {kind: AddedHistogram(model) for kind, model in _MODELS.items()}
    report = _Report()
    for image in images:
        try:
            if not force and (refusal := refusal_for_kills(image.kills, image.image)):
                raise UnsupportedImage(refusal)
            found = colors_of(image.image, settings, image.image_sha256, limits, image.weights)
        except (UnsupportedImage, DecoderEnded) as error:
            if isinstance(error, ChangedImage) or (isinstance(error, DecoderEnded) and not is_last_try):
                raise
            report += _Report(left_out={image.name: str(error)})
            continue
        has_alpha = found.model is RGBA
        added[_RGBA_COLORS if has_alpha else _RGB_COLORS].add(found.colors)
        added[_RGBA_FLAT if has_alpha else _RGB_FLAT].add(found.flat)
        report += _Report(not has_alpha, has_alpha, found.pixels, found.colors.pixels)
        for kind, histogram in added.items():
            if len(histogram) > _MAX_ROWS:
                yield from _given_away(kind, histogram.total(), shares)
                added[kind] = AddedHistogram(_MODELS[kind])
    for kind, histogram in added.items():
        if len(histogram):
            yield from _given_away(kind, histogram.total(), shares)
    yield _REPORT, report


def _given_away(kind: int, histogram: ColorHistogram, shares: int) -> Iterator[tuple[int, Share]]:
    for share, part in enumerate(in_shares(histogram, shares)):
        if part[0]:
            yield share * _KINDS + kind, part


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, _Report):
        return one + other
    # The model's own sum needs its kind, which a value does not have: this one is right for both.
    return as_share(RGBA.merge_histograms([histogram_of(one), histogram_of(other)]))
