"""A library whose compression is killed half-way and started again: ``python -m benchmarks.resume IMAGES``.

Every process of the application gets SIGKILL when half of the records are there. The second run must leave those as
they are, byte and time of writing, and make the others.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.library import RUN, corpus_command, crops_of, linked
from benchmarks.process_tree import succeeded, watch
from colorquant.jobs import CompressionResult, Plan, run_folder
from colorquant.storage import sha256_of

_POLL_SECONDS = 1.0


def main() -> None:
    """Print what was there, what was kept and what was made; exit with 1 where anything was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--side", type=int, default=256, help="of the square crops, in pixels")
    parser.add_argument("--k", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        library = linked(crops_of(arguments.images, arguments.count, arguments.side, work / "all"), work / "library")
        output = work / "output"
        seconds = _killed_half_way(corpus_command(library, output, arguments.k), output, arguments.count)
        before = _records(output)
        usage = succeeded(watch(corpus_command(library, output, arguments.k)))
        after = _records(output)
        kept = sum(after.get(path) == record for path, record in before.items())
        jobs = Plan.read(run_folder(output, RUN) / "plan.json").jobs
        whole = sum(sha256_of(job.output) == CompressionResult.read(job.result).output_sha256 for job in jobs)
        left_over = [path for path in (output / "compressed").rglob("*") if path.name.startswith(".tmp-")]
    print(f"{arguments.count} crops of {arguments.side} x {arguments.side} pixels, k = {arguments.k}")
    print(f"killed after {seconds:.1f} s with {len(before)} records there")
    print(f"started again: {usage.wall:.1f} s, {kept} of them kept, {len(after) - len(before)} made")
    print(f"{whole} of {len(jobs)} outputs are what their records say; {len(left_over)} temporary files are left")
    sys.exit(0 if kept == len(before) and whole == len(jobs) == arguments.count and not left_over else 1)


def _killed_half_way(command: list[str], output: Path, count: int) -> float:
    """Seconds until every process of the command was killed."""
    started = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(_records(output)) < count // 2:
        if process.poll() is not None:
            sys.exit(f"the application ended with {process.returncode} before it could be killed")
        time.sleep(_POLL_SECONDS)
    tree = [process, *process.children(recursive=True)]
    for each in tree:
        each.kill()
    psutil.wait_procs(tree, timeout=30)
    return time.perf_counter() - started


def _records(output: Path) -> dict[Path, tuple[int, bytes]]:
    """Time of writing and content of every record."""
    paths = (output / "compressed").rglob("*.json")
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


if __name__ == "__main__":
    main()
