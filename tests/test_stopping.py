"""A task that is stopped leaves no process of its job: seen by process ids, with the real spark-submit."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.e2e

# What Airflow's task runner does: SIGTERM calls the operator's on_kill, SIGKILL nothing at all.
_TASK = """
import signal, sys
sys.path[:0] = sys.argv[1:3]
from orchestration.operators import CompressImageOperator
from orchestration.spark_conf import SPARK_CONF
operator = CompressImageOperator(
    task_id="t", name="t", conf=SPARK_CONF, application=sys.argv[2] + "/compress_image.py",
    failure=sys.argv[3] + "/failure.json",
    application_args=[f"--image={sys.argv[3]}/big.png", "--k=256", f"--output={sys.argv[3]}/out/o.png",
                      f"--result={sys.argv[3]}/out/r.json"])
signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
operator.execute({})
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a parent-death signal exists on Linux only")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_of_a_stopped_task_is_left_after_ten_seconds(
    how: signal.Signals, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (3000, 3000, 3), np.uint8)).save(
        tmp_path / "big.png", compress_level=1
    )
    task = subprocess.Popen(
        [sys.executable, "-c", _TASK, str(PROJECT), str(PROJECT / "spark_apps"), str(tmp_path)],
        env=bare_environment | {"AIRFLOW_CONN_SPARK_DEFAULT": '{"conn_type": "spark", "host": "local[2]"}'},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    family: dict[int, psutil.Process] = {}
    deadline = time.monotonic() + 60
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
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def _is_daemon_or_worker(process: psutil.Process) -> bool:
    try:
        return "worker_daemon" in " ".join(process.cmdline())
    except psutil.Error:
        return False
