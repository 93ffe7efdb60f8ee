"""A library in one application by RDD tasks, and by ``mapInArrow`` and ``mapInPandas`` without and with Spark Connect.

    python -m benchmarks.map_in_arrow IMAGES [--count 500] [--side 256] [--k 16] [--rounds 3]

The library is that of ``benchmarks.library``. All ways do it in turn, and a library of one image, which is the start.
Exits with 1 where any output differs between them. docs/decisions/0010 says what came of it.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.library import RUN, corpus_command, crops_of, linked
from benchmarks.process_tree import Usage, succeeded, watch
from colorquant.jobs import CompressionResult, Plan, run_folder
from colorquant.storage import sha256_of
from colorquant_airflow.operators import CORPUS_CONF

_APPLICATION = str(Path(__file__).with_name("corpus_as_table.py"))
_MB = 1e6

Command = Callable[[Path, Path, int], list[str]]


def _submitted(kind: str) -> Command:
    def command(library: Path, output: Path, k: int) -> list[str]:
        submit = corpus_command(library, output, k)
        settings = submit[: next(at for at, part in enumerate(submit) if part.endswith(".py"))]
        return [*settings, *_arguments(library, output, k), f"--map={kind}"]

    return command


def _connected(*options: str) -> Command:
    def command(library: Path, output: Path, k: int) -> list[str]:
        arguments = _arguments(library, output, k)
        return [sys.executable, *arguments, "--remote=local[2]", f"--conf={json.dumps(CORPUS_CONF)}", *options]

    return command


def _arguments(library: Path, output: Path, k: int) -> list[str]:
    return [_APPLICATION, f"--images={library}", f"--output={output}", f"--run={RUN}", f"--k={k}"]


WAYS: dict[str, Command] = {
    "RDD tasks": corpus_command,
    "mapInArrow": _submitted("arrow"),
    "mapInPandas": _submitted("pandas"),
    "Connect, mapInArrow": _connected(),
    "Connect, mapInArrow, own workers": _connected("--own-workers"),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--side", type=int, default=256, help="of the square crops, in pixels")
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="in turn; the figures are medians")
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS), help="some of the ways")
    arguments = parser.parse_args()
    ways = arguments.only
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        crops = crops_of(arguments.images, arguments.count, arguments.side, work / "all")
        one, library = linked(crops[:1], work / "one"), linked(crops, work / "library")
        starts: dict[str, list[Usage]] = {name: [] for name in ways}
        usages: dict[str, list[Usage]] = {name: [] for name in ways}
        outputs: dict[str, str] = {}
        for turn in range(arguments.rounds + 1):
            for name in ways if turn % 2 else reversed(ways):
                start, _ = _done(name, one, work / "output", arguments.k)
                if turn == 0:  # Once before: kernels are compiled, files are in the page cache.
                    continue
                starts[name].append(start)
                usage, hashes = _done(name, library, work / "output", arguments.k)
                usages[name].append(usage)
                if (outputs := outputs or hashes) != hashes:
                    sys.exit(f"{name}: the outputs differ")
                print(f"{turn} {name}: {start.wall:.2f} s and {usage.wall:.2f} s", file=sys.stderr, flush=True)
            if turn:
                print(f"\n{arguments.count} crops of {arguments.side} x {arguments.side}, k = {arguments.k}", end="; ")
                print(f"medians of {turn} rounds in turn, least and most of the seconds in brackets")
                for name in ways:
                    _print(name, starts[name], usages[name], arguments.count)
    print("all outputs are the same")


def _done(name: str, library: Path, output: Path, k: int) -> tuple[Usage, dict[str, str]]:
    """What a way uses for a library, and the hashes of the outputs by the paths that the plan gives them."""
    usage = succeeded(watch(WAYS[name](library, output, k)))
    jobs = Plan.read(run_folder(output, RUN) / "plan.json").jobs
    hashes = {job.output: sha256_of(job.output) for job in jobs}
    assert all(CompressionResult.read(job.result).output_sha256 == hashes[job.output] for job in jobs)
    shutil.rmtree(output)
    return usage, hashes


def _print(name: str, starts: list[Usage], usages: list[Usage], count: int) -> None:
    start, wall = (statistics.median(each.wall for each in runs) for runs in (starts, usages))
    start_cpu, cpu = (statistics.median(each.cpu_total for each in runs) for runs in (starts, usages))
    ends = [
        f"{min(each.wall for each in runs):.1f} to {max(each.wall for each in runs):.1f}" for runs in (starts, usages)
    ]
    print(f"\n{name}")
    print(f"  start (a library of one image): {start:.2f} s ({ends[0]}), {start_cpu:.1f} CPU seconds")
    print(f"  {count} images: {wall:.2f} s ({ends[1]}), {count / wall:.2f} images/s, {cpu:.1f} CPU seconds")
    print(f"  start apart: {1e3 * (wall - start) / (count - 1):.1f} ms", end=" ")
    print(f"and {1e3 * (cpu - start_cpu) / (count - 1):.1f} CPU ms an image")
    peaks = {part: max(each.peak.get(part, 0) for each in usages) / _MB for part in ("driver", "JVM", "workers")}
    print("  most memory, MB: " + ", ".join(f"{part} {size:.0f}" for part, size in peaks.items()))


if __name__ == "__main__":
    main()
