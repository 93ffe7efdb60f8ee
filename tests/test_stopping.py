"""A task that is stopped leaves no process of its job: seen by process ids, with the real spark-submit."""

import signal
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.operator_task import start_task

pytestmark = pytest.mark.e2e


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
    try:
        return "worker_daemon" in " ".join(process.cmdline())
    except psutil.Error:
        return False
