"""Bytes against quality of quantizers, side by side in one run: ``python -m benchmarks.rate_distortion IMAGES``.

The Bjontegaard delta rate (Bjontegaard, 2001; by the library bjontegaard, Akima interpolation) is the mean difference
in bytes at equal quality over the palette sizes given; negative: colorquant's files are smaller. Every peer's picture
is encoded twice: by colorquant's own encoder, which compares the quantizers alone, and by Pillow with
``optimize=True``, which is what a program around that quantizer writes. pngquant 3 and sharp, where installed, write
their own files, without dithering. Images with transparent pixels are left out: most peers take three channels.
"""

import argparse
import math
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import bjontegaard
import numpy as np

from benchmarks import pngquant
from benchmarks.folders import TABLES, images_in
from benchmarks.peers import SHARP_KS, Peer, installed, sharp_png, sharp_version, versions
from benchmarks.png_bytes import pillow_png
from benchmarks.tables import Row, recorded
from colorquant import quantize
from colorquant.decode import decode_output, read_image
from colorquant.encode import encode_indexed_png
from colorquant.quality import measures

OURS = "colorquant"
RGB = 3
MIN_POINTS = 3  # of a curve.
MIN_SSIMULACRA2 = 0.0  # Its scale has no end below, where nobody publishes: that would outweigh all that counts.
STRENGTHS = (0.05, 0.1, 0.25, 0.5)
Curve = list[tuple[float, float]]


def main() -> None:
    """Measure, and write ``rate_distortion.md`` and ``rate_distortion.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--k", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--every", type=int, default=1, help="only every n-th image")
    parser.add_argument("--skip", nargs="*", default=[], help="peers to leave out")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()

    paths = images_in(arguments.images)
    paths = paths[:: arguments.every]
    peers = {name: peer for name, peer in installed().items() if name not in arguments.skip}
    rows = recorded(measure(paths, peers, arguments.k), arguments.output / "rate_distortion.csv")
    tables = [_table(rows, measure) for measure in ("PSNR", "SSIM", "SSIMULACRA2")]
    report = "\n\n".join([_conditions(len({row["image"] for row in rows}), arguments.k), *tables]) + "\n"
    (arguments.output / "rate_distortion.md").write_text(report)
    print(report)


def measure(paths: Iterable[Path], peers: dict[str, Peer], ks: Iterable[int]) -> Iterator[Row]:
    """Yield one row for each image, k, quantizer and encoder; every number is measured on the decoded file."""
    for path in paths:
        pixels = read_image(path).pixels
        if pixels.shape[2] != RGB:
            continue
        for k in ks:
            for (quantizer, encoder), encode in _encoders(pixels, k, peers):
                start = time.perf_counter()
                content = encode()
                seconds = time.perf_counter() - start
                decoded = decode_output(content)
                psnr = measures.psnr_db(measures.mean_squared_error(pixels, decoded))
                yield {
                    "image": path.stem,
                    "k": k,
                    "quantizer": quantizer,
                    "encoder": encoder,
                    "bytes": len(content),
                    "psnr_db": math.inf if psnr is None else round(psnr, 6),
                    "ssim": round(measures.structural_similarity(pixels, decoded), 8),
                    "ssimulacra2": round(measures.perceptual_similarity(pixels, decoded), 6),
                    "seconds": round(seconds, 6),
                }


def _encoders(
    pixels: np.ndarray, k: int, peers: dict[str, Peer]
) -> Iterator[tuple[tuple[str, str], Callable[[], bytes]]]:
    for name, peer in peers.items():
        palette, indexes = _indexed(peer(pixels, k)[1])
        yield (name, OURS), partial(encode_indexed_png, palette, indexes)
        yield (name, "Pillow"), partial(pillow_png, palette, indexes)
    for strength in STRENGTHS:
        yield (_rate_aware_name(strength), OURS), partial(_rate_aware_png, pixels, k, strength)
    if pngquant.pngquant_program():
        yield ("pngquant speed 1", "its own"), partial(pngquant.quantized_png, pixels, k, "none")
    if k in SHARP_KS and sharp_version():
        yield ("sharp", "its own"), partial(sharp_png, pixels, k)


def _indexed(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    colors, indexes = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    return colors, indexes.reshape(picture.shape[:2]).astype(np.uint8)


def _rate_aware_png(pixels: np.ndarray, k: int, strength: float) -> bytes:
    image = quantize(pixels, k, rate=strength)
    return encode_indexed_png(image.palette, image.indexes)


def _delta_rate(anchor: Curve, test: Curve) -> float | None:
    """Percent; None where the curves have no quality in common, or too few points: images of few colors."""
    # No minimum overlap: a rate-aware curve lies at lower rates as a whole, and is compared where both are.
    options = {"method": "akima", "min_overlap": 0, "require_matching_points": False}
    anchored, tested = _ascending(anchor), _ascending(test)
    overlap = min(anchored[1][-1:] + tested[1][-1:]) > max(anchored[1][:1] + tested[1][:1])
    if min(len(anchored[0]), len(tested[0])) < MIN_POINTS or not overlap:
        return None
    return float(bjontegaard.bd_rate(*anchored, *tested, **options))


def _ascending(curve: Curve) -> tuple[list[float], list[float]]:
    """The points that rise in both; a larger palette that gives no better picture is not on the curve."""
    rates: list[float] = []
    qualities: list[float] = []
    for rate, quality in sorted(curve):
        if math.isfinite(quality) and (not qualities or (quality > qualities[-1] and rate > rates[-1])):
            rates.append(rate)
            qualities.append(quality)
    return rates, qualities


def _from_quality(lowest: float, curve: Curve) -> Curve:
    """The part of a curve from some quality on. It begins at that, by interpolation, if a point lies below."""
    ordered = sorted(curve, key=lambda point: point[1])
    kept = [point for point in ordered if point[1] >= lowest]
    if kept and len(kept) < len(ordered):
        (rate, quality), (next_rate, next_quality) = ordered[-len(kept) - 1], kept[0]
        share = (lowest - quality) / (next_quality - quality)
        kept.insert(0, (rate ** (1 - share) * next_rate**share, lowest))
    return kept


def _table(rows: list[Row], measure_name: str) -> str:
    curves: dict[tuple[str, str], dict[str, Curve]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        quality = float(row[{"PSNR": "psnr_db"}.get(measure_name, measure_name.lower())])
        if measure_name == "SSIM":
            # In decibels too: differences near 1 count, and the scale has no end there.
            quality = -10 * math.log10(max(1 - quality, 1e-12))
        curves[str(row["quantizer"]), str(row["encoder"])][str(row["image"])].append((float(row["bytes"]), quality))
    if measure_name == "SSIMULACRA2":
        for by_image in curves.values():
            by_image |= {image: _from_quality(MIN_SSIMULACRA2, curve) for image, curve in by_image.items()}
    ours = [OURS, *(_rate_aware_name(strength) for strength in STRENGTHS)]
    lines = [
        f"Bytes at equal {measure_name} against each peer's files, mean over the images (and the worst of them):",
        "",
        "| against | encoded by | " + " | ".join(ours) + " |",
        "|---|---|" + "---:|" * len(ours),
    ]
    for (quantizer, encoder), theirs in curves.items():
        if quantizer in ours and (quantizer, encoder) != (OURS, "Pillow"):
            continue
        cells = []
        for name in ours:
            every = [_delta_rate(curve, curves[name, OURS][image]) for image, curve in theirs.items()]
            deltas = [delta for delta in every if delta is not None]
            left_out = f", {len(deltas)} of {len(every)}" if len(deltas) < len(every) else ""
            cells.append(
                f"{statistics.fmean(deltas):+.1f} % ({max(deltas):+.1f} %{left_out})" if deltas else "no image"
            )
        lines.append(f"| {quantizer} | {encoder} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rate_aware_name(strength: float) -> str:
    return f"{OURS}, rate-aware {strength}"


def _conditions(images: int, ks: list[int]) -> str:
    listed = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"{images} images, k = {', '.join(map(str, ks))}, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {listed}, pngquant {pngquant.pngquant_version()}, "
        f"imagecodecs {version('imagecodecs')}, bjontegaard {version('bjontegaard')}."
    )


if __name__ == "__main__":
    main()
