"""The Spark application through a real spark-submit: its contract, its record, and that partitions change nothing."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from colorquant import quantize
from colorquant.decode.image_file import read_image
from colorquant.encode.indexed_png import encode_indexed_png
from colorquant.encode.webp import encode_lossless_webp
from colorquant.jobs import CompressionResult, JobFailure
from colorquant.jobs.plan import RunRequest, plan_run
from colorquant.settings import Settings, options
from colorquant.storage import paths as storage
from tests.conftest import photograph

pytestmark = pytest.mark.e2e
PROJECT = Path(__file__).resolve().parent.parent
APPLICATION = PROJECT / "spark_apps" / "compress_image.py"


def _command(*arguments: str, master: str = "local[2]") -> list[str]:
    conf = {"spark.ui.enabled": "false", "spark.pyspark.python": sys.executable}
    confs = [item for name, value in conf.items() for item in ("--conf", f"{name}={value}")]
    return ["spark-submit", "--master", master, *confs, str(APPLICATION), *arguments]


def _submit(environment: dict[str, str], *arguments: str, master: str = "local[2]") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*arguments, master=master), env=environment, capture_output=True, text=True, timeout=180
    )


HEIGHT, WIDTH = 420, 70  # Seven bands, since a band is of whole 64 rows.
CHANGED = {"seed": 3, "color_space": "oklab", "rate": 0.3, "effort": "max", "keep": "#ffffff,#102030"}
CHANGED_PERCEPTUAL = {"objective": "perceptual", "dither": "direct-search", "rate": 0.1}
CHANGED_KEPT = {"keep": "#ffffff,#102030", "palette_counts": "images"}
CHANGED_PALETTE = {"palette": "#000000,#ffffff,#d62728,#1f77b4"}
CHANGED_OUTPUT = {"seed": 1, "dither": "blue-noise", "format": "webp", "metadata": "copyright", "compare": "jpeg,avif"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "a photograph.png"
    Image.fromarray(photograph(HEIGHT, WIDTH)).save(path)
    return path


@pytest.fixture(scope="module")
def result(image: Path, bare_environment: dict[str, str]) -> CompressionResult:
    """The record of one job in two partitions."""
    output, record = image.parent / "2.png", image.parent / "2.json"
    run = _submit(
        bare_environment, f"--image={image}", "--k=9", f"--output={output}", f"--result={record}", "--partitions=2"
    )
    assert run.returncode == 0, run.stderr
    return CompressionResult.read(record)


@pytest.mark.parametrize("partitions", [1, 7])
def test_partitions_do_not_change_a_byte(
    partitions: int, image: Path, result: CompressionResult, bare_environment: dict[str, str]
) -> None:
    output, record = image.parent / f"{partitions}.png", image.parent / f"{partitions}.json"
    run = _submit(
        bare_environment,
        *(f"--image={image}", "--k=9", f"--output={output}", f"--result={record}", f"--partitions={partitions}"),
        master="local[1]",
    )
    assert run.returncode == 0, run.stderr
    assert CompressionResult.read(record).spark["partitions"] == partitions
    assert output.read_bytes() == Path(result.output).read_bytes()


@pytest.mark.parametrize(
    ("partitions", "changed"),
    [(1, CHANGED), (3, CHANGED), (3, CHANGED_OUTPUT), (1, CHANGED_PERCEPTUAL), (3, CHANGED_PERCEPTUAL)]
    + [(3, CHANGED_KEPT), (3, CHANGED_PALETTE)],
)
def test_every_setting_reaches_the_bytes_the_same_with_and_without_spark(
    partitions: int,
    changed: dict[str, Any],
    image: Path,
    tmp_path: Path,
    result: CompressionResult,
    bare_environment: dict[str, str],
) -> None:
    changes = (CHANGED, CHANGED_PERCEPTUAL, CHANGED_KEPT, CHANGED_PALETTE, CHANGED_OUTPUT)
    # Of weights, the application gets a file: tests/test_weights.py.
    assert set().union(*changes) == options().keys() - {"weights"}
    settings = Settings.parse(changed)
    output, record = tmp_path / "o.png", tmp_path / "r.json"
    paths = (f"--image={image}", f"--output={output}", f"--result={record}")
    k = len(settings.colors) or 9
    run = _submit(bare_environment, *paths, f"--k={k}", f"--partitions={partitions}", *settings.arguments())
    assert run.returncode == 0, run.stderr
    of_file = ("format", "effort", "metadata", "compare", "palette_counts")
    quantized = quantize(photograph(HEIGHT, WIDTH), 9, **{n: v for n, v in changed.items() if n not in of_file})
    in_png = partial(encode_indexed_png, effort=settings.effort, in_order=bool(settings.colors))
    encode = encode_lossless_webp if settings.format == "webp" else in_png
    assert output.read_bytes() == encode(quantized.palette, quantized.indexes)
    assert output.read_bytes() != Path(result.output).read_bytes()
    written = CompressionResult.read(record)
    assert Settings.of_record(written.settings, written.seed) == settings.fixed()
    assert tuple(written.comparison) == settings.compare


def test_without_spark_the_bytes_are_the_same(image: Path, result: CompressionResult) -> None:
    quantized = quantize(photograph(HEIGHT, WIDTH), 9)
    assert encode_indexed_png(quantized.palette, quantized.indexes) == Path(result.output).read_bytes()
    assert result.inertia == quantized.inertia


def test_every_figure_of_the_record_is_that_of_the_decoded_file(image: Path, result: CompressionResult) -> None:
    original = cv2.cvtColor(cv2.imread(str(image)), cv2.COLOR_BGR2RGB)
    decoded = np.asarray(Image.open(result.output).convert("RGB"))
    difference = original.astype(float) - decoded
    mse = (difference**2).sum(axis=2).mean()
    size = os.path.getsize(result.output)
    assert Image.open(result.output).mode == "P"
    assert (result.height, result.width) == decoded.shape[:2] == original.shape[:2]
    assert result.colors_used == len(np.unique(decoded.reshape(-1, 3), axis=0)) <= 9
    assert result.unique_colors == len(np.unique(original.reshape(-1, 3), axis=0))
    assert math.isclose(result.mse, mse, rel_tol=1e-9)
    assert result.psnr_db is not None
    assert math.isclose(result.psnr_db, 10 * math.log10(255**2 / (mse / 3)), rel_tol=1e-9)
    assert math.isclose(result.inertia, mse * decoded.shape[0] * decoded.shape[1], rel_tol=1e-9)
    assert (result.original_bytes, result.compressed_bytes) == (image.stat().st_size, size)
    assert math.isclose(result.compression_ratio, image.stat().st_size / size, rel_tol=1e-9)
    assert math.isclose(result.bits_per_pixel, 8 * size / (HEIGHT * WIDTH), rel_tol=1e-9)
    assert result.output_sha256 == hashlib.sha256(Path(result.output).read_bytes()).hexdigest()
    assert result.image_sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    assert set(result.seconds) == {"decode", "histogram", "kmeans", "remap", "encode", "metrics", "total"}
    assert result.spark["application_id"].startswith("local-")
    assert result.spark["jobs"] >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k=0"], "'0' is not a whole number from 1 to 256"),
        (["--k=257"], "'257' is not a whole number from 1 to 256"),
        (["--k=4.5"], "'4.5' is not a whole number from 1 to 256"),
        ([], "one of --k, --target is required"),
        (["--k=4", "--surprise"], "unrecognized arguments: --surprise"),
        (["--k=4", "--seed=-1"], "--seed: '-1' is wrong: it takes a whole number"),
    ],
)
def test_wrong_arguments_end_with_2_and_say_which(arguments: list[str], message: str, tmp_path: Path) -> None:
    """Before Spark is started, so the interpreter alone shows it."""
    paths = [f"--image={tmp_path}/a.png", f"--output={tmp_path}/o.png", f"--result={tmp_path}/r.json"]
    run = subprocess.run([sys.executable, str(APPLICATION), *paths, *arguments], capture_output=True, text=True)
    assert (run.returncode, message in run.stderr) == (2, True), run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("same", ["output", "result", "failure"])
def test_the_input_is_never_written_to(same: str, tmp_path: Path) -> None:
    """Also by another of its names: here a link."""
    image = tmp_path / "a.png"
    Image.fromarray(photograph(8, 8)).save(image)
    before = image.read_bytes()
    (tmp_path / "link.png").symlink_to(image)
    paths = {"output": tmp_path / "o.png", "result": tmp_path / "r.json", "failure": tmp_path / "f.json"}
    paths[same] = tmp_path / "link.png"
    options = [f"--{name}={path}" for name, path in paths.items()]
    command = [sys.executable, str(APPLICATION), f"--image={image}", "--k=4", *options]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2, run.stderr
    assert f"--image and --{same} are the same file, {str(tmp_path / 'link.png')!r}" in run.stderr
    assert image.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image=s3://b/a.png", "--output=s3://b/a.png"], "--image and --output are the same file, 's3://b/a.png'"),
        (["--image=a.png", "--output=file://{here}/a.png"], "--image and --output are the same file"),
        (["--image=a.png", "--output=r.json"], "--output and --result are the same file, 'r.json'"),
        (["--image=ftp://b/a.png", "--output=o.png"], "argument --image: ftp:// is not a supported storage"),
    ],
)
def test_files_that_are_not_distinct_are_wrong_arguments(arguments: list[str], message: str, tmp_path: Path) -> None:
    command = [sys.executable, str(APPLICATION), "--k=4", "--result=r.json"]
    command += [argument.format(here=tmp_path) for argument in arguments]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (run.returncode, message in run.stderr) == (2, True), run.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_image_ends_with_65_its_reason_and_no_output(
    tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (tmp_path / "-no image; {{ ds }}.png").write_text("not an image")
    run = _submit(
        bare_environment,
        *(f"--image={tmp_path}/-no image; {{{{ ds }}}}.png", "--k=4", f"--output={tmp_path}/o.png"),
        *(f"--result={tmp_path}/r.json", f"--failure={tmp_path}/failures/f.json"),
    )
    assert run.returncode == 65, run.stderr
    failure = JobFailure.read(tmp_path / "failures" / "f.json")
    assert "-no image; {{ ds }}.png' is not an image" in failure.reason
    assert (failure.exit_code, failure.retryable) == (65, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["-no image; {{ ds }}.png", "failures"]


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mount.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("file in the way", "Not a directory"),
        ("full", "No space left on device"),
        ("read-only", "Read-only file system"),
    ],
)
def test_an_output_that_cannot_be_written_is_a_failure_with_its_reason(
    trouble: str, reason: str, image: Path, tmp_path: Path
) -> None:
    """Nothing half-written is left. A full disk is worth a retry, which ends well; the others refuse for good."""
    disk, record = tmp_path / "disk", tmp_path / "disk" / "out" / "r.json"
    paths = [f"--image={image}", f"--output={tmp_path}/disk/out/o.png", f"--result={record}"]
    command = [sys.executable, str(APPLICATION), *paths, "--k=200", f"--failure={tmp_path}/f.json"]

    def run() -> int:
        return subprocess.run(command, capture_output=True, text=True, timeout=180).returncode

    if trouble == "file in the way":
        disk.touch()
        assert run() == 1
        disk.unlink()
    else:
        with _mounted(disk, "size=8k" if trouble == "full" else "ro"):
            assert run() == 1
            assert [path for path in disk.rglob("*") if path.is_file()] == []
    failure = JobFailure.read(tmp_path / "f.json")
    assert failure.retryable == (trouble == "full")
    assert reason in failure.reason and str(disk) in failure.reason
    if trouble == "full":
        assert run() == 0
        assert CompressionResult.read(record).k == 200
        assert sorted(path.name for path in record.parent.iterdir()) == ["o.png", "r.json"]


def test_an_image_that_is_not_the_planned_one_is_refused(image: Path, tmp_path: Path) -> None:
    paths = [f"--image={image}", f"--output={tmp_path}/o.png", f"--result={tmp_path}/r.json"]
    run = subprocess.run(
        [sys.executable, str(APPLICATION), *paths, "--k=4", f"--image-sha256={'0' * 64}"],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, "has changed since this run was planned" in run.stderr) == (65, True), run.stderr


def test_a_done_job_starts_no_spark_and_touches_nothing(photographs: Path, tmp_path: Path) -> None:
    """Run by an interpreter that has no pyspark: what is done needs none."""
    (job, *_) = plan_run(RunRequest(run_id="run", images=str(photographs), ks=[3], output=str(tmp_path / "out"))).jobs
    in_process = f"""
import sys; sys.path.insert(0, {str(PROJECT / "spark_apps")!r}); sys.modules["pyspark"] = None
from colorquant.spark import image_application
sys.argv[1:] = {job.arguments()!r}; sys.exit(image_application.main())"""
    first = subprocess.run([sys.executable, str(APPLICATION), *job.arguments()], capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    again = subprocess.run([sys.executable, "-c", in_process], capture_output=True, text=True)
    assert (again.returncode, "done already" in again.stdout) == (0, True), again.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    # A damaged output is no done job: without pyspark it must fail, and not say "done".
    Path(job.output).write_bytes(b"damaged")
    damaged = subprocess.run([sys.executable, "-c", in_process], capture_output=True, text=True)
    assert damaged.returncode == 1, damaged.stdout


def test_the_python_driver_does_not_outlive_its_jvm(
    image: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """SIGKILL for the JVM alone, in the middle of a job: the driver must not go on, and nothing is half written."""
    big = tmp_path / "big.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)).save(big)
    arguments = (f"--image={big}", "--k=200", f"--output={tmp_path}/out/o.png", f"--result={tmp_path}/out/r.json")
    jvm = subprocess.Popen(
        _command(*arguments), env=bare_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    drivers: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while not drivers and time.monotonic() < deadline:
        children = psutil.Process(jvm.pid).children(recursive=True)
        drivers = [child for child in children if str(APPLICATION) in " ".join(child.cmdline())]
        time.sleep(0.1)
    assert drivers
    jvm.send_signal(signal.SIGKILL)
    jvm.wait()
    gone, alive = psutil.wait_procs(drivers, timeout=10)
    assert not alive
    assert not (tmp_path / "out" / "r.json").exists()


_STEPS = [
    "read_image",
    "solve",
    "encode_indexed_png",
    "measure",
    "output: written",
    "output: renamed",
    "result: written",
]


@pytest.mark.parametrize("step", _STEPS)
def test_killed_at_any_step_nothing_is_half_written_and_the_next_try_finishes(
    step: str, photographs: Path, tmp_path: Path
) -> None:
    """SIGKILL to itself at the end of the step; the outputs are whole or absent, and the record is the last."""
    (job, *_) = plan_run(RunRequest(run_id="run", images=str(photographs), ks=[3], output=str(tmp_path / "out"))).jobs
    code = f"""
import os, signal, sys
sys.path[:0] = [{str(PROJECT / "spark_apps")!r}, {str(PROJECT)!r}]
from colorquant.compress import output, pipeline, source
from tests.test_compress_image import compress_in_process
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
step, replace = {step!r}, os.replace
def at_rename(temporary, target):
    kind = "output" if str(target).endswith(".png") else "result"
    if step == kind + ": written": die()
    replace(temporary, target)
    if step == kind + ": renamed": die()
os.replace = at_rename
for module in (pipeline, source, output):
    if done := getattr(module, step, None):
        setattr(module, step, lambda *a, done=done, **k: (done(*a, **k), die()))
compress_in_process({job.arguments()!r})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not Path(job.result).exists()
    assert not job.is_done()
    if Path(job.output).exists():
        assert Image.open(job.output).size == Image.open(job.image).size
    compress_in_process(job.arguments())
    assert job.is_done()
    assert sorted(path.name for path in Path(job.output).parent.iterdir()) == ["k003.json", "k003.png"]


def compress_in_process(arguments: list[str]) -> None:
    """The pipeline on pixels in this process, with the application's own arguments."""
    from colorquant.compress import pipeline
    from colorquant.quantizer.in_process import PixelSource
    from colorquant.spark import image_application

    class InProcess(PixelSource):
        unique_colors = property(lambda self: len(self.histogram))

        def describe(self) -> dict[str, object]:
            return {}

    job, _ = image_application._parse(arguments)
    pipeline.compress_image(job.image, job.k, job.output, job.result, job.settings, InProcess, job.image_sha256)
    assert json.loads(storage.read(job.result))["k"] == job.k


@pytest.mark.parametrize("searched", ["auto", "fewest"])
def test_a_search_for_a_target_on_spark_gives_the_bytes_of_its_k_and_is_not_done_twice(
    searched: str, image: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (folder := tmp_path / "images").mkdir()
    (folder / image.name).write_bytes(image.read_bytes())
    (job,) = plan_run(
        RunRequest(run_id="run", images=str(folder), ks=[searched], output=str(tmp_path / "out"), target="psnr=30")
    ).jobs
    run = _submit(bare_environment, *job.arguments(), "--partitions=2")
    assert run.returncode == 0, run.stderr
    record = CompressionResult.read(job.result)
    tried = dict(record.search.tried)
    assert record.search.reached and record.psnr_db >= 30
    assert all(value < 30 for k, value in tried.items() if k < record.k)
    assert math.isclose(tried[record.k], record.psnr_db, rel_tol=1e-12)
    assert record.search.free == (
        () if searched == "fewest" else ("objective", "color_space", "rate", "dither", "effort")
    )
    chosen = {name: record.settings[name] for name in ("objective", "color_space", "rate", "dither")}
    quantized = quantize(read_image(image).pixels, record.k, **chosen)
    encoded = encode_indexed_png(quantized.palette, quantized.indexes, effort=record.settings["effort"])
    assert encoded == Path(job.output).read_bytes()
    assert job.is_done()
    (other,) = plan_run(
        RunRequest(run_id="run", images=str(folder), ks=[searched], output=str(tmp_path / "out"), target="psnr=31")
    ).jobs
    assert not other.is_done()


def test_an_image_with_alpha_has_the_same_bytes_on_spark_as_without_and_its_figures_are_true(
    tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """More distinct colors than the search works on, in three partitions."""
    pixels = np.dstack([photograph(200, 190), np.tile(np.arange(190, dtype=np.uint8), (200, 1))])
    image, output, record = tmp_path / "soft.png", tmp_path / "out" / "o.png", tmp_path / "out" / "r.json"
    Image.fromarray(pixels).save(image)
    run = _submit(
        bare_environment, f"--image={image}", "--k=9", f"--output={output}", f"--result={record}", "--partitions=3"
    )
    assert run.returncode == 0, run.stderr
    result = CompressionResult.read(record)
    assert result.unique_colors > 1 << 14 and result.spark["partitions"] == 3
    quantized = quantize(pixels, 9)
    assert encode_indexed_png(quantized.palette, quantized.indexes) == output.read_bytes()
    decoded = np.asarray(Image.open(output).convert("RGBA"))
    assert result.colors_used == len(np.unique(decoded.reshape(-1, 4), axis=0)) <= 9
    on = [
        [(image[..., :3] * (image[..., 3:] / 255) + level * (1 - image[..., 3:] / 255)) for image in (pixels, decoded)]
        for level in (0, 255)
    ]
    mse = np.mean([((one - other) ** 2).sum(axis=2).mean() for one, other in on])
    assert result.mse == pytest.approx(mse, rel=1e-9)
    assert result.inertia == pytest.approx(mse * pixels.shape[0] * pixels.shape[1], rel=1e-6)
