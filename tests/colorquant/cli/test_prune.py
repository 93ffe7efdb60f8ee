"""The command `colorquant prune`."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from colorquant.cli import main as command
from colorquant.cli import prune as of_prune
from colorquant.jobs import pauses
from colorquant.retention import Keep, Pruning
from tests.colorquant.retention.test_prune import KEEP, Nights, nights  # noqa: F401


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week has passed: outputs of today are never removed."""
    real = of_prune.prune
    at = time.time() + 7 * 86_400
    monkeypatch.setattr(of_prune, "prune", lambda *given: real(*given, now=at))


def test_it_tells_what_it_would_remove_and_removes_it_on_demand(
    nights: Nights,  # noqa: F811
    later: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["prune", str(nights.output), "--keep-runs=2", "--keep-days=0", "--keep-pages=1"]
    before = nights.files()
    assert command.main(arguments) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split("/")[-1] for line in told[:3]] == [
        f"output: run {nights.folder(f'night {number}').name}" for number in (3, 2, 1)
    ]
    assert "3 runs, the pages of 1 others and 8 outputs would be removed" in told[3]
    assert told[4] == "Nothing was removed: --delete removes it."
    assert nights.files() == before
    assert command.main([*arguments, "--delete"]) == 0
    removed = capsys.readouterr().out.splitlines()
    assert removed[3] == told[3].replace("would be removed", "removed") and len(removed) == 4
    assert nights.runs() == nights.folders(4, 5)
    assert command.main(arguments) == 0
    assert "0 runs, the pages of 0 others and 0 outputs would be removed: 0 files" in capsys.readouterr().out


def test_the_environment_says_how_much_is_kept(
    nights: Nights,  # noqa: F811
    later: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COMPRESSION_KEEP_RUNS", "2")
    monkeypatch.setenv("COMPRESSION_KEEP_DAYS", "0")
    assert command.main(["prune", str(nights.output)]) == 0
    assert "3 runs" in capsys.readouterr().out
    monkeypatch.setenv("COMPRESSION_KEEP_RUNS", "some")
    with pytest.raises(SystemExit) as ended:
        command.main(["prune", str(nights.output)])
    assert ended.value.code == 2
    assert "COMPRESSION_KEEP_RUNS='some' is not a whole number" in capsys.readouterr().err


def test_a_run_that_is_being_planned_is_a_failure_that_may_go_away(
    nights: Nights,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pauses.planning(nights.output, nights.folder("night 6")):
        assert command.main(["prune", str(nights.output), "--delete"]) == 1
    assert "is being planned: prune again later" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["out", "--keep-runs=0"], ["ftp://bucket"], ["out", "--unknown"]])
def test_wrong_arguments_remove_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["prune", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("colorquant prune: ")


def test_a_folder_that_is_not_there_has_nothing_to_remove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["prune", str(tmp_path / "out"), "--delete"]) == 0
    assert not (tmp_path / "out" / "compressed").exists()
    assert "0 runs" in capsys.readouterr().out


def test_make_prune_passes_what_it_is_given() -> None:
    project = Path(__file__).resolve().parents[3]
    run = ["make", "--dry-run", "prune", "OUTPUT=some folder", "PUBLISH=site", "DELETE=1"]
    made = subprocess.run(run, cwd=project, capture_output=True, text=True, check=True).stdout
    assert '-m colorquant prune "$OUTPUT" --published "$PUBLISH" --delete' in made
    assert sys.executable


def test_of_many_runs_the_first_are_named() -> None:
    pruning = Pruning(runs=[f"run-{number}" for number in range(30)], files={"a": 1500})
    lines = pruning.text("out", deleted=True).splitlines()
    assert lines[-2:] == [
        "... and 10 more",
        "out: 30 runs, the pages of 0 others and 0 outputs removed: 1 files, 1.50 KB",
    ]


def test_keep_is_the_same_for_the_command_and_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(of_prune, "prune", lambda *arguments: given.append(arguments) or Pruning())
    command.main(["prune", "out", "--published=a", "--published=b", "--delete"])
    assert given == [("out", ["a", "b"], Keep(), True)]
    assert KEEP != Keep()
