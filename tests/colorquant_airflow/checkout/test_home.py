"""The private Airflow of a checkout: what it takes over from who starts it."""

import socket
from pathlib import Path

import pytest

from colorquant_airflow.checkout.home import AirflowHome, free_port, is_free


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


def test_a_free_port_is_one_that_no_connection_of_another_program_gets() -> None:
    """Between the choice and the server's start, other programs go on."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    if first < 32_768:
        pytest.skip("this machine gives more ports than Linux does by default")
    assert not any(first <= free_port() <= last for _ in range(20))


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert not is_free(server.getsockname()[1])
