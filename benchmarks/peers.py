"""Other quantizers, each as it would be used for the lowest error, without dithering.

A peer takes an image uint8 (H, W, 3) and k, and returns the seconds it took and the picture it made, uint8
(H, W, 3). What a peer does not do itself (unique colors before, remap after) is not in its time.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from colorquant import quantize
from colorquant.colors import count_colors, unpack_colors
from colorquant.remap import remap

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Peer = Callable[[np.ndarray, int], tuple[float, np.ndarray]]

_PACKAGES = (
    "numpy",
    "numba",
    "scikit-learn",
    "bkmeans",
    "faiss-cpu",
    "imagequant",
    "pillow",
    "pyspark",
    "opencv-python-headless",
    "opencv-python",
)


def colorquant(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """Our own quantizer, from pixels to palette and index map."""
    start = time.perf_counter()
    result = quantize(pixels, k)
    seconds = time.perf_counter() - start
    return seconds, result.palette[result.indexes]


def scikit_learn(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """KMeans(n_init=1) on the unique colors with their counts as weights; only ``fit`` is timed."""
    from sklearn.cluster import KMeans

    histogram = count_colors(pixels)
    colors = unpack_colors(histogram.colors).astype(np.float64)
    start = time.perf_counter()
    model = KMeans(min(k, len(colors)), n_init=1, random_state=0).fit(colors, sample_weight=histogram.counts)
    return time.perf_counter() - start, _painted(pixels, model.cluster_centers_)


def breathing(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """Breathing K-Means (Fritzke, 2020; the package bkmeans) on the unique colors with their counts as weights.

    The package takes weights, but does not count them in the errors and utilities that say where it breathes: then it
    is no better than scikit-learn. Here it does, and finds what it finds on all pixels. Only ``fit`` is timed.
    """
    from bkmeans import BKMeans
    from scipy.spatial.distance import cdist

    histogram = count_colors(pixels)
    colors, counts = unpack_colors(histogram.colors).astype(np.float64), histogram.counts
    k = min(k, len(colors))

    class Weighted(BKMeans):
        def get_error(self, points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
            squared = cdist(points, centroids, "sqeuclidean")
            return np.bincount(squared.argmin(1), counts * squared.min(1), len(centroids))

        def get_utility(self, points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
            squared = cdist(points, centroids, "sqeuclidean")
            nearest, two = squared.argmin(1), np.partition(squared, 1)[:, :2]
            return np.bincount(nearest, counts * (two[:, 1] - two[:, 0]), len(centroids))

    start = time.perf_counter()
    # It adds m centroids for a while, and needs a color for each of them.
    model = Weighted(m=min(5, len(colors) - k), n_clusters=k, random_state=0)
    model.fit(colors, sample_weight=counts)
    return time.perf_counter() - start, _painted(pixels, model.cluster_centers_)


def faiss(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """faiss.Kmeans, 25 rounds, on the unique colors with their counts as weights."""
    import faiss as library

    histogram = count_colors(pixels)
    colors = unpack_colors(histogram.colors).astype(np.float32)
    model = library.Kmeans(
        3, min(k, len(colors)), niter=25, seed=1, max_points_per_centroid=1 << 24, min_points_per_centroid=1
    )
    start = time.perf_counter()
    model.train(colors, weights=histogram.counts.astype(np.float32))
    return time.perf_counter() - start, _painted(pixels, model.centroids)


def opencv(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """cv2.kmeans on all pixels, k-means++ seeds, one attempt, its tutorial's criteria (10 rounds, 1.0)."""
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    cv2.setRNGSeed(0)
    start = time.perf_counter()
    samples = pixels.reshape(-1, 3).astype(np.float32)
    _, _, centers = cv2.kmeans(samples, k, None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    return time.perf_counter() - start, _painted(pixels, centers)


def spark_mllib(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """KMeans of Spark's machine learning library, its defaults (k-means||, 20 rounds), local, two threads.

    On the unique colors with their counts as weights, cached; only ``fit`` is timed.
    """
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.linalg import Vectors

    histogram = count_colors(pixels)
    colors, counts = unpack_colors(histogram.colors).tolist(), histogram.counts.tolist()
    rows = [(Vectors.dense(color), float(count)) for color, count in zip(colors, counts, strict=True)]
    frame = _spark_session().createDataFrame(rows, ["features", "weight"]).repartition(2).cache()
    frame.count()
    start = time.perf_counter()
    model = KMeans(k=k, seed=1, weightCol="weight").fit(frame)
    seconds = time.perf_counter() - start
    frame.unpersist()
    return seconds, _painted(pixels, np.array(model.clusterCenters()))


@cache
def _spark_session() -> "SparkSession":
    from pyspark.sql import SparkSession

    conf = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.log.level": "ERROR"}
    builder = SparkSession.builder.master("local[2]").appName("benchmark")
    for name, value in conf.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def pillow(method: Image.Quantize) -> Peer:
    """Pillow's quantize with one of its methods."""

    def quantize_with(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
        image = Image.fromarray(pixels)
        start = time.perf_counter()
        result = image.quantize(k, method=method, dither=Image.Dither.NONE)
        return time.perf_counter() - start, np.asarray(result.convert("RGB"))

    return quantize_with


def libimagequant(speed: int) -> Peer:
    """libimagequant through its own functions (the Python wrapper converts pixels slowly); speed 1 is its best.

    Takes and makes pixels (H, W, 4) too.
    """

    def quantize_with(pixels: np.ndarray, k: int) -> tuple[float, np.ndarray]:
        from imagequant import ffi, lib

        height, width = pixels.shape[:2]
        channels = pixels.shape[2]
        opaque = np.full((height, width), 255, np.uint8)
        rgba = (pixels if channels == 4 else np.dstack([pixels, opaque])).tobytes()
        indexes, result = ffi.new("char[]", width * height), ffi.new("liq_result**")
        start = time.perf_counter()
        attributes = lib.liq_attr_create()
        lib.liq_set_max_colors(attributes, k)
        lib.liq_set_speed(attributes, speed)
        image = lib.liq_image_create_rgba(attributes, rgba, width, height, 0)
        if lib.liq_image_quantize(image, attributes, result) != lib.LIQ_OK:
            raise RuntimeError("libimagequant could not quantize the image")
        lib.liq_set_dithering_level(result[0], 0.0)
        lib.liq_write_remapped_image(result[0], image, indexes, width * height)
        seconds = time.perf_counter() - start
        entries = lib.liq_get_palette(result[0])
        colors = [entries.entries[i] for i in range(entries.count)]
        palette = np.array([[c.r, c.g, c.b, c.a][:channels] for c in colors], np.uint8)
        picture = palette[np.frombuffer(ffi.buffer(indexes), np.uint8).reshape(height, width)]
        lib.liq_result_destroy(result[0])
        lib.liq_image_destroy(image)
        lib.liq_attr_destroy(attributes)
        return seconds, picture

    return quantize_with


#: The palette sizes that sharp can be asked for: it takes the largest palette of the bit depth that k needs.
SHARP_KS = (2, 4, 16, 256)

# Raw pixels on standard input, the PNG on standard output.
_SHARP = """
const [width, height, colours] = process.argv.slice(1).map(Number);
require("sharp")(require("fs").readFileSync(0), { raw: { width, height, channels: 3 } })
  .png({ palette: true, colours, dither: 0, effort: 10 })
  .toBuffer()
  .then((png) => process.stdout.write(png));
"""


def sharp_png(pixels: np.ndarray, k: int) -> bytes:
    """The PNG of the Node package sharp: libimagequant through libvips, at its highest effort, without dithering."""
    height, width = pixels.shape[:2]
    command = ["node", "-e", _SHARP, str(width), str(height), str(k)]
    return subprocess.run(command, input=np.ascontiguousarray(pixels).tobytes(), capture_output=True, check=True).stdout


@cache
def sharp_version() -> str | None:
    """The version of sharp, where Node finds it: in ``node_modules`` here, or in a folder of NODE_PATH."""
    if not shutil.which("node"):
        return None
    command = ["node", "-p", "require('sharp').versions.sharp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def installed() -> dict[str, Peer]:
    """Our own quantizer and every peer that can be imported, by the name in the table."""
    peers: dict[str, Peer] = {"colorquant": colorquant}
    if find_spec("sklearn"):
        peers["scikit-learn KMeans"] = scikit_learn
    if find_spec("bkmeans"):
        peers["breathing K-Means"] = breathing
    if find_spec("faiss"):
        peers["faiss Kmeans"] = faiss
    if find_spec("imagequant"):
        peers["libimagequant speed 1"] = libimagequant(1)
        peers["libimagequant speed 4"] = libimagequant(4)
    peers["Pillow median cut"] = pillow(Image.Quantize.MEDIANCUT)
    peers["Pillow octree"] = pillow(Image.Quantize.FASTOCTREE)
    peers["cv2.kmeans"] = opencv
    peers["Spark MLlib KMeans"] = spark_mllib
    return peers


def versions() -> dict[str, str]:
    """Versions of what was measured, where installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | ({"sharp": sharp_version()} if sharp_version() else {})


def _painted(pixels: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    palette = np.clip(np.floor(np.asarray(centroids, np.float64) + 0.5), 0, 255).astype(np.uint8)
    return palette[remap(pixels, palette)]
