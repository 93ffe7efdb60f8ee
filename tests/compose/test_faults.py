"""Faults in the middle of a run: no run is lost, no output is half-written, nothing that was done is done again.

docs/deploy.md has what was measured. By `make test-compose`, which does the power cut; FAULTS=all does all.
"""

import contextlib
import time
from collections.abc import Callable

import pytest

from tests.compose.stack import Stack, wait_until

pytestmark = pytest.mark.compose
ALL = ["postgres", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]
ALL += ["spark-master", "spark-worker"]


def power_cut(stack: Stack, run_id: str) -> None:
    stack.compose("kill", "--signal", "SIGKILL")
    stack.make("up")


def worker_killed(stack: Stack, run_id: str) -> None:
    stack.kill("spark-worker")


def master_restarted(stack: Stack, run_id: str) -> None:
    stack.compose("restart", "spark-master")


def scheduler_killed(stack: Stack, run_id: str) -> None:
    stack.kill("airflow-scheduler")


def postgres_restarted(stack: Stack, run_id: str) -> None:
    stack.compose("restart", "postgres")


def all_restarted(stack: Stack, run_id: str) -> None:
    stack.compose("restart")


def all_restarted_on_a_busy_host(stack: Stack, run_id: str) -> None:
    """The API server gets so little of a core that it is away for a minute."""
    api_server = stack.compose("ps", "--quiet", "airflow-api-server").strip()
    stack.engine("update", "--cpus", "0.15", api_server)
    stack.compose("restart")
    stack.engine("update", "--cpus", "2", api_server)


def volume_filled(stack: Stack, run_id: str) -> None:
    if not stack.is_small:
        pytest.skip("only root can mount a small file system")
    filler = stack.output / "filler"
    with open(filler, "wb", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    wait_until(lambda: "up_for_retry" in stack.states(run_id), "a job fails")
    filler.unlink()


FAULTS = [power_cut, worker_killed, master_restarted, scheduler_killed, postgres_restarted, all_restarted]
FAULTS += [all_restarted_on_a_busy_host, volume_filled]


@pytest.mark.parametrize("fault", [FAULTS[0], *(pytest.param(fault, marks=pytest.mark.more) for fault in FAULTS[1:])])
def test_a_run_outlives(stack: Stack, fault: Callable[[Stack, str], None]) -> None:
    # Another seed, so that no earlier result is reused.
    seed = 1 + FAULTS.index(fault)
    run_id = stack.trigger("2 3", seed)
    plan = stack.wait_for_plan(run_id)
    wait_until(lambda: len(stack.results(plan)) >= 1, "a job is done")
    before = stack.results(plan)
    assert len(before) < len(plan.jobs), "the fault comes too late"
    started = time.monotonic()
    fault(stack, run_id)
    struck = time.monotonic() - started
    state = stack.wait_for_end(run_id)
    if cleared := state == "failed":
        stack.clear(run_id)
        state = stack.wait_for_end(run_id)
    assert state == "success"
    stack.check_results(plan)
    after = stack.results(plan)
    assert {path: after[path] for path in before} == before
    tries = stack.tries(run_id)
    figures = f"{len(before)} of {len(plan.jobs)} jobs done before, fault {struck:.0f} s, "
    figures += f"run ended after {time.monotonic() - started:.0f} s, tries {sorted(tries.values())}"
    print(f"\n{fault.__name__}: {figures}{', finished by clearing' if cleared else ''}")
    wait_until(lambda: all(stack.is_healthy(name) for name in ALL), "all services are healthy again")
