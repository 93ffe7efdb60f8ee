"""When `make run` compiles the kernels, and that nothing of it is left running."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from colorquant_airflow.checkout import kernels
from colorquant_airflow.checkout.home import AirflowHome

_FAST = "FORMATS.copy"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that compile."""
    found: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(popen(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return found


def _compile(home: AirflowHome) -> None:
    with kernels.compiled_kernels(home) as wait:
        wait()


def test_the_kernels_of_the_same_sources_are_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(kernels, "_PARTS", (_FAST, _FAST))
    home = AirflowHome(tmp_path, 2)
    _compile(home)
    assert [each.returncode for each in started] == [0, 0]
    _compile(home)
    assert len(started) == 2
    monkeypatch.setattr(kernels, "_version", lambda package: "newer sources")
    _compile(home)
    assert len(started) == 4


def test_kernels_that_could_not_be_compiled_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(kernels, "_PARTS", (_FAST, "no_such_function"))
    home = AirflowHome(tmp_path, 2)
    _compile(home)
    _compile(home)
    assert [each.returncode for each in started] == [0, 1] * 2


def test_an_interrupted_run_leaves_no_process(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    with pytest.raises(KeyboardInterrupt), kernels.compiled_kernels(AirflowHome(tmp_path, 2)):
        raise KeyboardInterrupt
    assert started and all(each.returncode is not None for each in started)


def test_a_home_that_cannot_be_used_is_left_to_airflows_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(kernels, "_PARTS", (_FAST,))
    (tmp_path / "kernels.version").mkdir()  # Cannot be read, as in a home of another user.
    _compile(AirflowHome(tmp_path, 2))
    assert [each.returncode for each in started] == [0]
