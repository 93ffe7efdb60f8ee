"""``docs/report.md`` names what there is."""

import dataclasses
from pathlib import Path

import pytest

from colorquant.report.changes import Changes, Move
from colorquant.report.choice import Choice
from colorquant.report.rows import Row
from colorquant.report.summary import SCHEMA_VERSION, Summary
from colorquant.report.totals import ChosenTotals, KTotals, Totals

DOCUMENT = (Path(__file__).parents[3] / "docs" / "report.md").read_text("utf-8")


@pytest.mark.parametrize(
    "part", [Summary, Totals, KTotals, ChosenTotals, Choice, Row, Changes, Move], ids=lambda part: part.__name__
)
def test_every_field_of_the_summary_is_documented(part) -> None:
    missing = [field.name for field in dataclasses.fields(part) if f"`{field.name}`" not in DOCUMENT]
    assert not missing


def test_the_documented_schema_version_is_the_current_one() -> None:
    assert f"| `schema_version` | {SCHEMA_VERSION};" in DOCUMENT
