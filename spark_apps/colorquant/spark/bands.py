"""Bands: rows of an image on Spark, how their pixels reach the workers, and how the indexes come back.

On one machine (master ``local``) workers map the driver's files into memory, and no pixel passes through the JVM. On a
cluster the bytes of a band travel to an executor once and stay there for the remap, and its indexes travel back once.
Both ways give the same bytes.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from pyspark import RDD, SparkContext, StorageLevel

from colorquant.arithmetic import ceil_div
from colorquant.pixels import Pixels
from colorquant.remap import BAND_ROWS

if TYPE_CHECKING:
    Remap = Callable[[Pixels], Pixels]

#: How executors store what is used again: as it is, in bytes. Spark would compress a serialized block, and first start
#: a serializer (Kryo).
KEPT = StorageLevel.MEMORY_AND_DISK_DESER
#: Most pixels of a band (12 MiB as RGB), so that a task's memory does not grow with the image.
MAX_BAND_PIXELS = 1 << 22
#: In a smaller band, a second task costs more than it saves.
MIN_BAND_PIXELS = 1 << 20


class Band(Protocol):
    """Some rows of an image, as a worker gets them."""

    def pixels(self) -> Pixels:
        """uint8 (h, W, 3 or 4)."""


@dataclass(frozen=True)
class MappedBand:
    """Rows ``top`` to ``bottom`` of a file of raw pixels, which a worker on the same machine maps into memory."""

    path: str
    shape: tuple[int, ...]
    top: int
    bottom: int

    def pixels(self) -> Pixels:
        """uint8 (h, W, 3 or 4); read on first access, and shared with all processes that map the file."""
        return np.memmap(self.path, np.uint8, "r", shape=self.shape)[self.top : self.bottom]


@dataclass(frozen=True)
class CarriedBand:
    """Rows that travel as bytes; ``row`` is the shape (W, 3 or 4) of each."""

    row: tuple[int, ...]
    rows: bytes

    def pixels(self) -> Pixels:
        """uint8 (h, W, 3 or 4)."""
        return np.frombuffer(self.rows, np.uint8).reshape(-1, *self.row)


class MappedImage:
    """An image in a file that driver and workers map into memory, for masters whose workers run on this machine.

    Parameters
    ----------
    context : SparkContext
    pixels : uint8 (H, W, 3 or 4)
    bands : int
    folder : str
        Where the files are made. They have no names there, so they vanish with the driver however it ends.
    """

    def __init__(self, context: SparkContext, pixels: Pixels, bands: int, folder: str) -> None:
        self._shape = pixels.shape[:2]
        self._folder = folder
        self._pixels, path = _nameless_file(folder)
        self._pixels.write(np.ascontiguousarray(pixels).data)
        self._pixels.flush()
        rows = [MappedBand(path, pixels.shape, top, bottom) for top, bottom in _edges(pixels.shape[0], bands)]
        self.bands: RDD[Band] = context.parallelize(rows, len(rows))

    def remap(self, remap: "Remap") -> Pixels:
        """Index map uint8 (H, W). The workers write it to one file, each worker its rows."""
        shape = self._shape
        # A file for each remap: an earlier index map may still be in use.
        indexes, path = _nameless_file(self._folder)
        indexes.truncate(shape[0] * shape[1])
        if hasattr(os, "posix_fallocate"):
            # This fails on a full disk. Without it, a worker that writes to a hole in the file is killed.
            os.posix_fallocate(indexes.fileno(), 0, shape[0] * shape[1])

        def write(band: Band) -> None:
            assert isinstance(band, MappedBand)
            np.memmap(path, np.uint8, "r+", shape=shape)[band.top : band.bottom] = remap(band.pixels())

        self.bands.foreach(write)
        with indexes:  # The file lives as long as the mapping, and that as long as the array.
            return np.asarray(np.memmap(indexes, np.uint8, "r", shape=shape))


class CarriedImage:
    """An image whose bands travel to the executors of a cluster.

    Parameters
    ----------
    context : SparkContext
    pixels : uint8 (H, W, 3 or 4)
    bands : int
    """

    def __init__(self, context: SparkContext, pixels: Pixels, bands: int) -> None:
        self._shape = pixels.shape[:2]
        rows: Any = _CarriedBands(pixels, bands)
        # The executors keep the pixels, which the remap needs again: so they travel once.
        self.bands: RDD[Band] = context.parallelize(rows, bands).persist(KEPT)

    def remap(self, remap: "Remap") -> Pixels:
        """Index map uint8 (H, W), collected band by band."""
        rows = self.bands.map(lambda band: remap(band.pixels()).tobytes()).collect()
        return np.frombuffer(b"".join(rows), np.uint8).reshape(self._shape)


class _CarriedBands:
    """The bands of an image, made one by one, so that the driver never holds a second copy of the image."""

    def __init__(self, pixels: Pixels, bands: int) -> None:
        self._pixels = pixels
        self._edges = list(_edges(pixels.shape[0], bands))

    def __len__(self) -> int:
        return len(self._edges)

    def __iter__(self) -> Iterator[CarriedBand]:
        row = self._pixels.shape[1:]
        return (CarriedBand(row, self._pixels[top:bottom].tobytes()) for top, bottom in self._edges)


def number_of_bands(shape: tuple[int, ...], parallelism: int) -> int:
    """The default number of bands of an image (H, W, ...): one for each core, but neither tiny nor large ones."""
    pixels = shape[0] * shape[1]
    wanted = min(parallelism, pixels // MIN_BAND_PIXELS)
    return min(shape[0], max(1, wanted, ceil_div(pixels, MAX_BAND_PIXELS)))


def _nameless_file(folder: str) -> tuple[IO[bytes], str]:
    """A temporary file, and the path by which this user's processes on this machine can open it."""
    if not os.path.isdir("/proc/self/fd"):
        named = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115  (open as long as the image)
        return named, named.name
    file = tempfile.TemporaryFile(dir=folder)
    return file, f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _edges(height: int, bands: int) -> Iterator[tuple[int, int]]:
    """First row and end row (exclusive) of each band; bands begin where a rate-aware remap may begin."""
    units = max_bands(height)
    cuts = [min(height, BAND_ROWS * (units * band // bands)) for band in range(bands + 1)]
    return pairwise(cuts)


def max_bands(height: int) -> int:
    """The largest number of bands of an image with ``height`` rows."""
    return ceil_div(height, BAND_ROWS)
