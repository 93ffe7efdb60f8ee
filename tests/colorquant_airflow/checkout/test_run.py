"""What `make run` tells the DAG, and what it changes and says where it joins the Airflow of a running `make ui`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from colorquant.jobs import JobFailure, Plan, RunRequest, plan_run
from colorquant_airflow.checkout import run
from colorquant_airflow.checkout.services import Services
from colorquant_airflow.dag.params import library_params


class _Api:
    """An Airflow that notes what is changed in it, and in which the user presses Ctrl-C while a run goes on."""

    address = "http://127.0.0.1:8080"

    def __init__(self, paused: bool) -> None:
        self.paused = paused
        self.changes: list[str] = []

    def is_paused(self, dag_id: str) -> bool:
        return self.paused

    def unpause(self, dag_id: str) -> None:
        self.changes.append("unpause")

    def set_pool(self, name: str, slots: int, description: str) -> None:
        self.changes.append("pool")

    def pool(self, name: str) -> dict[str, Any] | None:
        return {"slots": 2}

    def unfinished_runs(self, dag_id: str) -> list[str]:
        return ["old"]

    def fail_run(self, dag_id: str, run_id: str) -> None:
        self.changes.append(f"fail {run_id}")

    def trigger(self, dag_id: str, params: dict[str, Any]) -> str:
        self.changes.append("trigger")
        return "new"

    def run_state(self, dag_id: str, run_id: str) -> str:
        raise KeyboardInterrupt


def _make_run(api: _Api, own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    @contextmanager
    def services(home: Any, purpose: str) -> Iterator[Services]:
        yield Services(api, own)  # type: ignore[arg-type]

    @contextmanager
    def kernels(home: Any) -> Iterator[Callable[[], None]]:
        yield lambda: None

    monkeypatch.setattr(run, "airflow_services", services)
    monkeypatch.setattr(run, "compiled_kernels", kernels)
    monkeypatch.setattr(run, "interrupt_on_signals", lambda: None)
    monkeypatch.setattr(sys, "argv", ["run", f"--images={tmp_path}", f"--output={tmp_path / 'out'}"])
    return run.main()


def test_a_run_in_the_airflow_of_make_ui_goes_on_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = _Api(paused=False)
    assert _make_run(api, False, tmp_path, monkeypatch) == 1
    assert api.changes == ["trigger"]
    told = capsys.readouterr().err
    assert "Run new continues in the Airflow of `make ui`, http://127.0.0.1:8080" in told
    assert "Stopped" not in told


def test_a_pause_made_in_the_ui_is_not_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = _Api(paused=True)
    assert _make_run(api, False, tmp_path, monkeypatch) == 1
    assert api.changes == []
    assert "is paused in the Airflow of `make ui`" in capsys.readouterr().err


def test_an_airflow_of_its_own_is_made_ready_and_stops_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = _Api(paused=True)
    assert _make_run(api, True, tmp_path, monkeypatch) == 1
    assert api.changes == ["pool", "fail old", "unpause", "trigger"]
    assert "Stopped. `make run` continues from here" in capsys.readouterr().err


class _Waiting(_Api):
    """An Airflow in which a run with two jobs goes on only after a while."""

    def __init__(self, paused: bool, pool: dict[str, Any] | None, *states: str) -> None:
        super().__init__(paused)
        self.states, self._pool, self.polls = states, pool, 0

    def pool(self, name: str) -> dict[str, Any] | None:
        return self._pool

    def run_state(self, dag_id: str, run_id: str) -> str:
        self.polls += 1
        return "running" if self.polls < 6 else "failed"

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return [
            {"task_id": "compress_image", "map_index": index, "state": state} for index, state in enumerate(self.states)
        ]


def _plan(photographs: Path, folder: Path) -> Plan:
    plan = plan_run(RunRequest(run_id="run", images=str(photographs), ks=[4], output=str(folder)))
    plan.write(folder / "plan.json")
    return plan


@pytest.mark.parametrize(
    ("paused", "pool", "states", "sentence"),
    [
        (True, {"slots": 2}, ("scheduled", "scheduled"), "kmeans_image_compression is paused in Airflow, http://127"),
        (False, None, ("scheduled", "scheduled"), "there is no pool 'spark'"),
        (False, {"slots": 0}, ("scheduled", "success"), "the pool 'spark' has no slots"),
        (False, {"slots": 0}, ("scheduled", "running"), None),
        (False, {"slots": 2}, ("scheduled", "scheduled"), None),
        (False, {"slots": 2}, ("up_for_retry", "success"), "is tried again: The Spark master does not answer"),
        (False, {"slots": 2}, ("running", "success"), "one.png k=4: The Spark master does not answer"),
    ],
)
def test_a_quiet_run_says_once_what_it_waits_for(
    paused: bool,
    pool: dict[str, Any] | None,
    states: tuple[str, ...],
    sentence: str | None,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = _plan(photographs, tmp_path / "out")
    JobFailure.of(1, "The Spark master does not answer").write(plan.jobs[0].failure)
    monkeypatch.setattr(run, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(run, "_QUIET_SECONDS", 0.0)
    run._watch(_Waiting(paused, pool, *states), "run", tmp_path / "out")  # type: ignore[arg-type]
    waits = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Waiting: ")]
    assert len(waits) == (sentence is not None)
    assert sentence is None or sentence in waits[0]


def test_a_run_in_an_airflow_without_the_pool_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = _Waiting(False, None)
    assert _make_run(api, False, tmp_path, monkeypatch) == 1
    assert api.changes == []
    assert "there is no pool 'spark'" in capsys.readouterr().err


def _params(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    monkeypatch.setattr("sys.argv", ["run", *arguments])
    return run._params(run._parse())


def test_it_tells_what_was_asked_for(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = _params(
        monkeypatch,
        f"--images={photographs}",
        f"--output={tmp_path / 'out'}",
        "--ks=8 2",
        "--pattern=sub */*.jpg",
        "--settings=rate=0.1 format=webp compare=avif,webp weights=masks",
    )
    asked: dict[str, Any] = {"images": str(photographs), "output": str(tmp_path / "out"), "pattern": "sub */*.jpg"}
    asked |= {"ks": ["8", "2"], "rate": 0.1, "format": "webp", "compare": ["webp", "avif"]}
    asked |= {"weights": str(tmp_path / "masks")}
    assert told | asked == told


def test_without_arguments_it_tells_the_defaults_of_the_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _params(monkeypatch)
    defaults = {name: param.value for name, param in library_params().items()}
    # make run leaves the credentials of an object store to the environment.
    assert told.keys() == defaults.keys() - {"storage_connection"}
    assert told == {name: defaults[name] for name in told}
