"""Images with soft edges beside libimagequant, in one run: ``python -m benchmarks.transparency IMAGES``.

Errors are the mean of those on black and on white (``alpha_metrics``); bytes are by this project's encoder for
both, so that the quantizers alone differ. Every image is made here: photographs with a feathered edge, overlapping
translucent discs, a shape with a drop shadow, smoke.
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.folders import TABLES, images_in
from benchmarks.peers import libimagequant, versions
from colorquant import quantize
from colorquant.alpha import pack, unpack
from colorquant.decode import read_image
from colorquant.encode import encode_indexed_png
from colorquant.quality import measures

SIZES = (4, 16, 64, 256)


def main() -> None:
    """Measure, print the table and write ``transparency.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of photographs")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()
    quantize(np.zeros((2, 2, 4), np.uint8), 1)  # The kernels are compiled before anything is timed.
    lines = [
        "| image | k | error | libimagequant | ratio | bytes ratio | time ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    ratios: dict[int, list[tuple[float, float, float]]] = {k: [] for k in SIZES}
    for name, pixels in soft_images(arguments.images):
        for k in SIZES:
            ours, theirs = measured(pixels, k)
            ratio = tuple(a / b for a, b in zip(ours, theirs, strict=True))
            ratios[k].append((ratio[0], ratio[1], ratio[2]))
            lines.append(
                f"| {name} | {k} | {ours[0]:.2f} | {theirs[0]:.2f} | " + " | ".join(f"{r:.3f}" for r in ratio) + " |"
            )
            print(lines[-1], flush=True)
    for k, values in ratios.items():
        means = [math.exp(sum(map(math.log, column)) / len(column)) for column in zip(*values, strict=True)]
        lines.append(
            f"| geometric mean of {len(values)} | {k} | | | " + " | ".join(f"{mean:.3f}" for mean in means) + " |"
        )
    software = ", ".join(f"{name} {number}" for name, number in versions().items())
    report = f"Ratios: colorquant / libimagequant speed 1. {software}\n\n" + "\n".join(lines) + "\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "transparency.md").write_text(report)
    print(report)


def measured(pixels: np.ndarray, k: int) -> tuple[tuple[float, int, float], tuple[float, int, float]]:
    """Error, bytes and seconds of this project and of libimagequant."""
    before = time.perf_counter()
    image = quantize(pixels, k)
    seconds = time.perf_counter() - before
    their_seconds, their_picture = libimagequant(1)(pixels, k)
    colors, places = np.unique(pack(their_picture), return_inverse=True)
    encoded = encode_indexed_png(image.palette, image.indexes)
    their_encoded = encode_indexed_png(unpack(colors), places.reshape(pixels.shape[:2]).astype(np.uint8))
    return (
        (measures.mean_squared_error(pixels, image.palette[image.indexes]), len(encoded), seconds),
        (measures.mean_squared_error(pixels, their_picture), len(their_encoded), their_seconds),
    )


def soft_images(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pixels uint8 (H, W, 4)."""
    for path in images_in(folder):
        pixels = read_image(path).pixels[..., :3]
        scale = min(1.0, 640 / max(pixels.shape[:2]))
        pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        yield f"{path.stem}, feathered", np.dstack([pixels, _feathered(*pixels.shape[:2])])
    yield "discs", _discs(256)
    yield "drop shadow", _drop_shadow(300, 400)
    yield "smoke", _smoke(320)


def _feathered(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    return (np.clip((0.9 - radius) / 0.25, 0, 1) * 255).astype(np.uint8)


def _over(below: np.ndarray, color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Premultiplied float (H, W, 4) under a color of some alpha (H, W), 0 to 1."""
    layer = np.dstack([np.broadcast_to(color, (*alpha.shape, 3)) * alpha[..., None], alpha])
    return layer + below * (1 - alpha[..., None])


def _straight(premultiplied: np.ndarray) -> np.ndarray:
    alpha = premultiplied[..., 3:]
    return np.rint(np.dstack([premultiplied[..., :3] / np.maximum(alpha, 1e-9), 255 * alpha])).astype(np.uint8)


def _discs(side: int) -> np.ndarray:
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:side, 0:side]
    picture = np.zeros((side, side, 4))
    for _ in range(12):
        left, top, radius = random.integers(0, side), random.integers(0, side), random.integers(20, 80)
        alpha = np.clip(radius - np.hypot(x - left, y - top) + 0.5, 0, 1) * random.uniform(0.35, 1)
        picture = _over(picture, random.integers(0, 256, 3).astype(float), alpha)
    return _straight(picture)


def _drop_shadow(height: int, width: int) -> np.ndarray:
    shape = np.zeros((height, width))
    shape[height // 4 : -height // 4, width // 5 : -width // 5] = 1
    y, x = np.mgrid[0:height, 0:width]
    color = np.dstack([255 * x / width, np.full_like(x, 120), 255 * y / height])
    shadow = _over(np.zeros((height, width, 4)), np.zeros(3), 0.6 * cv2.GaussianBlur(shape, (0, 0), 20))
    return _straight(_over(shadow, color, cv2.GaussianBlur(shape, (0, 0), 0.7)))


def _smoke(side: int) -> np.ndarray:
    random = np.random.default_rng(5)
    noise = cv2.resize(random.uniform(0, 255, (40, 40)), (side, side), interpolation=cv2.INTER_CUBIC)
    color = cv2.resize(random.uniform(0, 255, (8, 8, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.dstack([color, (noise - 90) * 2]), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
