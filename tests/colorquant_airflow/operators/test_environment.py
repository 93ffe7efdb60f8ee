"""A job gets the environment that it needs, and none of Airflow's secrets."""

from pathlib import Path
from typing import Any

import pytest

from colorquant_airflow.operators.environment import submit_environment
from tests.colorquant_airflow.operators.test_operators import _operator, submit_script

__all__ = ["submit_script"]

SECRETS = {
    "AIRFLOW__CORE__FERNET_KEY": "f",
    "AIRFLOW__API_AUTH__JWT_SECRET": "j",
    "AIRFLOW__API__SECRET_KEY": "s",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://airflow:password@postgres/airflow",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "postgresql://airflow:password@postgres/airflow",
    "AIRFLOW__SECRETS__BACKEND_KWARGS": "{}",
    "AIRFLOW_CONN_STORE": '{"password": "p"}',
    "AIRFLOW_VAR_KEY": "v",
    "COMPRESSION_NOTIFIER_ARGUMENTS": '{"webhook": "w"}',
    "SPARK_SECRET": "s",
    "POSTGRES_PASSWORD": "p",
    "GITHUB_TOKEN": "t",
    "ANYTHING_ELSE": "e",
}
NEEDED = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "JAVA_HOME": "/java",
    "SPARK_CONF_DIR": "/conf",
    "PYTHONPATH": "/python",
    "AWS_ACCESS_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_SESSION_TOKEN": "t",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "f",
    "FSSPEC_S3": '{"key": "k", "secret": "s"}',
    "https_proxy": "http://proxy",
    "COMPRESSION_MAX_RATIO": "7",
    "KMEANS_SERVICES_OF": "here",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SECRETS | NEEDED).items():
        monkeypatch.setenv(name, value)


def test_airflows_secrets_stay_with_airflow(environment: None) -> None:
    passed = submit_environment()
    assert passed.keys().isdisjoint(SECRETS)
    assert {name: passed.get(name) for name in NEEDED} == NEEDED


def test_a_deployment_can_name_more(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_JOB_ENVIRONMENT", " ANYTHING_ELSE  GITHUB_TOKEN missing ")
    assert submit_environment().keys() & SECRETS.keys() == {"ANYTHING_ELSE", "GITHUB_TOKEN"}


@pytest.mark.parametrize("kwargs", [{}, {"env_vars": {"OF_THE_OPERATOR": "o"}}])
def test_the_process_of_a_job_has_the_keys_of_its_run_and_no_others(
    kwargs: dict[str, Any], tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the provider passes on, by a spark-submit that writes down what it gets."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_OF_RUN", '{"conn_type": "aws", "login": "key", "password": "secret of the run"}')
    submit_script.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\n")
    _operator(tmp_path, **kwargs).execute({"params": {"storage_connection": "of_run"}})  # type: ignore[typeddict-item]
    lines = (tmp_path / "environment").read_text()
    passed = dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)
    assert "secret of the run" in passed["FSSPEC_S3"]
    assert [name for name in passed if name in SECRETS or name.startswith("AIRFLOW")] == []
    assert passed.get("OF_THE_OPERATOR") == kwargs.get("env_vars", {}).get("OF_THE_OPERATOR")
