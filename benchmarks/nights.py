"""A year of nights: ``python -m benchmarks.nights IMAGES``.

Each night some images of a library change, some are new and some are gone; the run is planned, compressed, reported and
published, and once a week what is no longer kept is pruned. In the middle the version of the algorithm changes. Spark
and Airflow are left out: the images are compressed in this process. Times are those of the simulated nights.
"""

import argparse
import dataclasses
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from benchmarks.folders import images_in
from colorquant import settings
from colorquant.compress import compress_batch, make_batches
from colorquant.jobs import Plan, RunRequest, plan_run, run_folder
from colorquant.publish import Edition, Manifest, publish, verify
from colorquant.report import candidates_of, summarize_run
from colorquant.retention import Keep, prune
from colorquant.storage import files_below, sha256_of

MAX_RATIO = 1.5
_SIDE, _KS = 192, ("8", "64")
_PRUNE_EVERY, _KILL_EVERY = 7, 10

_KILLED = """
import os, signal, sys
import colorquant.retention
pruning = sys.modules["colorquant.retention.prune"]
left, remove = int(sys.argv[4]), pruning.remove
def killing(path):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    remove(path)
pruning.remove = killing
colorquant.retention.prune(sys.argv[1], [sys.argv[2]], delete=True, now=float(sys.argv[3]))
"""


class Library:
    """Images that change. Each is a crop of a photograph, and no two are the same."""

    def __init__(self, photographs: Path, folder: Path, count: int) -> None:
        self._sources = [Image.open(path).convert("RGB") for path in images_in(photographs)]
        self._random = random.Random(0)
        self._made = 0
        self.folder = folder
        folder.mkdir()
        self._add(count)

    def change(self, share: float) -> None:
        """Let so many of the images change, as many go, and as many come."""
        images = sorted(self.folder.iterdir())
        count = max(1, round(share * len(images)))
        chosen = self._random.sample(images, 2 * count)
        for path in chosen[:count]:
            path.unlink()
        for path in chosen[count:]:
            self._crop().save(path)
        self._add(count)

    def _add(self, count: int) -> None:
        for _ in range(count):
            self._crop().save(self.folder / f"{self._made:06d}.png")

    def _crop(self) -> Image.Image:
        self._made += 1
        source = self._random.choice(self._sources)
        left, top = (self._random.randrange(max(1, size - _SIDE)) for size in source.size)
        return source.crop((left, top, left + _SIDE, top + _SIDE))


class Nights:
    """The runs of a library, their published folder, and what was ever seen of their outputs."""

    def __init__(self, library: Library, folder: Path) -> None:
        self.library, self.output, self.site = library, folder / "output", folder / "site"
        self._start = datetime.now(UTC)
        self._outputs: dict[tuple[str, int], str] = {}

    def at(self, night: int) -> datetime:
        """The time of a night."""
        return self._start + timedelta(days=night)

    def run(self, night: int) -> int:
        """Plan, compress, report and publish; return the number of jobs that had to be done."""
        request = RunRequest(
            run_id=f"night {night}",
            images=str(self.library.folder),
            ks=_KS,
            output=str(self.output),
            publish=str(self.site),
        )
        at = self.at(night)
        plan = dataclasses.replace(plan_run(request, looked_at=at.timestamp()), planned_at=at.isoformat())
        folder = run_folder(self.output, plan.run_id)
        plan.write(folder / "plan.json")
        for batch in make_batches(plan.pending(), 1):
            compress_batch(batch, {}, False, 0)
        summary = summarize_run(plan, folder, at)
        if summary.totals.failed:
            sys.exit(f"night {night}: {summary.failures()}")
        edition = Edition(run_id=plan.run_id, planned_at=plan.planned_at, written_at=summary.written_at)
        publish(candidates_of(plan, summary, folder), self.site, edition)
        self._check(night, plan)
        return len(plan.pending())

    def _check(self, night: int, plan: Plan) -> None:
        """Whether each image of now is published, and its file is the one that was first made of it."""
        problems = verify(self.site)
        images = {path.name: sha256_of(path) for path in self.library.folder.iterdir()}
        files = Manifest.read(self.site / "manifest.json").files
        if {file.image: file.original_sha256 for file in files} != images:
            problems.append("the images are not those of the library")
        for file in files:
            if file.k is None:
                continue
            made = self._outputs.setdefault((images[file.image], file.k), file.sha256)
            if made != file.sha256:
                problems.append(f"{file.path} is not what was made of this image before")
        if problems:
            sys.exit(f"night {night}: {problems[:5]}")

    def prune(self, night: int) -> int:
        """Remove what is no longer kept; return the bytes."""
        return prune(self.output, [self.site], Keep(), delete=True, now=self.at(night).timestamp()).bytes

    def kill_a_prune(self, night: int, share: float) -> None:
        """Begin to remove what is no longer kept, and get SIGKILL when a share of the files is gone."""
        now = self.at(night).timestamp()
        count = int(share * len(prune(self.output, [self.site], Keep(), now=now).files))
        command = [sys.executable, "-c", _KILLED, str(self.output), str(self.site), str(now), str(count)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        if subprocess.run(command, env=environment).returncode != -signal.SIGKILL:
            sys.exit("the prune was not killed")
        (self.output / "runs" / "pruning.json").unlink()  # By the next night it has expired.

    def bytes(self) -> int:
        """Of all outputs and reports."""
        return sum(version.size for version in files_below(self.output).values())


def main() -> None:
    """Print what a year leaves; exit with 1 where it is too much, or a published picture is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--share", type=float, default=0.01, help="of the images that change, go and come each night")
    parser.add_argument("--kill", action="store_true", help="kill every tenth prune half-way")
    arguments = parser.parse_args()
    version, killed, largest, started = settings.ALGORITHM_VERSION, 0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        library = Library(arguments.images, Path(folder, "images"), arguments.count)
        nights = Nights(library, Path(folder))
        for night in range(1, arguments.nights + 1):
            if night > 1:
                library.change(arguments.share)
            if night == arguments.nights // 2:
                _set_version(version + 1)
            done = nights.run(night)
            if night % _PRUNE_EVERY == 0:
                if arguments.kill and night // _PRUNE_EVERY % _KILL_EVERY == 0:
                    nights.kill_a_prune(night, (night // _PRUNE_EVERY % 30 + 1) / 31)
                    killed += 1
                else:
                    nights.prune(night)
            largest = max(largest, nights.bytes())
            if night % 30 == 0 or night == arguments.nights:
                seconds = time.perf_counter() - started
                print(f"night {night}: {done} jobs, {nights.bytes() / 1e6:.1f} MB, {seconds:.0f} s", flush=True)
        nights.prune(arguments.nights)
        one = Nights(library, Path(folder, "one"))
        one.run(1)
        ratio = nights.bytes() / one.bytes()
        print(f"{arguments.nights} nights, {arguments.count} images, {killed} prunes killed")
        print(f"what is left: {_told(nights)}")
        print(f"one full run: {_told(one)}")
        print(f"ratio {ratio:.2f}, at most {largest / one.bytes():.2f}; every published picture was right")
    sys.exit(int(ratio > MAX_RATIO))


def _told(nights: Nights) -> str:
    """The bytes of an output folder, and of the kinds of files in it."""
    kinds: dict[str, int] = {}
    for path, version in files_below(nights.output).items():
        name = path.rsplit("/", 1)[-1]
        kind = name if path.startswith("runs/") else name.partition("-")[0] if "-" in name else "outputs"
        kinds[kind] = kinds.get(kind, 0) + version.size
    largest = sorted(kinds.items(), key=lambda item: -item[1])[:6]
    parts = ", ".join(f"{kind} {size / 1e6:.1f}" for kind, size in largest)
    return f"{nights.bytes() / 1e6:.1f} MB ({parts})"


def _set_version(version: int) -> None:
    settings.ALGORITHM_VERSION = version


if __name__ == "__main__":
    main()
