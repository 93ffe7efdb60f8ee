"""Bytes at equal quality: ``python -m benchmarks.equal_quality PHOTOGRAPHS --graphics FOLDER --target 50 70``.

For each image and target, a job finds the smallest file that reaches that SSIMULACRA2, over the palette size and every
setting that is not given by ``--set``. All others are asked for the quality that this file has: pngquant 3 (the best
of no, half and full dithering) with oxipng behind it, JPEG, WebP, AVIF and JPEG XL. CPU time is compared with that of a
job with the default settings, which searches for the fewest colors.
"""

import argparse
import math
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import our_job, pngquant
from benchmarks.folders import TABLES, images_in
from benchmarks.pngquant import Pngquant
from benchmarks.tables import Row, recorded
from colorquant.compress import needed_bytes
from colorquant.decode import read_image
from colorquant.settings import COMPARED_FORMATS, Settings
from colorquant.target import Target

PEER = "pngquant+oxipng"


def main() -> None:
    """Measure, and write ``equal_quality.md`` and ``equal_quality.csv``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of photographs")
    parser.add_argument("--graphics", type=Path, help="folder of graphics: charts, screens, icons")
    parser.add_argument("--target", type=float, nargs="+", default=[50, 70], help="SSIMULACRA2")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of our jobs; others are auto"
    )
    parser.add_argument("--skip", nargs="*", default=[], choices=[PEER, *COMPARED_FORMATS], help="what to leave out")
    parser.add_argument("--every", type=int, default=1, help="only every n-th image")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()

    settings = Settings.parse(dict(text.partition("=")[::2] for text in arguments.set))
    paths = {"photographs": images_in(arguments.images)[:: arguments.every]}
    if arguments.graphics:
        paths["graphics"] = images_in(arguments.graphics)[:: arguments.every]
    others = [name for name in (PEER, *COMPARED_FORMATS) if name not in arguments.skip]
    if PEER in others and not pngquant.installed():
        others.remove(PEER)
    rows = recorded(measure(paths, arguments.target, settings, others), arguments.output / "equal_quality.csv")
    report = "\n\n".join([_conditions(rows), *tables(rows, others)]) + "\n"
    (arguments.output / "equal_quality.md").write_text(report)
    print(report)


def measure(
    paths: dict[str, list[Path]], targets: Sequence[float], settings: Settings, others: list[str]
) -> Iterator[Row]:
    """Yield one row for each image and target, by the kind of image.

    ``bytes`` are our job's; those of another are ``inf`` where it does not reach the quality of our file, or holds no
    alpha. ``PEER at target`` are the peer's bytes for the target itself where our job misses it, otherwise 0.
    """
    warm: set[int] = set()
    for kind, images in paths.items():
        for path in images:
            pixels = read_image(path).pixels
            peer = Pngquant(pixels)
            if pixels.shape[2] not in warm:  # Kernels are compiled at their first call, with and without alpha.
                warm.add(pixels.shape[2])
                our_job.compressed(path, Target("ssimulacra2", float(targets[0])), settings, pixels)
            for number in targets:
                target = Target("ssimulacra2", float(number))
                ours = our_job.compressed(path, target, settings, pixels)
                fewest = our_job.compressed(path, target, Settings(), pixels)
                row: Row = {
                    "kind": kind,
                    "image": path.stem,
                    "target": number,
                    "bytes": ours.bytes,
                    "ssimulacra2": round(ours.ssimulacra2, 6),
                    "k": ours.k,
                    "settings": ours.settings,
                    "cpu_seconds": round(ours.cpu_seconds, 3),
                    "fewest_colors_cpu_seconds": round(fewest.cpu_seconds, 3),
                }
                for name in others:
                    if name == PEER:
                        row |= _peer_columns(peer, target, ours.ssimulacra2)
                    else:
                        needed = needed_bytes(pixels, name, ours.ssimulacra2)
                        row[name] = needed.bytes if needed else math.inf
                yield row


def _peer_columns(peer: Pngquant, target: Target, reached: float) -> Row:
    found = peer.smallest(reached)
    columns: Row = {
        PEER: len(found.content) if found else math.inf,
        f"{PEER} k": found.k if found else 0,
        f"{PEER} dithering": found.dithering if found else "",
        f"{PEER} at target": 0,
    }
    if not target.reached_by(reached) and (found := peer.smallest(target.value)):
        columns[f"{PEER} at target"] = len(found.content)
    return columns


def tables(rows: list[Row], others: list[str]) -> list[str]:
    """What the rows say, as Markdown: against the peer, against the lossy formats, and the CPU time."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((str(row["kind"]), float(row["target"])), []).append(row)
    parts = [_peer_table(groups)] if PEER in others else []
    formats = [name for name in others if name in COMPARED_FORMATS]
    return [*parts, *([_format_table(groups, formats)] if formats else []), _time_table(groups)]


def _peer_table(groups: dict[tuple[str, float], list[Row]]) -> str:
    lines = [
        f"Our bytes relative to {PEER} (the best of its ditherings), at the quality that ours reached; over the images "
        "that both reach it on:",
        "",
        "| images | SSIMULACRA2 | mean | worst | larger | neither reaches | only ours reaches | only peer reaches |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (kind, target), group in groups.items():
        reached = [row for row in group if float(row["ssimulacra2"]) >= target]
        missed = [row for row in group if float(row["ssimulacra2"]) < target]
        alone = [row for row in missed if row[f"{PEER} at target"]]
        both = {str(row["image"]): float(row["bytes"]) / float(row[PEER]) for row in reached if _finite(row[PEER])}
        worst = max(both, key=lambda image: both[image], default=None)
        ratios = (
            f"{statistics.fmean(both.values()):.3f} | {both[worst]:.3f} ({worst}) | "
            f"{sum(ratio > 1 for ratio in both.values())}"
            if worst
            else "- | - | -"
        )
        only_peer = ", ".join(str(row["image"]) for row in alone) or "none"
        lines.append(
            f"| {len(group)} {kind} | {target:g} | {ratios} | {len(missed) - len(alone)} | "
            f"{len(reached) - len(both)} | {only_peer} |"
        )
    return "\n".join(lines)


def _format_table(groups: dict[tuple[str, float], list[Row]], formats: list[str]) -> str:
    lines = [
        "Bytes of other formats relative to ours, at the quality that ours reached: geometric mean over the images on "
        "which the format reaches it, and on how many of them it is smaller:",
        "",
        "| images | SSIMULACRA2 | our bytes, mean | " + " | ".join(COMPARED_FORMATS[name] for name in formats) + " |",
        "|---|---:|---:|" + "---:|" * len(formats),
    ]
    for (kind, target), group in groups.items():
        # A palette that misses the target is the largest there is: its bytes say nothing.
        reached = [row for row in group if float(row["ssimulacra2"]) >= target]
        cells = []
        for name in formats:
            ratios = [float(row[name]) / float(row["bytes"]) for row in reached if _finite(row[name])]
            smaller = sum(ratio < 1 for ratio in ratios)
            cells.append(f"{statistics.geometric_mean(ratios):.2f} ({smaller} of {len(ratios)})" if ratios else "-")
        mean = f"{statistics.fmean(float(row['bytes']) for row in reached):,.0f}" if reached else "-"
        lines.append(f"| {len(reached)} {kind} | {target:g} | {mean} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _time_table(groups: dict[tuple[str, float], list[Row]]) -> str:
    lines = [
        "CPU seconds of our job (decoding to measuring), and of the search for the fewest colors at the defaults:",
        "",
        "| images | SSIMULACRA2 | job, mean | fewest colors, mean | ratio of the sums | worst ratio |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for (kind, target), group in groups.items():
        ours, fewest = ([float(row[name]) for row in group] for name in ("cpu_seconds", "fewest_colors_cpu_seconds"))
        worst = max(a / b for a, b in zip(ours, fewest, strict=True))
        lines.append(
            f"| {len(group)} {kind} | {target:g} | {statistics.fmean(ours):.2f} | {statistics.fmean(fewest):.2f} | "
            f"{sum(ours) / sum(fewest):.2f} | {worst:.2f} |"
        )
    return "\n".join(lines)


def _finite(value: str | float) -> bool:
    return math.isfinite(float(value))


def _conditions(rows: list[Row]) -> str:
    return f"{len({row['image'] for row in rows})} images, {conditions()}"


def conditions() -> str:
    """The machine and the versions that decide bytes."""
    found = []
    for name in ("colorquant", "oxipng-pybind", "pillow", "imagecodecs"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"pngquant {pngquant.pngquant_version()} speed 1, {', '.join(found)}; oxipng level {pngquant.OXIPNG_LEVEL}."
    )


if __name__ == "__main__":
    main()
