"""Bands: rows of an image as Spark carries them, and how pixels reach the workers and indexes come back.

On one machine (master ``local``) workers map the driver's files, and nothing passes the JVM. On a cluster a band's
bytes travel to an executor once, are kept there for the remap, and its indexes travel back once. Both ways give the
same bytes.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from pyspark import RDD, SparkContext, StorageLevel

from colorquant.remap import BAND_ROWS

if TYPE_CHECKING:
    Remap = Callable[[np.ndarray], np.ndarray]

#: How executors keep what is used again: as the bytes that it is. As a serialized block, Spark would compress it, and
#: start a serializer (Kryo) first.
KEPT = StorageLevel.MEMORY_AND_DISK_DESER
#: A band holds at most this many pixels (12 MiB as RGB), so that a task's memory does not grow with the image.
BAND_PIXELS = 1 << 22
#: Below this a second task costs more than it saves.
LEAST_BAND_PIXELS = 1 << 20


class Band(Protocol):
    """Some rows of an image, where a worker can get at them."""

    def pixels(self) -> np.ndarray:
        """uint8 (h, W, 3 or 4)."""


@dataclass(frozen=True)
class MappedBand:
    """Rows ``top`` to ``bottom`` of a file of raw pixels, which a worker on the same machine maps."""

    path: str
    shape: tuple[int, ...]
    top: int
    bottom: int

    def pixels(self) -> np.ndarray:
        """uint8 (h, W, 3 or 4); read by the first touch, and shared with all other processes that map it."""
        return np.memmap(self.path, np.uint8, "r", shape=self.shape)[self.top : self.bottom]


@dataclass(frozen=True)
class CarriedBand:
    """Rows that travel as bytes."""

    row: tuple[int, ...]
    rows: bytes

    def pixels(self) -> np.ndarray:
        """uint8 (h, W, 3 or 4)."""
        return np.frombuffer(self.rows, np.uint8).reshape(-1, *self.row)


class MappedImage:
    """An image in a file that driver and workers map. For masters whose workers are on this machine.

    Parameters
    ----------
    context : SparkContext
    pixels : uint8 (H, W, 3 or 4)
    bands : int
    folder : where the files are made; they have no name there, and so vanish with the driver however it ends.
    """

    def __init__(self, context: SparkContext, pixels: np.ndarray, bands: int, folder: str) -> None:
        self._shape = pixels.shape[:2]
        self._folder = folder
        self._pixels, path = _nameless_file(folder)
        self._pixels.write(np.ascontiguousarray(pixels).data)
        self._pixels.flush()
        rows = [MappedBand(path, pixels.shape, top, bottom) for top, bottom in _edges(pixels.shape[0], bands)]
        self.bands: RDD[Band] = context.parallelize(rows, len(rows))

    def remap(self, remap: "Remap") -> np.ndarray:
        """Index map uint8 (H, W), which the workers write to one file, each its rows."""
        shape = self._shape
        # A file for each remap: whoever keeps an index map keeps it also when there is another one.
        indexes, path = _nameless_file(self._folder)
        indexes.truncate(shape[0] * shape[1])
        if hasattr(os, "posix_fallocate"):
            # On a full disk this says so; a worker that writes to a hole in a file is killed.
            os.posix_fallocate(indexes.fileno(), 0, shape[0] * shape[1])

        def write(band: Band) -> None:
            assert isinstance(band, MappedBand)
            np.memmap(path, np.uint8, "r+", shape=shape)[band.top : band.bottom] = remap(band.pixels())

        self.bands.foreach(write)
        with indexes:  # The mapping lives as long as the array does, and the file as long as the mapping.
            return np.asarray(np.memmap(indexes, np.uint8, "r", shape=shape))


class CarriedImage:
    """An image whose bands travel to the executors of a cluster.

    Parameters
    ----------
    context : SparkContext
    pixels : uint8 (H, W, 3 or 4)
    bands : int
    """

    def __init__(self, context: SparkContext, pixels: np.ndarray, bands: int) -> None:
        self._shape = pixels.shape[:2]
        rows: Any = _CarriedBands(pixels, bands)
        # Kept by the executors: the remap needs the same pixels again, and they should travel once.
        self.bands: RDD[Band] = context.parallelize(rows, bands).persist(KEPT)

    def remap(self, remap: "Remap") -> np.ndarray:
        """Index map uint8 (H, W), collected band by band."""
        rows = self.bands.map(lambda band: remap(band.pixels()).tobytes()).collect()
        return np.frombuffer(b"".join(rows), np.uint8).reshape(self._shape)


class _CarriedBands:
    """The bands of an image, each made when it is asked for: the driver never holds a second copy of the image."""

    def __init__(self, pixels: np.ndarray, bands: int) -> None:
        self._pixels = pixels
        self._edges = list(_edges(pixels.shape[0], bands))

    def __len__(self) -> int:
        return len(self._edges)

    def __iter__(self) -> Iterator[CarriedBand]:
        row = self._pixels.shape[1:]
        return (CarriedBand(row, self._pixels[top:bottom].tobytes()) for top, bottom in self._edges)


def number_of_bands(shape: tuple[int, ...], parallelism: int) -> int:
    """How many bands an image (H, W, ...) is cut into by default: for so many cores, neither tiny nor large ones."""
    pixels = shape[0] * shape[1]
    wanted = min(parallelism, pixels // LEAST_BAND_PIXELS)
    return min(shape[0], max(1, wanted, -(-pixels // BAND_PIXELS)))


def _nameless_file(folder: str) -> tuple[IO[bytes], str]:
    """A temporary file, and the path by which this user's processes on this machine can open it."""
    if not os.path.isdir("/proc/self/fd"):
        named = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115  (open as long as the image)
        return named, named.name
    file = tempfile.TemporaryFile(dir=folder)
    return file, f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _edges(height: int, bands: int) -> Iterator[tuple[int, int]]:
    """First and last row of each band; cut where a rate-aware remap may be cut."""
    units = most_bands(height)
    cuts = [min(height, BAND_ROWS * (units * band // bands)) for band in range(bands + 1)]
    return pairwise(cuts)


def most_bands(height: int) -> int:
    """How many bands an image of so many rows can be cut into."""
    return -(-height // BAND_ROWS)
