"""`make run` and `make ui` of this checkout in an Airflow home of their own, as a newcomer starts them."""

import contextlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[2]
VENV = Path(sys.executable).parent.parent


def environment_of(home: Path, bare_environment: dict[str, str]) -> dict[str, str]:
    return bare_environment | {"KMEANS_AIRFLOW_HOME": str(home), "HOME": str(home.parent)}


def make_run(images: Path, output: Path, ks: str, *more: str) -> list[str]:
    return [
        "make",
        "--no-print-directory",
        "run",
        f"VENV={VENV}",
        f"IMAGES={images}",
        f"OUTPUT={output}",
        f"KS={ks}",
        *more,
    ]


def completed(environment: dict[str, str], *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = make_run(*arguments)
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=600)


def instances(home: Path, run_id: str | None = None) -> list[tuple[str, str, int]]:
    """State, label and number of tries of the mapped instances of a run, by default the last one."""
    with contextlib.closing(sqlite3.connect(home / "airflow.db")) as database:
        if run_id is None:
            (run_id,) = database.execute("select run_id from dag_run order by id desc limit 1").fetchone()
        return database.execute(
            "select state, rendered_map_index, try_number from task_instance"
            " where task_id = 'compress_image' and run_id = ? and map_index >= 0 order by map_index",
            [run_id],
        ).fetchall()


def state_of(home: Path, task_id: str) -> str:
    """The state of a task that is not mapped, in the last run that had it."""
    with contextlib.closing(sqlite3.connect(home / "airflow.db")) as database:
        (state,) = database.execute(
            "select state from task_instance where task_id = ? order by start_date desc limit 1", [task_id]
        ).fetchone()
    return str(state)


def run_states(home: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(home / "airflow.db")) as database:
        return [state for (state,) in database.execute("select state from dag_run order by id")]


def processes_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("AIRFLOW_HOME") == str(home):
                found.append(process)
    return found


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    living = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living


def report_of(stdout: str) -> Path:
    (page,) = re.findall(r"^Report: (.*)$", stdout, re.MULTILINE)
    return Path(page)
