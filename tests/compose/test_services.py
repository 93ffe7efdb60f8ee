"""What the services do when they are asked for more, or fail. By `make test-compose FAULTS=all`."""

import shutil

import cv2
import numpy as np
import pytest

from colorquant.jobs.failure import JobFailure
from colorquant.jobs.records import CompressionResult
from colorquant_airflow.checkout.home import DAG_ID
from tests.compose.stack import Stack, wait_until

pytestmark = [pytest.mark.compose, pytest.mark.more]
ALL = ["postgres", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]
ALL += ["spark-master", "spark-worker"]


@pytest.mark.parametrize(
    "hung, noticed",
    [
        (["airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "spark-worker"], []),
        (["spark-master"], ["spark-worker"]),
        (["airflow-api-server"], ["airflow-dag-processor", "airflow-triggerer"]),
        (["postgres"], ["airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]),
    ],
)
def test_a_service_that_hangs_is_said_to_be_unhealthy(stack: Stack, hung: list[str], noticed: list[str]) -> None:
    """Its process is there: a check that only looks for it would see nothing. So is what cannot work without it."""
    wait_until(lambda: all(stack.is_healthy(name) for name in ALL), "all services are healthy")
    with stack.hung(*hung):
        wait_until(lambda: not any(stack.is_healthy(name) for name in hung + noticed), "the checks notice it", 300)
        assert [name for name in ALL if not stack.is_healthy(name)] == [n for n in ALL if n in hung + noticed]
    wait_until(lambda: all(stack.is_healthy(name) for name in ALL), "all services are healthy again")


def test_three_workers_share_the_jobs(stack: Stack) -> None:
    stack.compose("up", "--detach", "--wait", "--scale", "spark-worker=3")
    alive = [worker for worker in stack.master()["workers"] if worker["state"] == "ALIVE"]
    assert len({worker["host"] for worker in alive}) == 3
    run_id = stack.trigger("2 3", seed=100)
    busy: set[str] = set()
    wait_until(lambda: busy.update(_busy(stack)) or stack.has_ended(run_id), f"run {run_id} ends")
    stack.compose("up", "--detach", "--wait", "--scale", "spark-worker=1")
    assert stack.wait_for_end(run_id) == "success"
    stack.check_results(stack.wait_for_plan(run_id))
    assert len(busy) >= 2, "jobs at the same time are on different workers"


def test_no_image_ends_its_container_by_memory(stack: Stack) -> None:
    """The worst format, 16-bit RGBA with a color for each pixel: as large as allowed, and a little larger."""
    memory = int(stack.settings()["COMPRESSION_MAX_MEMORY"])
    height = 4000
    # The file is as long as its samples: 8 bytes for each pixel, besides the 65 of its job.
    width = (memory - 700_000_000 - 2**20) // (height * (65 + 8))
    folder = stack.images / "worst"
    folder.mkdir()
    for name, more in (("allowed", 0), ("refused", 40)):
        colors = np.arange(height * (width + more), dtype="<u4") | 254 << 24  # Nearly opaque, all of them different.
        samples = colors.view(np.uint8).reshape(height, -1, 4).astype(np.uint16) * 257
        assert cv2.imwrite(str(folder / f"{name}.png"), samples, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    restarts = {name: container["RestartCount"] for name, container in stack.containers().items()}
    run_id = stack.api().trigger(DAG_ID, {"ks": ["4"], "images": "/data/images/worst", "max_failures": 1})
    assert stack.wait_for_end(run_id) == "success"
    allowed, refused = stack.wait_for_plan(run_id).jobs
    assert CompressionResult.read(stack.on_host(allowed.result)).width == width
    assert "GB of memory, more than the limit" in JobFailure.read(stack.on_host(refused.failure)).reason
    assert stack.tries(run_id) == {0: 1, 1: 1}
    assert {name: container["RestartCount"] for name, container in stack.containers().items()} == restarts
    assert not any(container["State"]["OOMKilled"] for container in stack.containers().values())
    shutil.rmtree(folder)


def _busy(stack: Stack) -> set[str]:
    return {worker["host"] for worker in stack.master()["workers"] if worker["coresused"]}


def test_runs_start_by_schedule(stack: Stack) -> None:
    stack.set("COMPRESSION_SCHEDULE", "* * * * *")
    stack.make("up")
    runs: list[str] = []
    wait_until(lambda: runs.extend(_scheduled(stack)) or runs, "a scheduled run is made")
    assert stack.wait_for_end(runs[0]) == "success"
    plan = stack.wait_for_plan(runs[0])
    assert {job.k for job in plan.jobs} == {4, 16, 64, 256}
    stack.check_results(plan)
    stack.set("COMPRESSION_SCHEDULE", "none")
    stack.make("up")


def _scheduled(stack: Stack) -> list[str]:
    runs = stack.api()._get(f"/dags/{DAG_ID}/dagRuns", run_type="scheduled")["dag_runs"]
    return [run["dag_run_id"] for run in runs]
