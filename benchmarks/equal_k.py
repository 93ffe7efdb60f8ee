"""How good pictures of k colors look: ``python -m benchmarks.equal_k PHOTOGRAPHS --graphics FOLDER``.

Each of our objectives and ditherings at the same k as pngquant 3, of whose three ditherings (none, half, full) the one
with the highest SSIMULACRA2 is compared. The second measure is optimized by neither: the mean CIEDE2000 (by
scikit-image) after both pictures are blurred in CIELAB, about what an eye averages. Images with transparent pixels are
on white for it.
"""

import argparse
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks import our_job
from benchmarks.equal_quality import conditions
from benchmarks.folders import TABLES, images_in
from benchmarks.pngquant import Pngquant, decoded
from benchmarks.tables import Row, recorded
from colorquant.decode import read_image
from colorquant.settings import Settings

EYE_SIGMA = 1.5  # pixels
BEST = "our best"
_RGBA = 4


def main() -> None:
    """Measure, and write ``equal_k.md`` and ``equal_k.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of photographs")
    parser.add_argument("--graphics", type=Path, help="folder of graphics: charts, screens, icons")
    parser.add_argument("--k", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--every", type=int, default=1, help="only every n-th image")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()
    paths = {"photographs": images_in(arguments.images)[:: arguments.every]}
    if arguments.graphics:
        paths["graphics"] = images_in(arguments.graphics)[:: arguments.every]
    rows = recorded(measure(paths, arguments.k, our_job.variants()), arguments.output / "equal_k.csv")
    report = f"{len({row['image'] for row in rows})} images, {conditions()}\n\n{table(rows)}\n"
    (arguments.output / "equal_k.md").write_text(report)
    print(report)


def measure(paths: dict[str, list[Path]], ks: Iterable[int], variants: dict[str, Settings]) -> Iterator[Row]:
    """Yield one row for each image, k and variant of our settings, with what pngquant does at that k."""
    warm: set[int] = set()
    for kind, images in paths.items():
        for path in images:
            pixels = read_image(path).pixels
            peer = Pngquant(pixels)
            if pixels.shape[2] not in warm:  # Kernels are compiled at their first call, with and without alpha.
                warm.add(pixels.shape[2])
                for settings in variants.values():
                    our_job.compressed(path, 2, settings, pixels)
            for k in ks:
                theirs = peer.best_at(k)
                their_difference = difference_from_afar(pixels, decoded(theirs.content, pixels.shape[2]))
                for name, settings in variants.items():
                    ours = our_job.compressed(path, k, settings, pixels)
                    yield {
                        "kind": kind,
                        "image": path.stem,
                        "k": k,
                        "variant": name,
                        "ssimulacra2": round(ours.ssimulacra2, 4),
                        "pngquant_ssimulacra2": round(theirs.ssimulacra2, 4),
                        "ciede2000": round(difference_from_afar(pixels, ours.pixels), 5),
                        "pngquant_ciede2000": round(their_difference, 5),
                        "bytes": ours.bytes,
                        "pngquant_bytes": len(theirs.content),
                        "pngquant_dithering": theirs.dithering,
                        "cpu_seconds": round(ours.cpu_seconds, 3),
                    }


def difference_from_afar(pixels: np.ndarray, picture: np.ndarray) -> float:
    """Mean CIEDE2000 of two pictures, uint8 (H, W, 3 or 4) in sRGB, after a Gaussian blur of both in CIELAB."""
    return float(deltaE_ciede2000(_blurred_lab(pixels), _blurred_lab(picture)).mean())


def _blurred_lab(pixels: np.ndarray) -> np.ndarray:
    colors = pixels[..., :3].astype(np.float64) / 255
    if pixels.shape[2] == _RGBA:
        alpha = pixels[..., 3:] / 255
        colors = colors * alpha + (1 - alpha)
    return np.asarray(cv2.GaussianBlur(rgb2lab(colors), (0, 0), EYE_SIGMA))


def table(rows: list[Row]) -> str:
    """Means over the images, and the image where a variant is furthest below pngquant, as Markdown.

    Each image's best variant by SSIMULACRA2 makes one more line, as of pngquant's ditherings the best is taken.
    """
    groups: dict[tuple[str, int], dict[str, list[Row]]] = {}
    for row in rows:
        variants = groups.setdefault((str(row["kind"]), int(row["k"])), {})
        variants.setdefault(str(row["variant"]), []).append(row)
    lines = [
        "SSIMULACRA2 at equal k, and mean CIEDE2000 after a blur of sigma "
        f"{EYE_SIGMA} pixels (lower is better); pngquant: the best of its ditherings on each image:",
        "",
        "| images | k | ours | SSIMULACRA2 | pngquant | gain | worst | lower on | CIEDE2000 | pngquant | CPU s |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (kind, k), variants in groups.items():
        together = zip(*variants.values(), strict=True)
        best = [max(same, key=lambda row: float(row["ssimulacra2"])) for same in together]
        for name, group in [*variants.items(), *([(BEST, best)] if len(variants) > 1 else [])]:
            more = {str(row["image"]): float(row["ssimulacra2"]) - float(row["pngquant_ssimulacra2"]) for row in group}
            least = min(more, key=lambda image: more[image])
            lines.append(
                f"| {len(group)} {kind} | {k} | {name} | {_mean(group, 'ssimulacra2'):.1f} | "
                f"{_mean(group, 'pngquant_ssimulacra2'):.1f} | {statistics.fmean(more.values()):+.1f} | "
                f"{more[least]:+.1f} ({least}) | {sum(value < 0 for value in more.values())} of {len(group)} | "
                f"{_mean(group, 'ciede2000'):.2f} | {_mean(group, 'pngquant_ciede2000'):.2f} | "
                f"{_mean(group, 'cpu_seconds'):.2f} |"
            )
    return "\n".join(lines)


def _mean(group: list[Row], column: str) -> float:
    return statistics.fmean(float(row[column]) for row in group)


if __name__ == "__main__":
    main()
