"""The private Airflow of a checkout: what it takes over from who starts it."""

from pathlib import Path

import pytest

from colorquant_airflow.checkout.home import AirflowHome


def test_of_the_callers_settings_of_airflow_only_the_limit_of_jobs_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal of a run with too many jobs names it; the others may be of another Airflow."""
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "5000")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://another")
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "99")
    environment = AirflowHome(tmp_path, jobs_at_once=1).environment(8080, schedule=True)
    assert environment["AIRFLOW__CORE__MAX_MAP_LENGTH"] == "5000"
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in environment
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "2"
