"""`make run` with nothing to do: the earlier report that it names is the one that a run would have written."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from colorquant.jobs import RunRequest, plan_run, run_folder
from colorquant.report import read_summary, summarize_run
from colorquant_airflow.checkout import run
from tests.colorquant.report.conftest import Library, photograph

KS = ("4", "16")


def _arguments(library: Library, *more: str) -> list[str]:
    given = [f"--images={library.images}", f"--output={library.output}", f"--ks={' '.join(KS)}"]
    return ["run", *given, *more]


def _run(library: Library, run_id: str) -> Path:
    """Do what the DAG does; the page."""
    plan = plan_run(RunRequest(run_id=run_id, images=str(library.images), ks=KS, output=str(library.output)))
    for job in plan.pending():
        if job.name == "broken.png":
            library.fail(job, "It is broken")
        else:
            library.compress(job)
    folder = run_folder(library.output, run_id)
    plan.write(folder / "plan.json")
    summarize_run(plan, folder)
    return folder / "summary.html"


@pytest.fixture
def done(tmp_path: Path) -> tuple[Library, Path]:
    """A library of three images after a run, and the run's page."""
    library = Library(tmp_path)
    for number in range(3):
        library.add(f"image {number}.png", photograph(seed=number))
    return library, _run(library, "first")


@pytest.fixture
def make_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], int | None]:
    """Runs `make run`: its exit status, or None where it starts Airflow."""

    class Started(Exception):
        pass

    def services(*given: Any, **options: Any) -> None:
        raise Started

    def call(arguments: list[str]) -> int | None:
        monkeypatch.setattr(sys, "argv", arguments)
        try:
            return run.main()
        except Started:
            return None

    monkeypatch.setattr(run, "airflow_services", services)
    monkeypatch.setattr(run, "interrupt_on_signals", lambda: None)
    return call


def test_with_nothing_to_do_it_starts_no_airflow_and_shows_the_earlier_report(
    done: tuple[Library, Path],
    make_run: Callable[[list[str]], int | None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    library, page = done
    runs = sorted(folder.name for folder in page.parent.parent.iterdir())
    assert make_run(_arguments(library)) == 0
    told = capsys.readouterr().out
    assert "Nothing has changed since run first" in told
    assert told.endswith(f"\nReport: {page}\n")
    assert read_summary(page.with_name("summary.json")).table() in told
    assert sorted(folder.name for folder in page.parent.parent.iterdir()) == runs


def test_after_a_run_that_repeats_another_it_names_the_report_that_both_share(
    done: tuple[Library, Path], make_run: Callable[[list[str]], int | None], capsys: pytest.CaptureFixture[str]
) -> None:
    library, page = done
    repeated = _run(library, "second")
    assert "<table" not in repeated.read_text()
    assert make_run(_arguments(library)) == 0
    assert capsys.readouterr().out.endswith(f"\nReport: {page}\n")


def _new_image(library: Library) -> None:
    library.add("new.png", photograph(seed=9))


def _other_pixels(library: Library) -> None:
    photograph(seed=9).save(library.images / "image 0.png")


def _an_image_less(library: Library) -> None:
    (library.images / "image 0.png").unlink()


def _a_record_less(library: Library) -> None:
    next((library.output / "compressed").rglob("k004.json")).unlink()


def _a_damaged_output(library: Library) -> None:
    Image.new("P", (1, 1)).save(next((library.output / "compressed").rglob("k004.png")))


def _no_page(library: Library) -> None:
    next((library.output / "runs").rglob("summary.html")).unlink()


def _a_failure(library: Library) -> None:
    library.add_bytes("broken.png", b"no image")
    _run(library, "failing")


@pytest.mark.parametrize(
    "change",
    [_new_image, _other_pixels, _an_image_less, _a_record_less, _a_damaged_output, _no_page, _a_failure],
)
def test_whatever_has_changed_is_left_to_a_run(
    change: Callable[[Library], None], done: tuple[Library, Path], make_run: Callable[[list[str]], int | None]
) -> None:
    change(done[0])
    assert make_run(_arguments(done[0])) is None


@pytest.mark.parametrize(
    "asked",
    [
        "--force",
        "--publish=site",
        "--ks=4",
        "--ks=4 16 64",
        "--seed=1",
        "--settings=rate=0.1",
        "--target=psnr=10",
        "--pattern=image*",
        "--exclude=nothing",
        "--settings=palette=library",
    ],
)
def test_whatever_else_is_asked_for_is_left_to_a_run(
    asked: str, done: tuple[Library, Path], make_run: Callable[[list[str]], int | None]
) -> None:
    assert make_run(_arguments(done[0], asked)) is None


def test_the_first_run_reads_no_image_before_airflow_starts(
    tmp_path: Path, make_run: Callable[[list[str]], int | None]
) -> None:
    library = Library(tmp_path)
    library.add("image.png")
    assert make_run(_arguments(library)) is None
    assert not library.output.exists()


def test_a_library_that_is_too_large_for_the_dag_is_left_to_its_refusal(
    done: tuple[Library, Path], make_run: Callable[[list[str]], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of a very large library is written while it is made."""
    library, page = done
    monkeypatch.setattr("colorquant_airflow.checkout.standing._MAX_JOBS", 5)
    assert make_run(_arguments(library)) is None
    assert {folder.name for folder in page.parent.parent.iterdir()} <= {
        page.parent.name,
        "memory",
        ".colorquant-outputs",
    }


def test_what_is_planned_in_vain_is_not_read_again_by_the_run(
    done: tuple[Library, Path], make_run: Callable[[list[str]], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, _ = done
    library.add("new.png", photograph(seed=9))
    # Only files that have not changed for a while are known without reading.
    monkeypatch.setattr("colorquant.jobs.plan.now", lambda: time.time() + 3600)
    assert make_run(_arguments(library)) is None
    read: list[object] = []
    monkeypatch.setattr("colorquant.jobs.plan.sha256_of", lambda *given: read.append(given[0]) or "")
    plan = plan_run(RunRequest(run_id="next", images=str(library.images), ks=KS, output=str(library.output)))
    assert len(plan.pending()) == len(KS) and read == []
