"""What is left of a killed Airflow is ended, and nothing else is."""

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from colorquant_airflow.checkout import services
from colorquant_airflow.checkout.home import AirflowHome
from colorquant_airflow.checkout.services import end_processes_of

# As a task does with spark-submit: the child has a session of its own, so that no signal to a group reaches it.
_WITH_CHILD = """
import subprocess
child = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def home(tmp_path: Path) -> AirflowHome:
    return AirflowHome(tmp_path / "airflow", jobs_at_once=1)


@pytest.fixture
def started() -> Iterator[list[psutil.Process]]:
    """What a test starts is ended with it, whatever becomes of the test."""
    family: list[psutil.Process] = []
    yield family
    for process in family:
        if process.is_running():
            process.kill()
    psutil.wait_procs(family, timeout=10)


def _start(environment: dict[str, str], started: list[psutil.Process]) -> list[psutil.Process]:
    """A process and its child, both with this environment."""
    parent = subprocess.Popen([sys.executable, "-c", _WITH_CHILD], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        family = [psutil.Process(parent.pid), psutil.Process(int(parent.stdout.readline()))]
    started += family
    # For a moment after its start a process shows no environment.
    deadline = time.monotonic() + 30
    while not all(process.environ() for process in family):
        assert time.monotonic() < deadline
    return family


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_left_over_services_and_their_children_are_ended(home: AirflowHome, started: list[psutil.Process]) -> None:
    family = _start(home.environment(port=8080, schedule=False), started)
    end_processes_of(home)
    assert [process for process in family if _is_alive(process)] == []


def test_a_process_that_is_just_starting_is_ended_too(
    home: AirflowHome, started: list[psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is first looked at, it shows no environment."""
    family = _start(home.environment(port=8080, schedule=False), started)
    belongs, starting = services._belongs, [family[1].pid]

    def seen(process: psutil.Process, home: AirflowHome) -> bool:
        if process.pid in starting:
            starting.remove(process.pid)
            return False
        return belongs(process, home)

    monkeypatch.setattr(services, "_belongs", seen)
    end_processes_of(home)
    assert starting == []
    assert [process for process in family if _is_alive(process)] == []


def test_a_shell_that_exports_airflow_home_and_the_services_of_another_home_live_on(
    home: AirflowHome, tmp_path: Path, started: list[psutil.Process]
) -> None:
    """Who wants to use Airflow's commands on this home exports its path, and starts an editor from that shell too."""
    shell = _start(os.environ | {"AIRFLOW_HOME": str(home.folder)}, started)
    other = AirflowHome(tmp_path / "another", jobs_at_once=1)
    others = _start(other.environment(port=8080, schedule=False), started)
    end_processes_of(home)
    assert all(_is_alive(process) for process in [*shell, *others])


@pytest.mark.parametrize("existing", [None, 0o755])
def test_nobody_else_reads_the_password_of_a_home(home: AirflowHome, existing: int | None) -> None:
    """Airflow writes it with the user's usual mode, so the folder is closed; also one that was made before, open."""
    if existing:
        home.folder.mkdir(mode=existing)
    home.make()
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700


def test_services_start_in_a_closed_home(home: AirflowHome, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []

    def start(*_: object, **__: object) -> None:
        modes.append(stat.S_IMODE(home.folder.stat().st_mode))
        raise services.ServicesFailed

    monkeypatch.setattr(services.subprocess, "Popen", start)
    home.folder.mkdir(mode=0o755)
    with pytest.raises(services.ServicesFailed), services.airflow_services(home, purpose="run"):
        pass
    assert modes == [0o700]


def test_a_home_of_another_user_that_others_read_is_refused(home: AirflowHome, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    home.folder.mkdir(mode=0o755)
    monkeypatch.setattr(Path, "chmod", refused)
    with (
        pytest.raises(services.ServicesFailed, match=r"KMEANS_AIRFLOW_HOME"),
        services.airflow_services(home, purpose="run"),
    ):
        pass


def test_a_home_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    unusable = AirflowHome(tmp_path / "file" / "airflow", jobs_at_once=1)
    with (
        pytest.raises(services.ServicesFailed, match="cannot be used .Not a directory.*KMEANS_AIRFLOW_HOME"),
        services.airflow_services(unusable, purpose="run"),
    ):
        pass


def test_a_port_that_is_taken_is_named_before_anything_starts(
    home: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(services.ServicesFailed, match=f"port {other.getsockname()[1]} of 127.0.0.1 is taken"),
        services.airflow_services(home, purpose="ui", port=other.getsockname()[1]),
    ):
        pass


@pytest.mark.parametrize("name", ["$HOME", "100%", "a{b}", "what?", "#1"])
def test_a_path_that_airflow_would_take_for_something_else_is_refused(name: str, tmp_path: Path) -> None:
    odd = AirflowHome(tmp_path / name, jobs_at_once=1)
    with (
        pytest.raises(services.ServicesFailed, match="Airflow cannot work in a folder whose path has a"),
        services.airflow_services(odd, purpose="run"),
    ):
        pass
    assert not odd.folder.exists()
