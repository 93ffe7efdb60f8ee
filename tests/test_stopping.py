"""A task that is stopped leaves no process of its job: seen by process ids, with the real spark-submit."""

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
import pytest
from PIL import Image

from colorquant_airflow import processes
from colorquant_airflow.checkout.home import DAG_ID, AirflowHome
from colorquant_airflow.checkout.services import airflow_services
from tests.conftest import PROJECT
from tests.operator_task import start_task

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a parent-death signal exists on Linux only")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_of_a_stopped_task_is_left_after_ten_seconds(
    how: signal.Signals, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (3000, 3000, 3), np.uint8)).save(
        tmp_path / "big.png", compress_level=1
    )
    task = start_task("local[2]", tmp_path / "big.png", tmp_path / "out" / "o.png", bare_environment, ["--k=256"])
    family: dict[int, psutil.Process] = {}
    deadline = time.monotonic() + 300
    workers = 0
    while workers < 2 and time.monotonic() < deadline and task.poll() is None:
        family |= {child.pid: child for child in psutil.Process(task.pid).children(recursive=True)}
        workers = sum(_is_daemon_or_worker(process) for process in family.values())
        time.sleep(0.1)
    assert workers >= 2, "PySpark's daemon and a worker were to be seen"
    task.send_signal(how)
    task.wait(timeout=10)
    _, alive = psutil.wait_procs(family.values(), timeout=10)
    assert alive == []
    assert {path.suffix for path in (tmp_path / "out").iterdir()} <= {".log", ".failure"}


def _is_daemon_or_worker(process: psutil.Process) -> bool:
    return "worker_daemon" in _command(process)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


_TIMES_OUT = """
import sys
sys.path.insert(0, {project!r})
from datetime import timedelta
from airflow.sdk import DAG
from colorquant_airflow.operators import SPARK_CONF, CompressImageOperator
with DAG("times_out", schedule=None):
    CompressImageOperator(
        task_id="compress_image", name="t", conn_id="spark_default", conf=SPARK_CONF, failure={folder!r} + "/failure",
        execution_timeout=timedelta(seconds=20),
        application_args=["--image={image}", "--k=256", "--output={folder}/o.png", "--result={folder}/r.json"])
"""


class _Home(AirflowHome):
    """An Airflow with this project's DAG and the one above."""

    def environment(self, port: int, schedule: bool) -> dict[str, str]:
        return super().environment(port, schedule) | {"AIRFLOW__CORE__DAGS_FOLDER": str(self.folder.parent / "dags")}


def test_whatever_stops_a_task_in_airflow_all_its_processes_are_gone_after_ten_seconds(
    tmp_path: Path, bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clearing it, marking it as failed, its time-out, and stopping Airflow, which runs it again meanwhile."""
    for name in set(os.environ) - set(bare_environment):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", bare_environment["PATH"])
    images, times_out = tmp_path / "images", tmp_path / "times_out"
    for folder in (images, times_out, tmp_path / "dags"):
        folder.mkdir()
    # Noise has as many colors as pixels: the search for 256 of them takes longer than the test.
    noise = np.random.default_rng(0).integers(0, 256, (5000, 5000, 3), np.uint8)
    Image.fromarray(noise).save(images / "noise.bmp")
    (tmp_path / "dags" / "real.py").symlink_to(PROJECT / "dags" / "kmeans_image_compression.py")
    (tmp_path / "dags" / "times_out.py").write_text(
        _TIMES_OUT.format(project=str(PROJECT), folder=str(times_out), image=images / "noise.bmp")
    )
    home = _Home(tmp_path / "airflow", jobs_at_once=2)
    with ThreadPoolExecutor() as pool, airflow_services(home, purpose="run") as services:
        api = services.api
        api.set_pool("spark", 2, "")
        _wait(lambda: api.is_parsed("times_out", datetime.fromtimestamp(0, UTC)), "the DAG times_out")
        for dag_id in (DAG_ID, "times_out"):
            api.unpause(dag_id)
        run = api.trigger(DAG_ID, {"images": str(images), "ks": ["256"], "output": str(tmp_path / "out")})
        instance = f"/dags/{DAG_ID}/dagRuns/{quote(run)}/taskInstances/compress_image/0"

        first = _job_at_work(tmp_path / "out")
        timed_out = pool.submit(_seconds_of_life, times_out)
        api.trigger("times_out", {})
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run, "task_ids": [["compress_image", 0]]}
        api._send("POST", f"/dags/{DAG_ID}/clearTaskInstances", repeatable=True, json=body).raise_for_status()
        assert _alive_after_ten_seconds(first) == []

        assert timed_out.result() <= 20 + 10

        second = _job_at_work(tmp_path / "out")
        api._send("PATCH", instance, json={"new_state": "failed"}).raise_for_status()
        assert _alive_after_ten_seconds(second) == []

        _wait(lambda: api.run_state(DAG_ID, run) == "failed", "the end of the run")
        api.trigger(DAG_ID, {"images": str(images), "ks": ["256"], "output": str(tmp_path / "out")})
        third = _job_at_work(tmp_path / "out")
        left = pool.submit(_alive_after_ten_seconds, third)
    assert left.result() == []
    assert [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".png" or ".tmp" in path.name] == []


def _processes_of(folder: Path) -> list[psutil.Process]:
    """The JVM and the driver of jobs that write to a folder, and all that these started."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        command = _command(process)
        if "compress_image.py" in command and f"--output={folder}/" in command:
            found |= {member.pid: member for member in processes.tree(process.pid)}
    return list(found.values())


def _job_at_work(folder: Path) -> list[psutil.Process]:
    """The processes of a job, once PySpark's daemon has forked a worker."""
    _wait(lambda: sum(_is_daemon_or_worker(process) for process in _processes_of(folder)) >= 2, "a job at work")
    return _processes_of(folder)


def _seconds_of_life(folder: Path) -> float:
    """From the start of a job's JVM until all of its processes are gone."""
    _wait(lambda: _processes_of(folder), "a job")
    started = min(process.create_time() for process in _processes_of(folder))
    _wait(lambda: not _processes_of(folder), "its end")
    return time.time() - started


def _alive_after_ten_seconds(family: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(family, timeout=10)[1]


def _wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
