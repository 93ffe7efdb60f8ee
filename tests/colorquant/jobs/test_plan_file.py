"""The file of a plan: what the jobs have in common, and the images."""

import dataclasses
import json
from pathlib import Path

import pytest

from colorquant.errors import InvalidRecord
from colorquant.jobs.plan import Plan, RunRequest, plan_run
from colorquant.settings import ALGORITHM_VERSION
from colorquant.storage.json_record import JsonRecord


def _planned(tmp_path: Path, count: int = 1, **more: object) -> Plan:
    (tmp_path / "in").mkdir(exist_ok=True)
    for number in range(count):
        (tmp_path / "in" / f"{number:05d}.png").write_bytes(str(number).encode())
    values = {"run_id": "run", "images": str(tmp_path / "in"), "ks": [2, 4, 8], "output": str(tmp_path / "out")} | more
    return plan_run(RunRequest(**values))  # type: ignore[arg-type]


def test_it_has_some_hundred_bytes_an_image(tmp_path: Path) -> None:
    sizes = [len(_planned(tmp_path, count).as_json()) for count in (1, 101)]
    assert (sizes[1] - sizes[0]) / 100 < 120


def test_its_jobs_are_those_of_the_version_that_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer version names other outputs; the report of an older run still leads to its own."""
    plan = _planned(tmp_path)
    plan.write(tmp_path / "plan.json")
    monkeypatch.setattr("colorquant.settings.ALGORITHM_VERSION", 999)
    assert _planned(tmp_path).jobs[0].output != plan.jobs[0].output
    found = Plan.read(tmp_path / "plan.json")
    assert {job.algorithm_version for job in found.jobs} == {ALGORITHM_VERSION}
    jobs = tuple(dataclasses.replace(job, algorithm_version=None) for job in found.jobs)
    assert dataclasses.replace(found, jobs=jobs) == plan


def test_plans_of_version_1_are_still_read(tmp_path: Path) -> None:
    plan = _planned(tmp_path)
    old = json.loads(JsonRecord.as_json(plan)) | {"schema_version": 1}
    del old["output_folder"], old["identity"]
    (tmp_path / "plan.json").write_text(json.dumps(old))
    read = Plan.read(tmp_path / "plan.json")
    assert read == dataclasses.replace(plan, output_folder="", identity=())


@pytest.mark.parametrize(
    ("field", "value"),
    [("ks", []), ("output_folder", "ftp://bucket"), ("images", [["a.png", None]]), ("pending", [-1]), ("ks", [300])],
)
def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: object) -> None:
    content = json.loads(_planned(tmp_path).as_json()) | {field: value}
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(InvalidRecord, match="plan.json"):
        Plan.read(tmp_path / "plan.json")
