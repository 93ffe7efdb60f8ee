"""A million images planned, handed out and reported by simulation: time, and memory of each process.

    python -m benchmarks.million [--count 1000000] [--work FOLDER] [--stages library driver report again]

Files of a few bytes stand for images: a thousand names for each file (hard links). ``driver`` is the real application
of a library on Spark, with two cores, and real hashing by its workers; only the compression of an image does nothing.
``report`` writes the real report of this plan, from rows that are made up instead of read. ``again`` reports a second
run in which all is reused: it is compared with the first one, and repeats it.
"""

import argparse
import hashlib
import importlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.process_tree import Usage, succeeded, watch
from colorquant.jobs import Job, Plan, run_folder

STAGES = ("library", "driver", "report", "again")
MAX_PAGE = 1_000_000
_CORES = 2
_LINKS = 1000
_MB = 1e6


def main() -> None:
    """Print the figures; exit with 1 where a page is larger than 1 MB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--ks", default="16", help="palette sizes, separated by spaces")
    parser.add_argument("--work", type=Path, help="where all is kept; the stages may be run one by one")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--summarize", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.summarize:
        _summarize(arguments.work / "output", arguments.summarize)
        return
    with tempfile.TemporaryDirectory() as folder:
        work = (arguments.work or Path(folder)).absolute()
        if "library" in arguments.stages:
            _make_library(work / "images", arguments.count)
        if "driver" in arguments.stages:
            _print("plan and batches", succeeded(watch(_driver_command(work, arguments.ks), _environment())))
            _print_files(run_folder(work / "output", "first"))
            _print_files(work / "output" / "runs" / "memory")
        for stage, run in (("report", "first"), ("again", "second")):
            if stage in arguments.stages:
                if run == "second":
                    _plan_again(work / "output")
                command = [sys.executable, "-m", "benchmarks.million", f"--work={work}", f"--summarize={run}"]
                _print(f"{stage}", succeeded(watch(command, _environment())))
                _print_files(run_folder(work / "output", run))
        page = run_folder(work / "output", "first") / "summary.html"
        sys.exit(int(page.exists() and page.stat().st_size > MAX_PAGE))


def _environment() -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _print(title: str, usage: Usage) -> None:
    parts = ", ".join(f"{part} {size / _MB:.0f} MB" for part, size in usage.peak.items() if part != "launcher")
    print(f"{title}: {usage.wall:.0f} s, {usage.cpu_total:.0f} s of CPU; most memory at one time: {parts}")
    print("  " + "\n  ".join(usage.output.splitlines()[-2:]), flush=True)


def _print_files(folder: Path) -> None:
    """The number of files and their bytes, by what they are."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for path in folder.rglob("*"):
        if path.is_file():
            kinds["".join(c for c in path.relative_to(folder).as_posix().split("-")[0] if not c.isdigit())].append(
                path.stat().st_size
            )
    for kind, sizes in sorted(kinds.items()):
        sizes_in_mb = f"{sum(sizes) / _MB:.3f} MB, the largest {max(sizes) / _MB:.3f}"
        print(f"  {kind}: {len(sizes)} files, {sizes_in_mb}", flush=True)


def _make_library(folder: Path, count: int) -> None:
    for number in range(count):
        name = folder / f"{number // _LINKS:04d}" / f"photograph-{number:07d}.png"
        if number % _LINKS == 0:
            name.parent.mkdir(parents=True)
            name.write_bytes(b"image %d" % number + b"x" * random.Random(number).randrange(1000))
            first = name
        else:
            os.link(first, name)


def _driver_command(work: Path, ks: str) -> list[str]:
    from colorquant_airflow.operators import CORPUS_CONF

    conf = CORPUS_CONF | {"spark.pyspark.python": sys.executable, "spark.pyspark.driver.python": sys.executable}
    command = ["spark-submit", "--master", f"local[{_CORES}]"]
    command += [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
    application = Path(__file__).with_name("million_application.py")
    folders = [f"--images={work / 'images'}", f"--output={work / 'output'}"]
    return [*command, str(application), *folders, f"--ks={ks}", "--run=first"]


def _plan_again(output: Path) -> None:
    """A second run with the plan of the first one."""
    first, second = (run_folder(output, run) for run in ("first", "second"))
    second.mkdir()
    shutil.copytree(first / "parts", second / "parts", copy_function=os.link, ignore=shutil.ignore_patterns("[rc]*"))
    plan = json.loads((first / "plan.json").read_bytes())
    (second / "plan.json").write_text(json.dumps(plan | {"run_id": "second"}, separators=(",", ":")))


def _summarize(output: Path, run: str) -> None:
    from colorquant.report import summarize_run

    state = "done" if run == "first" else "reused"
    module: Any = importlib.import_module("colorquant.report.large_summary")
    module.row_of = lambda job, _, folder: _row(job, state)
    folder = run_folder(output, run)
    summary = summarize_run(Plan.read(folder / "plan.json"), folder)
    print(summary.table().splitlines()[0])
    print(summary.changes.sentence() if summary.changes else "no run before")


def _row(job: Job, state: str) -> Any:
    """A row with figures that depend on the image's name only."""
    from colorquant.report import Row

    source = random.Random(job.label)
    if source.random() < 1e-4:
        return Row(image=job.name, k=job.k, state="failed", reason="The file ends before its last pixel.")
    size, share = source.randrange(10**4, 10**7), source.uniform(0.05, 1.1)
    digest = hashlib.sha256(job.label.encode()).hexdigest()
    return Row(
        image=job.name,
        k=job.k,
        state=state,
        width=640,
        height=480,
        unique_colors=source.randrange(100, 10**5),
        colors_used=job.k,
        original_bytes=size,
        compressed_bytes=int(size * share),
        compression_ratio=1 / share,
        bits_per_pixel=size * share * 8 / 640 / 480,
        mse=source.uniform(1, 500),
        psnr_db=source.uniform(20, 45),
        ssim=source.uniform(0.5, 1),
        lossless=False,
        iterations=30,
        converged=True,
        seconds=source.uniform(0.01, 0.1),
        image_sha256=job.image_sha256,
        output=f"../../compressed/{job.name}/{digest[:12]}/k016.png",
        output_sha256=digest,
        spark_version="4.2.0",
        ssimulacra2=source.uniform(20, 95),
    )


if __name__ == "__main__":
    main()
