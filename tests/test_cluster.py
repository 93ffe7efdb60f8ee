"""A real cluster: a standalone master and two workers of the installed PySpark, jobs by the DAG's own operator.

Where images and outputs are in a bucket, it is all that driver and workers have in common but the network.
"""

import re
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

from colorquant.cli.main import main
from colorquant.jobs import CompressionResult, JobFailure, RunRequest, plan_run
from colorquant.settings import Settings
from colorquant.storage import files_below, put, read
from tests.conftest import PROJECT, photograph
from tests.object_store import SECRET
from tests.operator_task import start_task

pytestmark = pytest.mark.e2e
_PATIENCE = 600
Submit = Callable[..., "subprocess.Popen[str]"]


@dataclass
class Cluster:
    """A running cluster. ``workers`` are the JVMs by number; what they run has their folders' environment.

    ``properties`` is a file of Spark properties, if master and workers have one.
    """

    folder: Path
    environment: dict[str, str]
    master: str = ""
    properties: Path | None = None
    size: int = 2

    def __post_init__(self) -> None:
        self._master = self._start("master", "master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        (self.master,) = self._wait_for("master", r"Starting Spark master at (spark://\S+)", 1)
        self.workers = [self.start_worker(number) for number in range(self.size)]

    def start_worker(self, number: int) -> psutil.Process:
        """Start a worker of 2 cores, and wait until the master knows it."""
        known = len(self._found("master", "Registering worker"))
        arguments = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0", "--cores", "2", "--memory", "2g")
        worker = self._start(f"worker{number}", "worker.Worker", *arguments, self.master)
        self._wait_for("master", "Registering worker", known + 1)
        return worker

    def stop(self) -> None:
        """Kill every process of the cluster."""
        for process in [*self.workers, self._master]:
            _kill_tree(process)

    def replace_worker(self, number: int) -> None:
        """Start a worker in place of one that was killed, or is to be."""
        _kill_tree(self.workers[number])
        self.workers[number] = self.start_worker(number)

    def _start(self, name: str, class_name: str, *arguments: str) -> psutil.Process:
        with open(self.folder / f"{name}.log", "a") as log:
            command = ["spark-class", f"org.apache.spark.deploy.{class_name}", *arguments]
            if self.properties is not None:
                command[2:2] = ["--properties-file", str(self.properties)]
            if "worker" in name:
                command[-1:-1] = ["--work-dir", str(self.folder / name)]
            started = subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        return psutil.Process(started.pid)

    def _found(self, name: str, pattern: str) -> list[str]:
        return re.findall(pattern, (self.folder / f"{name}.log").read_text())

    def _wait_for(self, name: str, pattern: str, times: int) -> list[str]:
        _wait(lambda: len(self._found(name, pattern)) >= times, f"{pattern!r} in {name}.log")
        return self._found(name, pattern)


def _wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def _kill_tree(process: psutil.Process) -> None:
    family = [process, *_descendants(process)]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=10)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, bare_environment: dict[str, str]) -> dict[str, str]:
    """Of driver and workers alike: this environment's Python, a new home, and nothing of this project on the path."""
    folder = tmp_path_factory.mktemp("environment")
    return bare_environment | {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(folder / "nothing"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Cluster]:
    running = Cluster(tmp_path_factory.mktemp("cluster"), environment)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More colors than the cells of a search, so that the workers also refine."""
    pixels = photograph(300, 600)
    pixels[:200] = np.random.default_rng(0).integers(0, 256, (200, 600, 3))
    path = tmp_path_factory.mktemp("image") / "image.png"
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


@pytest.fixture(scope="module")
def local_bytes(image: Path, environment: dict[str, str]) -> bytes:
    """What the same job writes in local mode."""
    output = image.parent / "local" / "o.png"
    task = start_task("local[2]", image, output, environment, ["--k=32"])
    assert task.wait(_PATIENCE) == 0, output.with_suffix(".log").read_text()
    return output.read_bytes()


@pytest.fixture
def submit(cluster: Cluster, image: Path, environment: dict[str, str]) -> Iterator[Submit]:
    """Starts tasks on the cluster; what of them still runs at the end of the test is killed."""
    tasks = []

    def start(output: Path, *arguments: str, **conf: str) -> "subprocess.Popen[str]":
        tasks.append(start_task(cluster.master, image, output, environment, ["--k=32", *arguments], conf))
        return tasks[-1]

    yield start
    for task in tasks:
        task.kill()
        task.wait()


def _command(master: str, application: str, *arguments: str) -> list[str]:
    """Of a job by hand: one executor of one core on each worker."""
    conf = {
        "spark.ui.enabled": "false",
        "spark.pyspark.driver.python": sys.executable,
        "spark.executor.cores": "1",
        "spark.cores.max": "2",
    }
    confs = [item for name, value in conf.items() for item in ("--conf", f"{name}={value}")]
    return ["spark-submit", "--master", master, *confs, str(PROJECT / "spark_apps" / application), *arguments]


def _executors(cluster: Cluster) -> dict[int, psutil.Process]:
    """By the worker's number: its executor's JVM, once that has a Python that runs tasks."""
    found = {}
    for number, worker in enumerate(cluster.workers):
        for process in _descendants(worker):
            # PySpark's daemon, and a process that it forked to run tasks.
            if "CoarseGrainedExecutorBackend" in " ".join(_command_line(process)) and len(_descendants(process)) >= 2:
                found[number] = process
    return found


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _option(process: psutil.Process, name: str) -> str:
    command = _command_line(process)
    return command[command.index(name) + 1]


def test_a_cluster_gives_the_bytes_of_local_mode_and_gets_the_package_from_the_job(
    cluster: Cluster, submit: Submit, local_bytes: bytes, environment: dict[str, str], tmp_path: Path
) -> None:
    """The workers could not import the package before; the job leaves it unpacked in their cache."""
    alone = subprocess.run(["python3", "-c", "import numpy, colorquant"], env=environment, cwd=cluster.folder)
    assert alone.returncode != 0
    output = tmp_path / "o.png"
    task = submit(output, "--partitions=3")
    assert task.wait(_PATIENCE) == 0, output.with_suffix(".log").read_text()
    assert output.read_bytes() == local_bytes
    record = CompressionResult.read(output.with_suffix(".json"))
    assert record.spark["master"] == cluster.master
    (unpacked,) = Path(environment["XDG_CACHE_HOME"], "colorquant").glob("*/package/colorquant/spark/__init__.py")
    logs = cluster.folder.glob(f"worker*/{record.spark['application_id']}/*/stderr")
    assert {log.parts[-4] for log in logs} == {"worker0", "worker1"}


@pytest.mark.faults
def test_a_worker_that_is_killed_costs_time_and_changes_no_byte(
    cluster: Cluster, submit: Submit, local_bytes: bytes, tmp_path: Path
) -> None:
    """SIGKILL to a worker, its executor and its Python while the job is at work on both; by ids, it was this job's."""
    output = tmp_path / "o.png"
    task = submit(output, "--partitions=4")
    _wait(lambda: len(_executors(cluster)) == 2 or task.poll() is not None, "executors at work on both workers")
    lost = _executors(cluster)[0]
    application, executor = _option(lost, "--app-id"), _option(lost, "--executor-id")
    _kill_tree(cluster.workers[0])
    assert not output.exists()
    assert task.wait(_PATIENCE) == 0, output.with_suffix(".log").read_text()
    assert CompressionResult.read(output.with_suffix(".json")).spark["application_id"] == application
    assert f"Lost executor {executor} " in output.with_suffix(".log").read_text()
    assert output.read_bytes() == local_bytes
    cluster.workers[0] = cluster.start_worker(0)


@pytest.mark.faults
def test_a_worker_that_is_killed_while_it_counts_changes_no_byte_of_a_palette(
    cluster: Cluster, environment: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL to a worker, its executor and its Python while both count the images of a library."""
    images, output = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    random = np.random.default_rng(0)
    for number in range(160):
        pixels = photograph(256, 256, seed=number)
        pixels[::2] = random.integers(0, 256, (128, 256, 3))  # More colors than the driver takes as a whole.
        Image.fromarray(pixels).save(images / f"{number}.png", compress_level=1)
    settings = Settings(palette="library")
    plan = plan_run(RunRequest(run_id="run", images=str(images), ks=[8], output=str(output), settings=settings))
    plan.write(output / "plan.json")
    command = _command(cluster.master, "find_palettes.py", f"--plan={output / 'plan.json'}")
    log = tmp_path / "log"
    with open(log, "w") as stream:
        task = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    try:
        _wait(lambda: len(_executors(cluster)) == 2 or task.poll() is not None, "executors at work on both workers")
        lost = _executors(cluster)[0]
        executor = _option(lost, "--executor-id")
        _kill_tree(cluster.workers[0])
        assert not list(output.glob("palettes/**/*"))
        assert task.wait(_PATIENCE) == 0, log.read_text()
    finally:
        task.kill()
        task.wait()
        cluster.replace_worker(0)
    assert f"Lost executor {executor} " in log.read_text()
    found = output / "palettes" / plan.palettes[""]
    options = ["--k=8", "--palette=library", f"--output={tmp_path / 'alone'}", "--quiet", "--keep-larger"]
    assert main([str(images), *options]) == 0
    for path in found.iterdir():
        assert path.read_bytes() == (tmp_path / "alone" / "palettes" / found.name / path.name).read_bytes()
    assert len(list(found.iterdir())) == 4


@pytest.mark.faults
def test_a_killed_driver_leaves_nothing_half_written_and_the_retry_succeeds(
    cluster: Cluster, submit: Submit, local_bytes: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "o.png"
    task = submit(output)
    _wait(lambda: _executors(cluster) or task.poll() is not None, "executors at work")
    executors = _executors(cluster).values()
    (jvm,) = psutil.Process(task.pid).children()
    drivers = [child for child in jvm.children() if "compress_image.py" in " ".join(_command_line(child))]
    assert len(drivers) == 1
    drivers[0].kill()
    assert task.wait(_PATIENCE) not in (0, 2, 65)
    assert psutil.wait_procs(executors, timeout=_PATIENCE)[1] == []
    assert sorted(path.name for path in output.parent.iterdir()) == ["o.failure", "o.log"]
    assert JobFailure.read(output.with_suffix(".failure")).retryable
    again = submit(output)
    assert again.wait(_PATIENCE) == 0, output.with_suffix(".log").read_text()
    assert output.read_bytes() == local_bytes


@pytest.mark.faults
def test_a_job_without_workers_says_so_and_goes_on_when_one_comes(
    image: Path,
    local_bytes: bytes,
    environment: dict[str, str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    empty = Cluster(tmp_path_factory.mktemp("empty"), environment, size=0)
    output = tmp_path / "o.png"
    task = start_task(empty.master, image, output, environment, ["--k=32"])
    try:
        failure = output.with_suffix(".failure")
        _wait(lambda: failure.exists() or task.poll() is not None, "what the job says")
        assert f"{empty.master} has no worker with free cores" in JobFailure.read(failure).reason
        empty.workers.append(empty.start_worker(0))
        assert task.wait(_PATIENCE) == 0, output.with_suffix(".log").read_text()
    finally:
        task.kill()
        empty.stop()
    assert not failure.exists()
    assert output.read_bytes() == local_bytes


@pytest.mark.faults
def test_a_worker_without_numpy_and_numba_is_named(submit: Submit, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    output = tmp_path / "o.png"
    task = submit(output, **{"spark.pyspark.python": str(python), "spark.pyspark.driver.python": sys.executable})
    assert task.wait(_PATIENCE) not in (0, 2, 65)
    reason = JobFailure.read(output.with_suffix(".failure")).reason
    assert f"{python}, has no numpy and no numba. Install the packages of this project's requirements.txt" in reason


def _compressed(folder: Path | str) -> dict[str, bytes]:
    """The outputs of a run, by their path in the output folder, without records, which have times."""
    names = [name for name in files_below(folder) if name.endswith((".png", ".tif"))]
    return {name: read(f"{folder}/{name}") for name in names}


def _outputs_in(folder: str) -> int:
    return sum(name.endswith(".png") for name in files_below(folder))


def _logs_of_workers(cluster: Cluster, application: str) -> dict[str, str]:
    """What the executors of an application wrote, by the worker's name."""
    logs = cluster.folder.glob(f"worker*/{application}/*/stderr")
    return {log.parts[-4]: log.read_text(errors="replace") for log in logs}


def test_a_library_in_a_bucket_needs_no_common_disk_and_loses_nothing_with_a_worker(
    cluster: Cluster, environment: dict[str, str], s3: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL to a worker while both compress. The workers' own environment has no key of the store."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(32):
        side = 400 + 8 * number
        Image.fromarray(photograph(side, side, seed=number)).save(images / f"{number}.png", compress_level=1)
        put(f"s3://library/in/{number}.png", (images / f"{number}.png").read_bytes())
    arguments = ["--ks=3 9", "--run=run"]
    local = _command("local[2]", "compress_corpus.py", *arguments, f"--images={images}", f"--output={tmp_path / 'out'}")
    subprocess.run(local, env=environment, check=True, capture_output=True, timeout=_PATIENCE)
    out = "s3://results/out"
    arguments += ["--images=s3://library/in", f"--output={out}"]
    log = tmp_path / "log"
    with open(log, "w") as stream:
        task = subprocess.Popen(
            _command(cluster.master, "compress_corpus.py", *arguments),
            env=environment | s3,
            stdout=stream,
            stderr=stream,
        )
    try:
        _wait(
            lambda: (_outputs_in(out) >= 4 and len(_executors(cluster)) == 2) or task.poll() is not None,
            "the first outputs, and both executors",
        )
        lost = _executors(cluster)
        assert len(lost) == 2, log.read_text()
        application, executor = _option(lost[0], "--app-id"), _option(lost[0], "--executor-id")
        _kill_tree(cluster.workers[0])
        assert task.wait(_PATIENCE) == 0, log.read_text()
    finally:
        task.kill()
        task.wait()
        cluster.replace_worker(0)
    assert f"Lost executor {executor} " in log.read_text()
    found = _compressed(f"{out}/compressed")
    assert found == _compressed(tmp_path / "out" / "compressed") and len(found) == 64
    assert not [name for name in files_below(out) if ".tmp-" in name or "failures/" in name]
    logs = _logs_of_workers(cluster, application)
    assert set(logs) == {"worker0", "worker1"}
    assert not any(SECRET in text for text in [*logs.values(), log.read_text()])


def test_a_tiff_that_is_too_large_for_a_process_is_read_from_a_bucket_and_written_to_one(
    cluster: Cluster, environment: dict[str, str], s3: dict[str, str], tmp_path: Path
) -> None:
    """By both workers, in ranges of bytes; nothing is left of the encoded tiles, on the driver's disk neither."""
    image, temporary = tmp_path / "large.tif", tmp_path / "temporary"
    temporary.mkdir()
    pixels = photograph(2300, 2100, seed=5)
    tifffile.imwrite(image, pixels, tile=(256, 256), photometric="rgb", compression="adobe_deflate", metadata=None)
    put("s3://library/in/large.tif", image.read_bytes())
    arguments = ["--k=7", "--max-pixels=1000000", "--partitions=4"]
    in_bucket = "s3://library/in/large.tif", "s3://results/out"
    for master, (source, out) in {"local[2]": (str(image), str(tmp_path / "out")), cluster.master: in_bucket}.items():
        files = [f"--image={source}", f"--output={out}/o.png", f"--result={out}/o.json"]
        run = subprocess.run(
            _command(master, "compress_image.py", *arguments, *files),
            env=environment | s3 | {"TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        assert run.returncode == 0, run.stderr
    record = CompressionResult.read("s3://results/out/o.json")
    assert record.output == "s3://results/out/o.tif"
    assert _compressed("s3://results/out") == _compressed(tmp_path / "out")
    assert set(files_below("s3://results/out")) == {"o.tif", "o.json"}
    assert list(temporary.iterdir()) == []
    on_disk = CompressionResult.read(tmp_path / "out" / "o.json")
    assert (record.mse, record.ssim, record.inertia) == (on_disk.mse, on_disk.ssim, on_disk.inertia)
    assert (record.image_sha256, record.output_sha256) == (on_disk.image_sha256, on_disk.output_sha256)
    assert record.spark["master"] == cluster.master
    assert set(_logs_of_workers(cluster, record.spark["application_id"])) == {"worker0", "worker1"}
