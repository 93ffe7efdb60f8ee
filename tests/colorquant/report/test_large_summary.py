"""The report of a library in parts is that of one in memory."""

import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from colorquant.errors import InvalidRecord
from colorquant.jobs import plan as plan_module
from colorquant.jobs.plan import Plan, run_folder
from colorquant.report import candidates_of, changes, library, read_repetition, read_summary, summarize_run
from colorquant.report.changes import LimitedChanges
from colorquant.report.comparison import _move, compare
from colorquant.report.large_summary import KnownFailures, LargeSummary
from colorquant.report.page import ImageSection, page_html
from colorquant.report.rows import Row, row_of
from colorquant.report.summary import Summary
from colorquant.storage import parts
from tests.colorquant.report.conftest import Library, photograph

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "summary.schema.json").read_text())


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a few images exceed."""
    monkeypatch.setattr(plan_module, "MAX_IN_MEMORY", 3)
    for module in (plan_module, parts):
        monkeypatch.setattr(module, "PART_RECORDS", 5)
    monkeypatch.setattr(library, "MAX_IMAGES", 4)
    monkeypatch.setattr(library, "PAGE_ROWS", 5)
    monkeypatch.setattr(library, "_SHOWN", 2)
    monkeypatch.setattr(library, "_MAX_CANDIDATES", 3)


@pytest.fixture
def in_memory() -> Iterator[Callable[..., Any]]:
    """Calls a function while everything is planned in memory."""

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan_module, "MAX_IN_MEMORY", 10**9)
            return function(*arguments)

    yield call


@pytest.fixture
def images(library: Library) -> Library:
    """Nine images, two of them broken, of which some are compressed by the time of the run."""
    for number in range(7):
        library.add(f"{'abc'[number % 3]}/{number} <b>.png", photograph(40 + 10 * number, 30, seed=number))
    library.add_bytes("b/broken.png", b"no image")
    library.add_bytes("z broken.png", b"no image")
    return library


def _run(library: Library, run_id: str = "test_run") -> Plan:
    plan = library.plan(run_id=run_id)
    for job in plan.pending():
        if job.name == "b/broken.png":
            library.fail(job, "no image <i>")
        elif "broken" not in job.name:
            library.compress(job)
    return plan


def _files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.suffix in (".html", ".csv"))
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in found}


def test_the_report_is_the_one_of_a_library_in_memory(images: Library, in_memory: Callable[..., Any]) -> None:
    _run(images)
    inside = in_memory(images.plan)
    expected = in_memory(summarize_run, inside, images.folder())
    files = _files(images.folder())
    (images.folder() / "summary.json").unlink()
    plan = images.plan()
    summary = summarize_run(plan, images.folder(), _time(expected))
    assert isinstance(summary, LargeSummary) and type(expected) is Summary
    for found in (summary, read_summary(images.folder() / "summary.json")):
        assert isinstance(found, LargeSummary)
        assert (tuple(found.rows), tuple(found.choices)) == (expected.rows, expected.choices)
        same = {field.name for field in dataclasses.fields(Summary)} - {"schema_version", "rows", "choices"}
        assert {name: getattr(found, name) for name in same} == {name: getattr(expected, name) for name in same}
        assert found.table() == expected.table() and found.failures() == expected.failures()
        assert found.first_failures(1) == expected.first_failures(1) and found.untried == expected.untried == 2
        assert list(found.by_image()) == list(expected.by_image())
        assert list(candidates_of(plan, found, images.folder())) == list(
            candidates_of(inside, expected, images.folder())
        )
    assert _files(images.folder()) == files and "rows/0004.html" in files


def _time(summary: Summary) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(summary.written_at)


def test_the_files_are_as_the_schema_says(images: Library) -> None:
    summarize_run(_run(images), images.folder())
    content = json.loads((images.folder() / "summary.json").read_text())
    assert content["schema_version"] == 4 and content["rows"] == content["choices"] == []
    rows, choices = (
        [
            json.loads(line)
            for part in content[kind]
            for line in (images.folder() / "parts" / part["file"]).read_text().splitlines()
        ]
        for kind in ("row_parts", "choice_parts")
    )
    names = [field.name for field in dataclasses.fields(Row)]
    whole = [dict.fromkeys(names) | {"tried": []} | row for row in rows]
    old = {name: value for name, value in content.items() if not name.endswith("_parts") and name != "failed"}
    jsonschema.Draft202012Validator(SCHEMA).validate(old | {"schema_version": 2, "rows": whole, "choices": choices})


def test_nothing_new_is_a_repetition_that_leaves_no_parts(images: Library) -> None:
    for name in ("b/broken.png", "z broken.png"):
        (images.images / name).unlink()
    first = summarize_run(_run(images, "first"), run_folder(images.output, "first"))
    for run_id in ("second", "third"):
        folder = run_folder(images.output, run_id)
        again = summarize_run(images.plan(run_id=run_id), folder)
        repetition = read_repetition(folder / "summary.json")
        assert repetition and repetition.same_run_id == "first"
        assert [path.name for path in (folder / "parts").glob("rows*")] == []
        assert tuple(again.rows) == tuple(dataclasses.replace(row, state="reused") for row in first.rows)
        assert again.changes and again.changes.nothing and again.totals.reused == len(first.rows)
    images.add("new.png")
    summary = summarize_run(_run(images, "fourth"), run_folder(images.output, "fourth"))
    assert summary.changes and summary.changes.added == ("new.png",) and summary.changes.run_id == "third"


@pytest.mark.parametrize("seed", range(20))
def test_changes_are_those_of_summaries_in_memory(images: Library, tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    plan = _run(images)
    row = row_of(plan.jobs[0], False, images.folder())
    assert not row.failed

    def summary_of(kind: type[Summary]) -> Summary:
        made: list[Row] = []
        for name in sorted(source.sample([f"{number:02d}" for number in range(20)], source.randrange(20))):
            for k in (2, 8):
                if source.random() < 0.2:
                    made.append(Row(image=name, k=k, state="failed", reason="x"))
                else:
                    hashes = {"output_sha256": source.choice("ab"), "image_sha256": source.choice("cd")}
                    made.append(
                        dataclasses.replace(
                            row,
                            image=name,
                            k=k,
                            state=source.choice(("done", "reused")),
                            ssim=source.random(),
                            **hashes,
                        )
                    )
        return dataclasses.replace(base, rows=tuple(made), unreadable={"03": "x"} if source.random() < 0.5 else {})

    base = Summary.of(plan, images.folder())
    before, now = summary_of(Summary), summary_of(Summary)
    expected = compare(before, now)
    before_in_parts, now_in_parts = _in_parts(before, tmp_path / "before"), _in_parts(now, tmp_path / "now")
    for first, second in ((before_in_parts, now_in_parts), (before, now_in_parts), (before_in_parts, now)):
        found = compare(first, second)
        assert dataclasses.asdict(found) == dataclasses.asdict(expected) | ({"more": {}} if second.in_parts else {})
        assert found.sentence() == expected.sentence()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("colorquant.report.comparison.MAX_LISTED", 2)
        limited = compare(before_in_parts, now_in_parts)
    assert limited.sentence() == expected.sentence() and limited.nothing == expected.nothing
    for name in ("added", "removed", "failed", "mended", "moved", "regressed"):
        assert limited.count(name) == expected.count(name) and len(getattr(limited, name)) <= 4
    assert changes.MAX_LISTED > 2


def _in_parts(summary: Summary, folder: Path) -> LargeSummary:
    rows = parts.PartWriter(folder / "parts", "rows")
    for row in summary.rows:
        rows.add(row.image, dataclasses.asdict(row))
    same = {field.name: getattr(summary, field.name) for field in dataclasses.fields(Summary)}
    large = LargeSummary(**same | {"schema_version": 4, "rows": (), "choices": (), "row_parts": rows.finish()})
    return large.reading(folder)


def test_a_summary_in_memory_is_not_taken_for_one_in_parts(images: Library, in_memory: Callable[..., Any]) -> None:
    summary = in_memory(summarize_run, in_memory(_run, images), images.folder())
    path = images.folder() / "summary.json"
    content = json.loads(path.read_text()) | {"schema_version": 4, "changes": None}
    path.write_text(json.dumps(content, separators=(",", ":")))
    assert summary.rows
    with pytest.raises(InvalidRecord, match="are not empty"):
        read_summary(path)


def _reported(images: Library, run_id: str) -> Summary:
    plan = images.plan((2, 8), run_id=run_id)
    for job in plan.pending():
        if "broken" not in job.name:
            images.compress(job)
    plan.write(images.folder(run_id) / "plan.json")
    return summarize_run(Plan.read(images.folder(run_id) / "plan.json"), images.folder(run_id))


def test_a_library_that_has_become_small_is_compared_with_the_large_one(
    images: Library, in_memory: Callable[..., Any]
) -> None:
    assert _reported(images, "large").in_parts
    for path in sorted(images.images.rglob("*.png"))[2:]:
        path.unlink()
    in_memory(_reported, images, "small")
    read = read_summary(images.folder("small") / "summary.json")
    assert not read.in_parts and read.changes is not None
    assert read.changes.run_id == "large" and len(read.changes.removed) == 7


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_an_earlier_run_whose_part_is_lost_is_passed_over(images: Library, damage: Callable[[Path], Any]) -> None:
    _reported(images, "first")
    images.add("new.png", photograph(seed=50))
    _reported(images, "second")
    images.add("newer.png", photograph(seed=51))
    for part in images.folder("second").glob("parts/rows-*.jsonl"):
        damage(part)
    changes = _reported(images, "third").changes
    assert changes is not None and changes.run_id == "first" and set(changes.added) == {"new.png", "newer.png"}


def test_very_many_pages_are_linked_in_groups() -> None:
    pages = [library.Page(f"{number:04d}.html", f"{number} a", f"{number} z") for number in range(1, 1202)]
    links = library.Library(groups=[], quantiles=[], spreads=[], pages=pages).links
    assert len(links) == 401 and links[0] == library.Page("0001.html", "1 a", "3 z")
    assert links[-1] == library.Page("1201.html", "1201 a", "1201 z")
    assert library.Library(groups=[], quantiles=[], spreads=[], pages=pages[:500]).links == pages[:500]


def test_the_page_of_four_million_rows_is_small(images: Library) -> None:
    """Without pictures; each list as long as it gets, and long names."""
    summary = summarize_run(_run(images), images.folder())
    assert isinstance(summary, LargeSummary)
    name = "a folder of photographs/" + "n" * 100
    failures = KnownFailures(
        count=10**6, first=tuple((f"{name}{number}", "reason" * 20, (2,)) for number in range(1000))
    )
    row = next(row for row in summary.rows if not row.failed)
    moves = tuple(_move(row, row) for _ in range(2000))
    found = LimitedChanges(
        run_id="before",
        written_at=summary.written_at,
        settings={},
        added=(name,) * 1000,
        removed=(name,) * 1000,
        recomputed=0,
        failed=((name, 2),) * 1000,
        mended=((name, 2),) * 1000,
        moved=moves,
        more={"added": 10**6},
    )
    large = library.library_of(summary)
    assert large is not None
    pages = [library.Page(f"{number:04d}.html", f"{name}{number}", f"{name}{number}") for number in range(4000)]
    large = dataclasses.replace(large, pages=pages)
    totals = dataclasses.replace(summary.totals, images=10**6, failed=10**6)
    summary = dataclasses.replace(summary, failed=failures, changes=found, totals=totals)
    planned = images.plan().numbered(large.shown)
    sections = [
        ImageSection(number, image, [row], None, None, None, {}, {}, None) for image, (number, _) in planned.items()
    ]
    text = page_html(summary, sections, large)
    assert "999,800" in text and len(text.encode()) < 500_000
