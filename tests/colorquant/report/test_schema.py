"""``docs/summary.schema.json`` describes every summary.json: of runs with failures, searches and changes alike."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from colorquant.report import summarize_run
from colorquant.report.changes import Changes, Move
from colorquant.report.choice import Choice
from colorquant.report.palettes import CommonPalette
from colorquant.report.rows import Row
from colorquant.report.summary import SCHEMA_VERSION, Summary
from colorquant.report.totals import ChosenTotals, KTotals, Totals

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "summary.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
PARTS = {
    "totals": Totals,
    "totals_at_k": KTotals,
    "chosen": ChosenTotals,
    "choice": Choice,
    "common_palette": CommonPalette,
    "changes": Changes,
    "move": Move,
    "row": Row,
}


def _written(library: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((library.folder() / "summary.json").read_text())
    VALIDATOR.validate(content)
    return content


@pytest.fixture(scope="module")
def written(library_in, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A summary with an output, a failure and a change since the run before."""
    library = library_in(tmp_path_factory.mktemp("library"))
    library.add("a.png")
    library.add("b.png")
    summarize_run(library.run((2, 8)), library.folder())
    earlier = library.folder().parent / "earlier"
    library.folder().rename(earlier)
    library.add("c.png")
    library.add_bytes("notes.txt", b"")
    plan = library.run((2, 8, 64))
    library.fail(next(job for job in plan.jobs if job.name == "c.png" and job.k == 8), "no image")
    summarize_run(plan, library.folder())
    return _written(library)


@pytest.fixture
def content(written: dict[str, Any]) -> dict[str, Any]:
    """The same, to be changed."""
    return copy.deepcopy(written)


def test_the_schema_is_one_and_knows_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    for part, described in [(Summary, SCHEMA), *((kind, SCHEMA["$defs"][name]) for name, kind in PARTS.items())]:
        names = [field.name for field in dataclasses.fields(part)]
        assert sorted(described["properties"]) == sorted(described["required"]) == sorted(names)


def test_what_a_run_with_a_failure_and_a_change_writes_is_valid(content: dict[str, Any]) -> None:
    assert {row["state"] for row in content["rows"]} >= {"done", "failed"}
    assert content["changes"]["added"] == ["c.png"] and content["choices"] and content["ignored"]


def test_what_a_search_writes_is_valid(library) -> None:
    library.add("a.png")
    library.add("b.png")
    plan = library.plan(("auto",), target="0.5")
    library.compress(dataclasses.replace(plan.jobs[0], k=9))
    path = Path(plan.jobs[0].result)
    record = json.loads(path.read_text())
    free = list(plan.jobs[0].settings.free)
    tried = [[8, 0.4], [9, 0.6], [256, None]]
    record["search"] = {"target": "ssim=0.5", "reached": True, "tried": tried, "free": free, "trials": []}
    path.write_text(json.dumps(record))
    summarize_run(plan, library.folder())
    rows = _written(library)["rows"]
    assert [(row["state"], row["k"]) for row in rows] == [("done", 9), ("failed", None)]
    assert rows[0]["tried"] == tried


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema_version"], 1),
        (["ks"], [0]),
        (["written_at"], None),
        (["target"], "good"),
        (["totals", "jobs"], -1),
        (["totals", "chosen", "bytes"], 0.5),
        (["choices", 0, "reason"], None),
        (["rows", 0, "state"], "lost"),
        (["rows", 0, "ssim"], 2),
        (["rows", 0, "output_sha256"], None),
        (["rows", 0, "k"], 257),
        (["rows", 0, "k"], None),
        (["rows", 0, "k"], 0),
        (["rows", 0, "reason"], "failed all the same"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(content: dict[str, Any], path: list[str | int], value: object) -> None:
    part: Any = content
    for step in path[:-1]:
        part = part[step]
    assert part[path[-1]] != value
    part[path[-1]] = value
    assert not VALIDATOR.is_valid(content)


def test_a_field_that_is_missing_is_refused_and_one_more_is_not(content: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(content | {"later": 1})
    del content["totals"]["seconds"]
    assert not VALIDATOR.is_valid(content)
