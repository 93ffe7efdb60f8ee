"""The task of `kmeans_maintenance`, and the removal of what is old from Airflow's database and logs."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from colorquant import retention
from colorquant.jobs import pauses
from colorquant_airflow.dag.maintenance import maintenance_params, maintenance_schedule, prune_outputs
from tests.colorquant.retention.test_prune import Nights, nights  # noqa: F401

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    real, at = retention.prune, time.time() + 100 * 86_400
    monkeypatch.setattr(retention, "prune", lambda *given, **more: real(*given, now=at, **more))


def _context(output: Path | str, **more: Any) -> Any:
    params = {name: param.value for name, param in maintenance_params().items()} | {"output": str(output)} | more
    return {"params": params, "run_id": "run", "ti": SimpleNamespace()}


@pytest.fixture(autouse=True)
def allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", str(tmp_path))


def test_it_removes_what_is_no_longer_kept(
    nights: Nights,  # noqa: F811
    later: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COMPRESSION_KEEP_RUNS", "2")
    before = nights.files()
    told = prune_outputs(_context(nights.output))
    assert nights.files() == before and "would be removed" in capsys.readouterr().out
    monkeypatch.setenv("COMPRESSION_MAINTENANCE_DELETES", "1")
    assert prune_outputs(_context(nights.output)) == told
    assert told["runs"] == 3 and told["outputs"] == 8 and told["bytes"] > 0
    assert nights.runs() == nights.folders(4, 5)
    assert "3 runs" in capsys.readouterr().out


def test_what_a_retry_cannot_mend_fails_at_once(
    nights: Nights,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(AirflowFailException, match="is in none of the folders that may be used here"):
        prune_outputs(_context("/etc"))
    monkeypatch.setenv("COMPRESSION_MAINTENANCE_DELETES", "1")
    with pauses.planning(nights.output, nights.folder("night 6")), pytest.raises(RuntimeError, match="being planned"):
        prune_outputs(_context(nights.output))


def test_its_schedule_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "0 12 * * 0" in repr(maintenance_schedule())
    monkeypatch.setenv("COMPRESSION_MAINTENANCE_SCHEDULE", "none")
    assert maintenance_schedule() is None
    monkeypatch.setenv("COMPRESSION_MAINTENANCE_SCHEDULE", "sundays")
    with pytest.raises(ValueError, match="COMPRESSION_MAINTENANCE_SCHEDULE='sundays' is not a cron expression"):
        maintenance_schedule()


def test_what_is_old_leaves_airflows_database_and_logs(tmp_path: Path, bare_environment: dict[str, str]) -> None:
    home = tmp_path / "airflow"
    environment = bare_environment | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run(["airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    with sqlite3.connect(home / "airflow.db") as database:
        for name, days in (("old", 40), ("new", 20)):
            at = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(time.time() - days * 86_400))
            database.execute("insert into log (dttm, event, extra) values (?, ?, '')", (at, name))
    logs = home / "logs" / "dag_id=a"
    for name, days in (("run_id=old/1.log", 40), ("run_id=new/1.log", 20)):
        (logs / name).parent.mkdir(parents=True)
        (logs / name).touch()
        os.utime(logs / name, (time.time() - days * 86_400,) * 2)
    tidy = [PROJECT / "deploy" / "tidy.sh", "30"]
    run = subprocess.run(tidy, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    with sqlite3.connect(home / "airflow.db") as database:
        events = {event for (event,) in database.execute("select event from log")}
        tables = {name for (name,) in database.execute("select name from sqlite_master")}
    assert "new" in events and "old" not in events
    assert not [name for name in tables if "_airflow_deleted" in name]
    assert sorted(path.name for path in logs.iterdir()) == ["run_id=new"]
    for wrong in ("0", "-1", "a week", ""):
        run = subprocess.run([tidy[0], wrong or " "], env=environment, capture_output=True, text=True)
        assert run.returncode == 2 and "is not a number of days" in run.stderr


def test_whether_it_deletes_is_a_setting_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_MAINTENANCE_DELETES", "yes")
    with pytest.raises(ValueError, match="COMPRESSION_MAINTENANCE_DELETES='yes' is neither 0 nor 1"):
        maintenance_params()
