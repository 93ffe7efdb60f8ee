"""How long it takes to plan a library in which nothing is new: ``python -m benchmarks.planning``.

Files of a few bytes stand for images and outputs, since what is unchanged is not read. The first plan reads all of
them; the clock is then taken to be an hour later, as by the next night every file has been left alone for long.
"""

import argparse
import dataclasses
import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path

from colorquant.jobs import CompressionResult, Job, Plan, RunRequest, plan_run, run_folder

MAX_SECONDS = 60.0
_HOUR = 3600.0
_OUTPUT = b"an output"
_RECORD = CompressionResult(
    image="",
    image_sha256="",
    width=1,
    height=1,
    unique_colors=1,
    k=1,
    colors_used=1,
    seed=0,
    settings={},
    iterations=1,
    converged=True,
    inertia=0,
    mse=0.0,
    psnr_db=None,
    ssim=1.0,
    lossless=True,
    original_bytes=20,
    compressed_bytes=len(_OUTPUT),
    compression_ratio=2.0,
    bits_per_pixel=72.0,
    output="x.png",
    output_sha256=hashlib.sha256(_OUTPUT).hexdigest(),
    seconds={"total": 1.0},
    spark={},
)


def main() -> None:
    """Print the seconds of each plan; exit with 1 where one of an unchanged library takes more than a minute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--ks", default="16", help="palette sizes, separated by spaces")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images, output = Path(folder, "images"), Path(folder, "output")
        for number in range(arguments.count):
            image = images / f"{number // 1000:03d}" / f"{number:06d}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(b"image %d" % number)
        seconds = []
        for night, name in enumerate(("all new", "all checked", "unchanged", "unchanged")):
            request = RunRequest(run_id=str(night), images=str(images), ks=arguments.ks.split(), output=str(output))
            wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
            plan = plan_run(request, looked_at=time.time() + (night + 1) * _HOUR)
            path = run_folder(output, request.run_id) / "plan.json"
            plan.write(path)
            wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            done = f"{len(plan.reused):,} of {len(plan.jobs):,} jobs done"
            size = path.stat().st_size / arguments.count
            print(f"{name}: {wall:.1f} s, {cpu:.1f} s of CPU; {done}; plan {size:.0f} bytes an image", flush=True)
            if night == 0:
                _do(plan)
            elif len(plan.reused) != len(plan.jobs):
                sys.exit("not all jobs are done")
            seconds.append(wall)
        (memory,) = (output / "runs" / "memory").iterdir()
        print(f"memory: {memory.stat().st_size / arguments.count:.0f} bytes an image")
    sys.exit(int(max(seconds[2:]) > MAX_SECONDS))


def _do(plan: Plan) -> None:
    """Leave a record and an output for each job."""
    for job in plan.jobs:
        path = Path(job.output)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_OUTPUT)
        Path(job.result).write_text(_record(job).as_json())


def _record(job: Job) -> CompressionResult:
    return dataclasses.replace(
        _RECORD,
        image=job.image,
        image_sha256=job.image_sha256 or "",
        k=job.k or 1,
        settings=job.settings.as_record(),
        output=job.output,
    )


if __name__ == "__main__":
    main()
