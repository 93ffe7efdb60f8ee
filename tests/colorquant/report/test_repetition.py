"""A night in which nothing is new costs nothing, and one in which little is new costs little."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from colorquant.errors import InvalidRecord
from colorquant.jobs.plan import Plan
from colorquant.report import illustrations
from colorquant.report.page import picture_budget
from colorquant.report.repetition import read_repetition, read_summary
from colorquant.report.run import summarize_run
from colorquant.report.summary import Summary
from tests.colorquant.report.conftest import Library, photograph

KS = (4, 16, 64, 256)
_FIRST = datetime(2026, 1, 1, 3, tzinfo=UTC)


def _night(library: Library, number: int, ks: tuple[int, ...] = KS) -> tuple[Plan, Summary]:
    """What a run writes, from its plan to its report."""
    plan = library.run(ks, run_id=f"night {number}")
    folder = library.folder(f"night {number}")
    plan.write(folder / "plan.json")
    summary = summarize_run(plan, folder, _FIRST + timedelta(days=number))
    os.utime(folder / "summary.json", (number, number))  # A night later, also for a fast test.
    return plan, summary


def _files(library: Library) -> dict[Path, tuple[int, int]]:
    found = (path for path in library.output.rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


@pytest.fixture
def six(library: Library) -> Library:
    for number in range(6):
        library.add(f"image {number}.png", photograph(seed=number))
    return library


def test_a_night_without_news_writes_less_than_a_kilobyte_an_image(six: Library) -> None:
    _night(six, 1)
    before = _files(six)
    plan, _ = _night(six, 2)
    assert not plan.pending()
    written = [path for path, state in _files(six).items() if before.get(path) != state]
    assert {path.name for path in written} >= {"plan.json", "summary.json", "summary.html"}
    assert sum(path.stat().st_size for path in written) <= 6 * 1000, [(p.name, p.stat().st_size) for p in written]


def test_its_summary_is_the_one_that_it_would_have_written(six: Library) -> None:
    _night(six, 1)
    for number in (2, 3):
        plan, summary = _night(six, number)
        folder = six.folder(f"night {number}")
        repetition = read_repetition(folder / "summary.json")
        assert repetition is not None
        assert (repetition.same_run_id, repetition.same_as) == ("night 1", six.folder("night 1").name)
        assert read_summary(folder / "summary.json") == summary
        assert summary.totals.reused == summary.totals.jobs == 24
        assert summary.rows == Summary.of(plan, folder).rows
        assert summary.changes is not None and summary.changes.nothing
        assert summary.changes.run_id == f"night {number - 1}"
        page = (folder / "summary.html").read_text()
        assert f'href="../{six.folder("night 1").name}/summary.html"' in page
        assert not (folder / "summary.csv").exists()


@pytest.mark.parametrize("news", ["added", "removed", "changed", "other k", "failed", "software"])
def test_any_news_are_a_report_of_their_own(six: Library, news: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _night(six, 1)
    _night(six, 2)
    image = six.images / "image 0.png"
    ks = KS
    match news:
        case "added":
            six.add("new.png")
        case "removed":
            image.unlink()
        case "changed":
            six.add("image 0.png", photograph(seed=99))
        case "other k":
            ks = KS[:3]
        case "failed":
            plan = six.plan(KS, run_id="night 3")
            Path(plan.jobs[0].output).write_bytes(b"")
            summarize_run(plan, six.folder("night 3"))
        case "software":
            monkeypatch.setattr("colorquant.report.summary.platform.python_version", lambda: "4.0")
    if news != "failed":
        _night(six, 3, ks)
    assert read_repetition(six.folder("night 3") / "summary.json") is None
    assert (six.folder("night 3") / "summary.csv").exists()


def test_an_image_that_fails_every_night_in_the_same_way_is_no_news(library: Library) -> None:
    library.add("good.png")
    library.add_bytes("bad.png", b"nonsense")
    for number in (1, 2):
        plan = library.plan((2,), run_id=f"night {number}")
        bad, good = plan.jobs
        library.fail(bad, "'bad.png' is not an image")
        if number == 1:
            library.compress(good)
        plan.write(library.folder(f"night {number}") / "plan.json")
        summary = summarize_run(plan, library.folder(f"night {number}"), _FIRST + timedelta(days=number))
        assert summary.totals.failed == 1
    assert read_repetition(library.folder("night 2") / "summary.json") is not None
    assert read_summary(library.folder("night 2") / "summary.json") == summary


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_a_summary_that_is_no_longer_what_was_repeated_is_not_taken_for_it(six: Library, what: str) -> None:
    _night(six, 1)
    _night(six, 2)
    first, second = (six.folder(f"night {number}") / "summary.json" for number in (1, 2))
    if what == "gone":
        first.unlink()
    else:
        first.write_text(first.read_text().replace('"reused": 0', '"reused": 00'[:-1] + " "))
    with pytest.raises(InvalidRecord, match=f"it repeats .*, which (is|has) {what}"):
        read_summary(second)
    _night(six, 3)
    repetition = read_repetition(six.folder("night 3") / "summary.json")
    assert repetition is None or repetition.same_run_id == "night 1"


def test_the_report_of_a_run_that_is_cleared_stays_one_that_others_may_repeat(six: Library) -> None:
    _night(six, 1)
    six.add("new.png")
    _night(six, 2)
    _night(six, 3)
    _night(six, 2)  # Nothing is to be done now, as in the run before.
    assert read_repetition(six.folder("night 2") / "summary.json") is None


@pytest.mark.parametrize("forged", ["..", "a/b", "/etc", "."])
def test_a_repetition_names_a_folder_next_to_its_own(six: Library, forged: str) -> None:
    _night(six, 1)
    _night(six, 2)
    path = six.folder("night 2") / "summary.json"
    path.write_text(path.read_text().replace(six.folder("night 1").name, forged))
    with pytest.raises(InvalidRecord, match="same_as is .*, which does not name a folder"):
        read_summary(path)


def test_only_what_is_new_is_drawn(six: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    _night(six, 1)
    sheets = {path: path.stat().st_mtime_ns for path in six.sheets()}
    drawn: list[str] = []
    decoded: list[str] = []
    draw, load = illustrations.contact_sheet, illustrations.load_preview
    monkeypatch.setattr(illustrations, "contact_sheet", lambda name, *rest: (drawn.append(name), draw(name, *rest))[1])
    monkeypatch.setattr(
        illustrations, "load_preview", lambda path, **rest: (decoded.append(str(path)), load(path, **rest))[1]
    )
    six.add("new.png", photograph(seed=50))
    six.add("image 3.png", photograph(seed=51))
    _night(six, 2)
    assert sorted(drawn) == ["image 3.png", "new.png"]
    assert len(decoded) == 2 * 5
    assert {path: path.stat().st_mtime_ns for path in sheets} == sheets
    page = (six.folder("night 2") / "summary.html").read_text()
    for path in six.sheets():
        assert (os.path.relpath(path, six.folder("night 2")).replace(" ", "%20") in page) == (
            "image 3" not in str(path) or path not in sheets
        )


def test_a_page_is_the_same_with_pictures_that_are_there_and_with_new_ones(six: Library) -> None:
    _, first = _night(six, 1)
    page, sheets = six.folder("night 1") / "summary.html", [path.read_bytes() for path in six.sheets()]
    before = page.read_text()
    summarize_run(six.plan(KS, run_id="night 1"), six.folder("night 1"), _FIRST + timedelta(days=1))
    with_kept = page.read_text()
    for path in six.output.glob("compressed/**/pictures-*.json"):
        path.unlink()
    summarize_run(six.plan(KS, run_id="night 1"), six.folder("night 1"), _FIRST + timedelta(days=1))
    assert page.read_text() == with_kept
    assert [path.read_bytes() for path in six.sheets()] == sheets
    assert with_kept.count("data:image/") == before.count("data:image/")


def test_what_could_not_be_shown_once_is_tried_again(library: Library) -> None:
    image = library.add("a.png")
    content = image.read_bytes()
    plan = library.run((2,))
    image.write_bytes(b"gone for a moment")
    summarize_run(plan, library.folder())
    assert "The original cannot be shown" in (library.folder() / "summary.html").read_text()
    (sheet,) = library.sheets()
    without = sheet.read_bytes()
    image.write_bytes(content)
    summarize_run(plan, library.folder())
    assert "The original cannot be shown" not in (library.folder() / "summary.html").read_text()
    assert sheet.read_bytes() != without


@pytest.mark.parametrize("uri", ["https://elsewhere.example/track.png", "javascript:alert(1)"])
def test_kept_pictures_that_were_forged_are_drawn_again(library: Library, uri: str) -> None:
    library.add("a.png")
    plan = library.run((2,))
    summarize_run(plan, library.folder())
    page = (library.folder() / "summary.html").read_text()
    (kept,) = library.output.glob("compressed/**/pictures-*.json")
    content = json.loads(kept.read_text())
    content["original"]["uri"] = uri
    kept.write_text(json.dumps(content))
    summarize_run(plan, library.folder())
    assert uri not in (library.folder() / "summary.html").read_text()
    assert kept.read_text() != json.dumps(content)
    assert page.count("data:image/") == (library.folder() / "summary.html").read_text().count("data:image/")


def test_an_output_that_a_disk_has_changed_without_a_trace_is_found_the_next_night(six: Library) -> None:
    """The report reads every output; the plan of the next night then reads all files too."""
    _night(six, 1)
    plan = six.plan(KS, run_id="night 2")
    (memory,) = (six.output / "runs" / "memory").iterdir()
    output = Path(plan.jobs[0].output)
    Image.new("RGB", (8, 8)).save(output)
    summary = summarize_run(plan, six.folder("night 2"))
    assert summary.rows[0].failed and "has changed since it was measured" in (summary.rows[0].reason or "")
    assert not memory.exists()
    assert [job.label for job in six.plan(KS, run_id="night 3").pending()] == [plan.jobs[0].label]


def test_the_size_of_a_picture_goes_down_in_steps() -> None:
    budgets = [picture_budget(count) for count in range(1, 3000)]
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[0] == 160_000 // 16384 * 16384
    assert len(set(budgets)) < 60
    for count, budget in enumerate(budgets, start=1):
        assert 0.88 * min(160_000, 7_600_000 // count) < budget <= min(160_000, 7_600_000 // count)
