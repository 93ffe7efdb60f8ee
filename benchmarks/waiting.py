"""Where people wait: each wait with its goal and what it takes now, as one table.

    python -m benchmarks.waiting IMAGES [--large IMAGE] [--iokm FILE] [--only NAME ...] [--write]

IMAGES is a folder of photographs, best the Kodak images. What is measured is kept in ``waiting.json``, so that lines
can be measured one at a time; the table has all of them. ``--write`` puts it into ``docs/scaling.md``.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import large, library, report_page, transparency
from benchmarks.folders import TABLES, images_in
from benchmarks.job_command import job_command
from benchmarks.peers import colorquant
from benchmarks.process_tree import succeeded, watch
from benchmarks.quantizers import measure, read_iokm
from benchmarks.startup import empty_application
from colorquant import __version__, quantize
from colorquant.jobs import run_folder
from colorquant.report import summarize_run
from colorquant.settings import ALGORITHM_VERSION
from colorquant_airflow.checkout import AirflowApi, free_port

_PROJECT = Path(__file__).resolve().parent.parent
_PAGE = _PROJECT / "docs" / "scaling.md"
_BEGIN, _END = "<!-- made by benchmarks.waiting -->\n", "<!-- end -->\n"
_KS = (4, 16, 64, 256)
_TARGET = "ssimulacra2=70"


@dataclass(frozen=True)
class _Given:
    """What the lines are measured on; a line without its input is left out."""

    images: Path
    large: Path | None
    iokm: Path | None


def _reference(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = empty_application(folder)
        watch(command)  # Files are in the page cache then.
        runs = [succeeded(watch(command)) for _ in range(3)]
    wall, cpu = statistics.median(run.wall for run in runs), statistics.median(run.cpu_total for run in runs)
    return f"{wall:.1f} s, {cpu:.1f} s of CPU"


def _fresh(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder, "clone"), Path(folder, "home")
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(_PROJECT), str(clone)], check=True)
        return _make_run(clone, Path(folder, "output"), {"HOME": str(home)})


def _again(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        _make_run(_PROJECT, Path(folder))
        return _make_run(_PROJECT, Path(folder))


def _again_with_ui(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        _make_run(_PROJECT, Path(folder))
        port = free_port()
        ui = subprocess.Popen(
            [sys.executable, "-E", "-m", "colorquant_airflow.checkout.ui", "--port", str(port)],
            cwd=_PROJECT,
            stdout=subprocess.DEVNULL,
        )
        try:
            while not AirflowApi.is_healthy(port):
                if ui.poll() is not None:
                    sys.exit("make ui has ended")
                time.sleep(1)
            # What a first run makes the processes load is not waited for again.
            _make_run(_PROJECT, Path(folder))
            return _make_run(_PROJECT, Path(folder))
        finally:
            ui.terminate()
            ui.wait()


def _make_run(checkout: Path, output: Path, environment: dict[str, str] | None = None) -> str:
    """Seconds of `make run`, the bundled images at four k."""
    unset = ("XDG_CACHE_HOME", "VIRTUAL_ENV", "UV_CACHE_DIR", "PIP_CACHE_DIR", "NUMBA_CACHE_DIR")
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    command = ["make", "-C", str(checkout), "run", f"OUTPUT={output}"]
    return f"{succeeded(watch(command, inherited | (environment or {}))).wall:.1f} s"


def _jobs(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        commands = []
        for number in range(20):
            home = Path(folder, str(number))
            home.mkdir()
            image = images_in(_PROJECT / "include" / "images")[number % 5]
            commands.append(job_command(str(home), str(image), _KS[number % 4], cores=1))
        with ThreadPoolExecutor(2) as pool:

            def done(some: list[tuple[list[str], dict[str, str]]]) -> float:
                start = time.perf_counter()
                list(pool.map(lambda command: succeeded(watch(*command)), some))
                return time.perf_counter() - start

            done(commands[:2])
            return f"{done(commands[2:]) / 18:.2f} s a job"


def _large(given: _Given) -> str | None:
    if given.large is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        larger = str(Path(folder, "larger.jpg"))
        large.enlarge(str(given.large), larger)
        found = [large.job(folder, image, 64, 3) for image in (str(given.large), larger)]
    return ", ".join(f"{pixels / 1e6:.1f} MP: {seconds:.1f} s" for pixels, seconds in found)


def _library(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        crops = library.crops_of(given.images, 5000, 256, work / "all")
        library.both_sides(library.linked(crops[:1], work / "one"), work / "warm", 16)
        ours, theirs = library.both_sides(work / "all", work / "output", 16)
    ratio, size = theirs.usage.wall / ours.usage.wall, sum(ours.size.values()) / sum(theirs.size.values())
    return f"{5000 / ours.usage.wall:.1f} images/s, {ratio:.2f} times pngquant, {size:.2f} of its bytes"


def _alpha(given: _Given) -> str:
    ratios: dict[int, list[tuple[float, float]]] = {k: [] for k in transparency.SIZES}
    for _, pixels in transparency.soft_images(given.images):
        for k, found in ratios.items():
            quantize(pixels[:9, :9], 2)
            ours, theirs = transparency.measured(pixels, k)
            found.append((ours[2] / theirs[2], ours[1] / theirs[1]))
    means = {
        k: [statistics.geometric_mean(column) for column in zip(*found, strict=True)] for k, found in ratios.items()
    }
    return "; ".join(
        f"k = {k}: {seconds:.2f} of its time, {size:.3f} of its bytes" for k, (seconds, size) in means.items()
    )


def _auto(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "colorquant", str(given.images), "--quality", _TARGET, "--output", folder]
        environment = os.environ | {"PYTHONPATH": str(_PROJECT / "spark_apps")}
        usage = succeeded(watch([*command, "--quiet"], environment))
    count = len(images_in(given.images))
    return f"{_TARGET}: {usage.cpu_total / count:.2f} CPU seconds an image, {count} images"


def _error(given: _Given) -> str | None:
    reference = read_iokm(given.iokm)
    if not reference:
        return None
    ratios: dict[int, list[float]] = {64: [], 256: []}
    for row in measure(images_in(given.images), {"colorquant": colorquant}, list(ratios), 1):
        k = int(row["k"])
        ratios[k].append(float(row["mse"]) / reference[str(row["image"]), k])
    return ", ".join(f"{statistics.fmean(found):.4f}" for found in ratios.values())


def _report(given: _Given) -> str:
    with tempfile.TemporaryDirectory() as folder:
        plan = report_page.planned(given.images, 1000, _KS, Path(folder))
        home = run_folder(Path(folder, "output"), "bench")
        start, cpu = time.perf_counter(), time.process_time()
        summarize_run(plan, home)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        written = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"{seconds:.1f} s ({cpu:.1f} s of CPU), {written / 1e6:.1f} MB, memory {memory / 1e6:.0f} MB"


@dataclass(frozen=True)
class _Line:
    what: str
    goal: str
    measured: Callable[[_Given], str | None]


LINES = {
    "report": _Line("report of 1,000 images at 4 k", "30 s", _report),  # First: its memory is that of this process.
    "reference": _Line("an empty PySpark application: how fast this machine is", "", _reference),
    "fresh": _Line("`make run` in a fresh clone with an empty home", "80 s", _fresh),
    "again": _Line("`make run` with nothing to do", "10 s", _again),
    "again-ui": _Line("`make run` with nothing to do while `make ui` runs", "5 s", _again_with_ui),
    "jobs": _Line("18 jobs, two at a time, after two others; without Airflow", "1.7 s a job", _jobs),
    "large": _Line("the job of a large image and of four times its pixels, k = 64", "6 s and 20 s", _large),
    "library": _Line(
        "5,000 crops of 256 x 256 in one application, k = 16", "3 times pngquant, no more bytes", _library
    ),
    "alpha": _Line("images with alpha, next to libimagequant", "1.5 of its time, no more bytes", _alpha),
    "auto": _Line("search for the smallest file of a quality", "half of the CPU of version 13", _auto),
    "error": _Line("error relative to IOKM at k = 64, 256", "0.9685, 0.9508", _error),
}


def main() -> None:
    """Measure, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of photographs")
    parser.add_argument("--large", type=Path, help="an image of some 30 megapixels")
    parser.add_argument("--iokm", type=Path, help="CSV of image, k, method, MSE to compare with")
    parser.add_argument(
        "--only", nargs="+", choices=list(LINES), default=list(LINES), metavar="NAME", help=" ".join(LINES)
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/scaling.md")
    parser.add_argument("--output", type=Path, default=TABLES)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    kept = arguments.output / "waiting.json"
    found: dict[str, list[str]] = json.loads(kept.read_text()) if kept.exists() else {}
    given = _Given(*(path and path.absolute() for path in (arguments.images, arguments.large, arguments.iokm)))
    for name in LINES:
        if name in arguments.only and (measured := LINES[name].measured(given)):
            found[name] = [measured, f"{__version__}, {ALGORITHM_VERSION}", time.strftime("%Y-%m-%d")]
            kept.write_text(json.dumps(found, indent=1))
    table = table_of(found)
    print(table)
    if arguments.write:
        _PAGE.write_text(with_table(_PAGE.read_text(), table))


def table_of(found: dict[str, list[str]]) -> str:
    """The Markdown table; ``found`` has what was measured, the versions and the day of some lines, by their names."""
    head = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}.\n\n"
    rows = ["| what | goal | measured | version, algorithm | day |", "|---|---|---|---|---|"]
    for name, line in LINES.items():
        rows.append(f"| {line.what} | {line.goal} | {' | '.join(found.get(name, ['not measured', '', '']))} |")
    return head + "\n".join(rows) + "\n"


def with_table(page: str, table: str) -> str:
    """The page with the table between its two comments. Raises ValueError where one is missing."""
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    return before + _BEGIN + "\n" + table + "\n" + _END + after


if __name__ == "__main__":
    main()
