"""One palette for several images: their colors are counted one by one, added up, and solved for once for each k.

Histograms are exact whole numbers, so the palette does not depend on the order of the images or on who counted which.
``colors_of`` counts an image, ``AddedColors`` adds images up, and ``find_shared_palette`` solves and writes. Nothing
here knows Spark, which counts the images of a large library (``colorquant.spark``).
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from colorquant.colors import ColorHistogram
from colorquant.compress.weights import weighted
from colorquant.decode import changed, read_image
from colorquant.encode import luminance_order
from colorquant.hex_colors import OPAQUE, Color, colors_text
from colorquant.jobs import SharedPalette, WeightsFile, settings_of_palette
from colorquant.limits import DEFAULT_LIMITS, Limits
from colorquant.palettes import palette_files
from colorquant.perception import flat_colors
from colorquant.pixels import Pixels
from colorquant.quantizer import (
    FULL_WEIGHT,
    RGB,
    RGBA,
    ColorModel,
    ColorSource,
    HistogramSource,
    PixelSource,
    WeightedColors,
    color_model,
    kept_colors,
    solve,
)
from colorquant.settings import Settings
from colorquant.storage import write_atomically

# What all pixels of an image count together where every image counts the same. Sums of a million images then have less
# than 63 bits; the shares of an image's colors are off by at most one part in 2^24 of it.
_IMAGE_WEIGHT = 1 << 24
_OPAQUE = np.uint32(0xFF000000)
# Histograms are merged when so many rows wait, and at least as many as there are merged ones: each row is then merged
# as often as the logarithm of their number.
_MIN_WAITING = 1 << 19


@dataclass(frozen=True, eq=False)
class ImageColors:
    """The colors of an image, and of its flat areas (``perception.flat_colors``), as they count in a common palette.

    Attributes
    ----------
    model : ColorModel
        RGBA where pixels are transparent.
    colors, flat : ColorHistogram
    pixels : int
        Number of pixels.
    """

    model: ColorModel
    colors: ColorHistogram
    flat: ColorHistogram
    pixels: int


def colors_of(
    image: str,
    settings: Settings,
    expected_sha256: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    weights: WeightsFile | None = None,
) -> ImageColors:
    """Decode an image and count its colors.

    Parameters
    ----------
    image : path or URI of the file.
    settings : Settings
        Of which ``palette_counts`` and ``weights`` count.
    expected_sha256, limits, weights : as of ``compress_image``.

    Raises
    ------
    UnsupportedImage
        The image cannot be decoded. A retry is useless.
    """
    decoded = read_image(image, limits)
    if expected_sha256 not in (None, decoded.sha256):
        raise changed(image)
    found = None
    if weights is not None:
        found, _ = weighted(PixelSource(decoded.pixels), decoded.pixels, weights, limits)
    return count(decoded.pixels, settings, found)


def count(pixels: Pixels, settings: Settings, found: WeightedColors | None = None) -> ImageColors:
    """The colors of pixels uint8 (H, W, 3 or 4), by their weights where they have any."""
    model = color_model(pixels)
    if found is not None:
        colors, flat = found.histogram, found.flat_colors()
    else:
        # Among images with weights, one without counts as if it were all white.
        each = FULL_WEIGHT if settings.weights else 1
        colors, flat = (
            ColorHistogram(counted.colors, counted.counts * each)
            for counted in (model.count_colors(pixels), flat_colors(pixels))
        )
    total = colors.pixels
    if settings.palette_counts == "images":
        colors, flat = (
            ColorHistogram(each.colors, np.maximum(_scaled(each.counts, total), 1)) for each in (colors, flat)
        )
    return ImageColors(model, colors, flat, pixels.shape[0] * pixels.shape[1])


def _scaled(counts: np.ndarray, pixels: int) -> np.ndarray:
    """Counts int64 (n,) of an image's pixels, so that together they are ``_IMAGE_WEIGHT`` or a little less."""
    # A quotient and a remainder, so that products stay below 64 bits.
    whole, rest = divmod(_IMAGE_WEIGHT, pixels)
    return counts * whole + counts * rest // pixels


@dataclass
class AddedHistogram:
    """A histogram to which others are added; the sum is exact, whatever their order."""

    model: ColorModel
    _parts: list[ColorHistogram] = field(default_factory=list)
    _waiting: int = 0

    def add(self, part: ColorHistogram) -> None:
        """Add a histogram."""
        self._parts.append(part)
        self._waiting += len(part)
        if self._waiting > max(_MIN_WAITING, 2 * len(self._parts[0])):
            self.total()

    def total(self) -> ColorHistogram:
        """The sum so far."""
        self._parts = [self.model.merge_histograms(self._parts)]
        self._waiting = len(self._parts[0])
        return self._parts[0]

    def __len__(self) -> int:
        """Rows in memory."""
        return sum(map(len, self._parts))


class AddedColors:
    """The colors of images, added up in this process."""

    def __init__(self) -> None:
        self.images, self.pixels = 0, 0
        self._colors = {model.channels: AddedHistogram(model) for model in (RGB, RGBA)}
        self._flat = {model.channels: AddedHistogram(model) for model in (RGB, RGBA)}

    def add(self, image: ImageColors) -> None:
        """Add an image."""
        self.images += 1
        self.pixels += image.pixels
        self._colors[image.model.channels].add(image.colors)
        self._flat[image.model.channels].add(image.flat)

    def source(self) -> HistogramSource:
        """The colors of all images: with alpha where one image has it."""
        model, colors = in_one_model({channels: added.total() for channels, added in self._colors.items()})
        _, flat = in_one_model({channels: added.total() for channels, added in self._flat.items()}, model)
        return HistogramSource(model, colors, flat)


def in_one_model(
    parts: Mapping[int, ColorHistogram], model: ColorModel | None = None
) -> tuple[ColorModel, ColorHistogram]:
    """The sum of histograms of images without (3) and with alpha (4); by default RGBA where there are any of those."""
    model = model or (RGBA if len(parts[4]) else RGB)
    return (model, parts[3]) if model is RGB else (model, RGBA.merge_histograms([as_rgba(parts[3]), parts[4]]))


def as_rgba(histogram: ColorHistogram) -> ColorHistogram:
    """A histogram of colors without alpha as one of opaque colors."""
    return ColorHistogram(histogram.colors | _OPAQUE, histogram.counts)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What made a palette; each field is that of ``SharedPalette`` with its name."""

    name: str
    folder: str
    images: int
    pixels: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def find_shared_palette(
    source: ColorSource,
    k: int,
    settings: Settings,
    path: str,
    of: Origin,
    pool: Executor | None = None,
) -> SharedPalette:
    """Solve for a palette of at most k colors and write its files: for people first, its record last.

    Parameters
    ----------
    source : ColorSource
        Of all images.
    k, settings, pool : as of ``solve``
    path : path or URI of the record.
    of : Origin

    Raises
    ------
    OSError
        Writing failed for a reason that may go away.
    """
    solution = solve(source, k, settings, pool)
    kept = len(kept_colors(settings, source.model.channels))
    # Kept colors first, in their order; the others from light to dark, as people read a palette.
    order = np.concatenate([np.arange(kept), kept + luminance_order(solution.palette[kept:])])
    entries: list[Color] = [(*row[:3], row[3] if len(row) > 3 else OPAQUE) for row in solution.palette[order].tolist()]
    weight = int(source.cells().counts.sum())
    stem = path.removesuffix(".json")
    for suffix, content in palette_files(entries, f"{of.name} k={k}").items():
        write_atomically(f"{stem}{suffix}", content)
    palette = SharedPalette(
        name=of.name,
        folder=of.folder,
        k=k,
        colors=colors_text(entries),
        images=of.images,
        pixels=of.pixels,
        mse=solution.inertia / weight,
        seed=settings.seed,
        settings=settings_of_palette(settings),
        left_out=dict(sorted(of.left_out.items())),
    )
    palette.write(path)
    return palette
