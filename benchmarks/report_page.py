"""The page of a run's report, 100 images at 15 k: what it weighs, and how long a browser takes to open it.

    python -m benchmarks.report_page IMAGES [--count 100] [--rounds 5] [--slower 1 4] [--output FOLDER]
    python -m benchmarks.report_page --page summary.html

Each image is compressed once; the library repeats them under other names until it has ``--count``. Chromium (the
system's, driven by the Playwright of `requirements-dev.txt`) opens the file anew in each round. "painted" is when the
first of it is seen, "loaded" when the document, its script included, is done, and "at rest" when the main thread is
free after that and a frame was drawn. ``--slower`` divides the speed of the page's thread: 4 is a slow laptop's or a
phone's.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.folders import images_in
from colorquant.compress import compress_image
from colorquant.jobs import Plan, RunRequest, plan_run, run_folder
from colorquant.quantizer import PixelSource
from colorquant.report import summarize_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KS = tuple(range(2, 31, 2))
MOMENTS = ("painted", "loaded", "at rest")
_TIMES = """async () => {
  await new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done)), 0));
  const rest = performance.now();
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return [paint ? paint.startTime : rest, page.loadEventEnd, rest];
}"""


def main() -> None:
    """Print size and times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="?", help="folder of images")
    parser.add_argument("--page", type=Path, help="open a report that is there")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slower", type=float, nargs="+", default=[1, 4])
    parser.add_argument("--output", type=Path, help="where the run and its report are kept; what is there is reused")
    arguments = parser.parse_args()
    if (arguments.images is None) == (arguments.page is None):
        parser.error("name a folder of images, or the --page of a report")
    with tempfile.TemporaryDirectory() as scratch:
        work = (arguments.output or Path(scratch)).absolute()
        page = arguments.page or _report(arguments.images, arguments.count, work)
        _open(page.absolute(), arguments.rounds, arguments.slower)


def planned(images: Path, count: int, ks: tuple[int, ...], work: Path) -> Plan:
    """A run over a library of so many images, whose jobs are done."""
    folder = _library(images, count, work / "images")
    plan = plan_run(RunRequest(run_id="bench", images=str(folder), ks=ks, output=str(work / "output")))
    _compress(plan)
    return plan


def _report(images: Path, count: int, work: Path) -> Path:
    plan = planned(images, count, KS, work)
    folder = run_folder(work / "output", "bench")
    start, cpu = time.perf_counter(), time.process_time()
    summary = summarize_run(plan, folder)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{summary.totals.images} images x {len(KS)} k: report written in {seconds:.1f} s, {cpu:.1f} CPU seconds")
    return folder / "summary.html"


def _library(images: Path, count: int, folder: Path) -> Path:
    """A folder of so many images: those given, again and again under other names."""
    sources = images_in(images)
    if not sources:
        sys.exit(f"{images}: no image is there")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        source = sources[number % len(sources)]
        copy = folder / f"{source.stem} {number // len(sources) + 1}{source.suffix}"
        if not copy.exists():
            shutil.copyfile(source, copy)
    return folder


def _compress(plan: Plan) -> None:
    """Do the jobs, those of equal images once."""
    first: dict[tuple[str | None, int | None], tuple[str, str]] = {}
    for job in plan.jobs:
        output, result = first.setdefault((job.image_sha256, job.k), (job.output, job.result))
        if job.is_done():
            continue
        if result == job.result:
            compress_image(job.image, job.palette, job.output, job.result, job.settings, PixelSource)
            continue
        for file, copy in ((output, job.output), (result, job.result)):
            Path(copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _open(page: Path, rounds: int, slower: list[float]) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("Chromium is not installed, and is needed to open the report")
    print(f"{page.name}: {page.stat().st_size / 1e6:.2f} MB")
    from playwright.sync_api import sync_playwright  # Only here: `make bench`, which uses the rest, installs none.

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        _times(browser, page, 1)  # Once before: the browser's own start, and the file into the page cache.
        for factor in slower:
            found = [_times(browser, page, factor) for _ in range(rounds)]
            for name, values in zip(MOMENTS, zip(*found, strict=True), strict=True):
                print(
                    f"{name:8} after {statistics.median(values) / 1e3:.2f} s "
                    f"({min(values) / 1e3:.2f} to {max(values) / 1e3:.2f}, {rounds} times, {factor:g} times slower)"
                )
        browser.close()


def _times(browser: "Browser", page: Path, slower: float) -> list[float]:
    """Milliseconds from the navigation's start to each of ``MOMENTS``."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": slower})
    tab.goto(page.as_uri(), wait_until="load")
    times = tab.evaluate(_TIMES)
    context.close()
    return times


if __name__ == "__main__":
    main()
