"""Backup, restore and upgrade of the metadata, as docs/deploy.md tells. By `make test-compose FAULTS=all`."""

import re
from typing import Any

import pytest

from colorquant_airflow.checkout.home import DAG_ID
from tests.compose.stack import Stack

pytestmark = [pytest.mark.compose, pytest.mark.more]
AIRFLOW = ["airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]


def _history(stack: Stack) -> dict[str, Any]:
    """State of every run and of all of its tasks."""
    api = stack.api()
    runs = api._get(f"/dags/{DAG_ID}/dagRuns", limit=100)["dag_runs"]
    return {run["dag_run_id"]: (run["state"], sorted(stack.states(run["dag_run_id"]))) for run in runs}


def _sql(stack: Stack, statement: str, database: str = "airflow") -> str:
    command = ["psql", "--username=airflow", f"--dbname={database}", "--tuples-only", "--no-align", "-c", statement]
    return stack.compose("exec", "-T", "postgres", *command).strip()


def _major(version: str) -> int:
    return int(re.findall(r"\d+", version)[0])


def test_the_documented_backup_brings_the_history_back(stack: Stack) -> None:
    client = stack.compose("exec", "-T", "postgres", "pg_dump", "--version")
    server = _sql(stack, "show server_version")
    if _major(client) < _major(server):
        pytest.skip(f"this image's {client.strip()} cannot dump its own server, {server}")
    assert stack.wait_for_end(stack.trigger("7")) == "success"
    before = _history(stack)
    dump = stack.folder / "airflow.dump"
    stack.shell(f"docker compose exec -T postgres pg_dump --username=airflow --format=custom airflow > '{dump}'")
    stack.compose("stop", *AIRFLOW)
    _sql(stack, "drop database airflow", database="postgres")
    _sql(stack, "create database airflow", database="postgres")
    options = "--username=airflow --dbname=airflow --clean --if-exists"
    stack.shell(f"docker compose exec -T postgres pg_restore {options} < '{dump}'")
    stack.make("up")
    assert _history(stack) == before
    assert stack.wait_for_end(stack.trigger("8")) == "success"


def test_an_upgrade_migrates_the_database_and_keeps_the_history(stack: Stack) -> None:
    """From the schema of the minor version before: the one of this version is made back into that first."""
    assert stack.wait_for_end(stack.trigger("9")) == "success"
    before, head = _history(stack), _sql(stack, "select version_num from alembic_version")
    stack.compose("stop", *AIRFLOW)
    downgrade = ["airflow", "db", "downgrade", "--to-version", "3.2.0", "--yes"]
    stack.compose("run", "--rm", "--no-deps", "airflow-init", *downgrade)
    assert _sql(stack, "select version_num from alembic_version") != head
    stack.make("up")
    assert _sql(stack, "select version_num from alembic_version") == head
    assert _history(stack) == before
    assert stack.wait_for_end(stack.trigger("10")) == "success"
