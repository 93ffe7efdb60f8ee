"""A whole library in one application: the bytes of single jobs, failures, killed processes, what is reused."""

import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

from colorquant.cli.progress import Progress
from colorquant.compress import library as corpus
from colorquant.jobs import CompressionResult, JobFailure, PlannedJobs
from colorquant.jobs.plan import Plan, RunRequest, plan_run, run_folder
from colorquant.report import summarize_run
from tests.conftest import photograph
from tests.test_compress_image import compress_in_process

pytestmark = pytest.mark.e2e
PROJECT = Path(__file__).resolve().parent.parent
APPLICATION = PROJECT / "spark_apps" / "compress_corpus.py"


def _command(images: Path, output: Path, *more: str) -> list[str]:
    conf = {"spark.ui.enabled": "false", "spark.pyspark.python": sys.executable}
    confs = [item for name, value in conf.items() for item in ("--conf", f"{name}={value}")]
    arguments = [f"--images={images}", "--ks=3 9", f"--output={output}", "--run=run", *more]
    return ["spark-submit", "--master", "local[2]", *confs, str(APPLICATION), *arguments]


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def _modified(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two dozen images of several sizes: some seconds of work."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(24):
        side = 40 + 4 * number
        Image.fromarray(photograph(side, side, seed=number)).save(folder / f"{number}.png")
    return folder


def test_the_outputs_are_those_of_single_jobs_and_a_bad_image_costs_its_own_jobs_only(
    photographs: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (photographs / "{{ ds }} broken.png").write_text("no image")
    (photographs / "not matched.jpg").write_text("no image")
    Image.fromarray(photograph(90, 112)).save(photographs / "too large.png")
    out = tmp_path / "out"
    limit = {"COMPRESSION_MAX_PIXELS": str(90 * 112 - 1)}
    run = _run(_command(photographs, out, "--pattern=*o*[!d].*"), bare_environment | limit)
    assert run.returncode == 0, run.stderr
    plan = Plan.read(run_folder(out, "run") / "plan.json")
    names = ("one.png", "sub folder/two.jpg", "too large.png", "{{ ds }} broken.png")
    assert Counter(job.name for job in plan.jobs) == dict.fromkeys(names, 2)
    assert "4 of 4 images" in run.stdout and "4 jobs failed" in run.stdout
    for job in plan.jobs:
        if "broken" in job.name or "too large" in job.name:
            failure = JobFailure.read(job.failure)
            reason = "is not an image" if "broken" in job.name else "more than the limit of 10,079"
            assert reason in failure.reason and not failure.retryable
            continue
        assert job.is_done()
        alone = tmp_path / "alone" / Path(job.output).name
        compress_in_process([*job.arguments(), f"--output={alone}", f"--result={alone}.json"])
        assert Path(job.output).read_bytes() == alone.read_bytes()
        mine, its = (CompressionResult.read(path) for path in (job.result, f"{alone}.json"))
        assert (mine.mse, mine.unique_colors, mine.inertia) == (its.mse, its.unique_colors, its.inertia)
        assert mine.seconds.keys() == its.seconds.keys()
        # Decoded and counted once for both k.
        assert (mine.seconds["decode"] > 0) == (job.k == 3)
    summary = summarize_run(plan, run_folder(out, "run"))
    assert (summary.totals.done, summary.totals.failed) == (4, 4)

    before = _modified(out / "compressed")
    again = _run(_command(photographs, out, "--pattern=*o*[!d].*"), bare_environment | limit)
    assert "8 jobs, 4 of them done already" in again.stdout, again.stderr
    assert _modified(out / "compressed") == before


@pytest.mark.faults
def test_a_killed_run_is_finished_by_the_same_command_which_survives_a_killed_worker(
    many: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    out = tmp_path / "out"
    first = subprocess.Popen(_command(many, out), env=bare_environment, stdout=subprocess.PIPE, text=True)
    _wait_for(lambda: len(list(out.rglob("k00*.json"))) >= 6, first)
    family = [psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)]
    (driver,) = [one for one in family if "python" in one.name() and str(APPLICATION) in one.cmdline()]
    driver.kill()
    first.wait(timeout=60)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    done = {path: path.read_bytes() for path in out.rglob("k00*.json")}
    assert 6 <= len(done) < 48
    for path in done:
        assert Image.open(path.with_suffix(".png")).format == "PNG"
    before = {path: time_ns for path, time_ns in _modified(out / "compressed").items() if path in done}

    second = subprocess.Popen(_command(many, out), env=bare_environment, stdout=subprocess.PIPE, text=True)
    _wait_for(lambda: len(list(out.rglob("k00*.json"))) >= len(done) + 4, second)
    workers = [
        child
        for parent in psutil.Process(second.pid).children(recursive=True)
        if "worker_daemon" in " ".join(_command_line(parent))
        for child in parent.children()
    ]
    assert workers
    workers[0].kill()
    printed, _ = second.communicate(timeout=300)
    assert second.returncode == 0, printed
    assert f"48 jobs, {len(done)} of them done already" in printed
    assert {path: path.read_bytes() for path in done} == done
    assert {path: path.stat().st_mtime_ns for path in done} == before
    plan = Plan.read(run_folder(out, "run") / "plan.json")
    assert all(job.is_done() for job in plan.jobs)
    assert list((run_folder(out, "run") / "failures").glob("*")) == []
    assert list(out.rglob(".tmp-*")) == []


def _command_line(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


_BATCH = f"""
import os, signal, sys, time
sys.path[:0] = [{str(PROJECT / "spark_apps")!r}]
from colorquant.compress import library as corpus
from colorquant.jobs.plan import Plan, RunRequest, plan_run
from colorquant.limits import Limits
attempt, seconds, images, output, run, force, deed = sys.argv[1:]
opened = corpus.open_image
def deadly(image, *arguments, **more):
    if image.endswith("two.jpg"):
        exec(deed)
    return opened(image, *arguments, **more)
corpus.open_image = deadly
request = RunRequest(run_id=run, images=images, ks=[2, 4], output=output, force=bool(force))
path = f"{{output}}/{{run}}.json"
if attempt == "0":
    plan_run(request).write(path)
jobs = Plan.read(path).pending()
batch = [image for batch in corpus.make_batches(jobs, cores=1) for image in batch]
print(*corpus.compress_batch(batch, {{}}, bool(force), int(attempt), Limits(seconds=int(seconds))).as_tuple())
"""
KILL, HANG = "os.kill(os.getpid(), signal.SIGKILL)", "time.sleep(1000)"


def _attempts(images: Path, output: Path, run: str, deed: str, seconds: int = 900, force: bool = False) -> list[str]:
    """What the attempts of a run printed, until one ends by itself: each in a process of its own, as Spark does it."""
    printed = []
    while len(printed) < 8 and not any(printed):
        arguments = [str(len(printed)), str(seconds), str(images), str(output), run, "force" if force else "", deed]
        process = subprocess.run([sys.executable, "-c", _BATCH, *arguments], capture_output=True, text=True)
        assert process.returncode in (0, 1, -signal.SIGKILL) and "Traceback" not in process.stderr, process.stderr
        printed.append(process.stdout)
    return printed


def test_an_image_that_kills_its_process_is_given_up_and_all_others_are_compressed(
    photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    died = _attempts(photographs, out, "run", KILL)
    size = sum(path.stat().st_size for path in photographs.rglob("*.*"))
    assert (died[:2], died[2].split()) == (["", ""], ["2", str(size), "2", "2", "2"])
    for job in plan_run(RunRequest(run_id="run", images=str(photographs), ks=[2, 4], output=str(out))).jobs:
        assert job.is_done() == (job.name == "one.png")
        assert Path(job.failure).exists() == (job.name != "one.png")


@pytest.mark.faults
def test_an_image_that_killed_its_process_in_two_runs_is_refused_until_it_changes(
    photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for run in ("first", "second"):
        assert len(_attempts(photographs, out, run, KILL)) == 3
    (printed,) = _attempts(photographs, out, "third", KILL)
    size = (photographs / "sub folder" / "two.jpg").stat().st_size
    assert printed.split() == ["1", str(size), "0", "2", "0"], "refused, and not worth a retry"
    request = RunRequest(run_id="third", images=str(photographs), ks=[2, 4], output=str(out))
    for job in plan_run(request).pending():
        failure = JobFailure.read(job.failure)
        assert (failure.exit_code, failure.retryable) == (65, False)
        assert "two.jpg' has ended the process of its job 2 times" in failure.reason
    assert len(_attempts(photographs, out, "forced", KILL, force=True)) == 3
    assert _attempts(photographs, out, "forced well", "pass", force=True)[0].split()[2:] == ["4", "0", "0"]
    Image.fromarray(photograph(40, 30, seed=9)).save(photographs / "sub folder" / "two.jpg")
    (printed,) = _attempts(photographs, out, "changed", "pass")
    assert printed.split()[2:] == ["2", "0", "0"]


def test_an_image_that_takes_too_long_is_given_up_in_one_attempt(photographs: Path, tmp_path: Path) -> None:
    first, second = _attempts(photographs, tmp_path / "out", "run", HANG, seconds=20)
    assert first == "" and second.split()[2:] == ["2", "2", "0"], "done, failed, worth a retry"
    request = RunRequest(run_id="run", images=str(photographs), ks=[2, 4], output=str(tmp_path / "out"))
    for job in plan_run(request).pending():
        failure = JobFailure.read(job.failure)
        assert failure.exit_code == 65 and failure.killed
        assert failure.reason.endswith("takes longer than 20 seconds, the limit; scale it down or raise the limit.")
    assert Path(job.kills).exists()


def test_after_a_lost_worker_an_image_that_was_given_up_is_not_worth_a_retry(tmp_path: Path) -> None:
    """The first attempt found one that is no image, and died at another: only the second may go away."""
    (tmp_path / "in").mkdir()
    for name in ("bad.png", "deadly.png"):
        (tmp_path / "in" / name).write_text(f"no image: {name}")
    jobs = plan_run(RunRequest(run_id="run", images=str(tmp_path / "in"), ks=[4], output=str(tmp_path / "out"))).jobs
    for job, retryable in zip(jobs, (False, True), strict=True):
        JobFailure(image=job.image, k=4, reason="why", exit_code=65, retryable=retryable).write(job.failure)
    counts = corpus.compress_batch([(job,) for job in jobs], {}, False, attempt=1)
    assert (counts.images, counts.failed, counts.retryable) == (2, 2, 1)


def test_batches_hold_every_job_once_the_largest_first_and_none_is_large(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sizes = [10_000, *range(1, 400)]
    for number, size in enumerate(sizes):
        (tmp_path / "in" / f"{number}.png").write_bytes(bytes(size))
    jobs = plan_run(RunRequest(run_id="run", images=str(tmp_path / "in"), ks=[2, 4], output=str(tmp_path / "out"))).jobs
    batches = corpus.make_batches(jobs, cores=2)
    images = [image for batch in batches for image in batch]
    assert sorted(job.label for image in images for job in image) == sorted(job.label for job in jobs)
    assert all({job.k for job in image} == {2, 4} and len({job.name for job in image}) == 1 for image in images)
    weights = [image[0].image_bytes for image in images]
    assert weights == sorted(weights, reverse=True)
    assert [len(batch) for batch in batches][0] == 1
    for batch in batches[1:]:
        assert len(batch) == 1 or sum(image[0].image_bytes for image in batch) <= sum(sizes) / 100
    # Fewer tasks than images, yet many for each core.
    assert 2 * 20 <= len(batches) < 300


_IN_PARTS = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from colorquant.jobs import plan
from colorquant.storage import parts
plan.MAX_IN_MEMORY, plan.PART_RECORDS, parts.PART_RECORDS = 4, 10, 10
from colorquant.spark import corpus_application
sys.exit(corpus_application.main())
"""


def test_a_library_whose_plan_is_in_parts_has_the_same_outputs(
    many: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (many / "broken.png").write_text("no image")
    script = tmp_path / "in_parts.py"
    script.write_text(_IN_PARTS)
    out = tmp_path / "out"
    usual = _command(many, out)
    in_parts = [*usual[: usual.index(str(APPLICATION))], str(script), str(APPLICATION.parent)]
    in_parts += [*usual[usual.index(str(APPLICATION)) + 1 : -1], "--run=parts"]
    run = _run(in_parts, bare_environment)
    assert run.returncode == 0, run.stderr
    assert "50 jobs, 0 of them done already" in run.stdout and "25 of 25 images" in run.stdout
    plan = Plan.read(run_folder(out, "parts") / "plan.json")
    assert isinstance(plan.jobs, PlannedJobs) and len(plan.jobs.entries.parts) == 3
    assert [JobFailure.read(job.failure).exit_code for job in plan.jobs if not job.is_done()] == [65, 65]
    totals = summarize_run(plan, run_folder(out, "parts")).totals
    assert (totals.images, totals.done, totals.reused, totals.failed) == (25, 48, 0, 2)
    outputs = _modified(out / "compressed")
    again = _run(usual, bare_environment)
    assert "50 jobs, 48 of them done already" in again.stdout, again.stderr
    # The same run is tried again: only the broken image is, and its failure is a new one.
    (failure,) = {Path(job.failure) for job in plan.jobs if job.name == "broken.png" and job.k == 3}
    failure.write_text("damaged")
    third = _run(in_parts, bare_environment)
    assert "50 jobs, 48 of them done already" in third.stdout and "1 of 1 images" in third.stdout, third.stderr
    assert JobFailure.read(failure).exit_code == 65
    assert {path: time for path, time in _modified(out / "compressed").items() if "kills" not in path.name} == outputs


def test_wrong_arguments_end_before_spark_starts_and_say_which(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(APPLICATION), f"--images={tmp_path}", "--ks=4 x", f"--output={tmp_path}/o", "--run=r"],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, "k = 'x' is not a palette size" in run.stderr) == (2, True), run.stderr
    assert list(tmp_path.iterdir()) == []


def test_progress_says_how_much_how_fast_and_how_long_at_a_sane_rate() -> None:
    seconds = 0.0
    progress = Progress(images=1000, image_bytes=2_000_000, now=lambda: seconds)
    lines = {}
    while seconds < 7200:
        seconds += 1
        done = int(seconds / 7.2)
        if line := progress.see(done, done * 1000, 3 if seconds > 3600 else 0):
            lines[seconds] = line
    # Half of the bytes: as much time again as it has taken, whatever the number of images says.
    assert lines[5] == "0 of 1,000 images, 0.0 images/s"
    last = list(lines.values())[-1]
    assert last.startswith("99") and "0.1 images/s, about 2.0 h left, 3 jobs failed" in last
    assert 60 < len(lines) < 200
    assert progress.state(1000, 2_000_000, 0).text() == "1,000 of 1,000 images, 0.1 images/s, in 2.0 h"
