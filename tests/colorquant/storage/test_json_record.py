"""What a JSON file of this project must be: its reader checks names, types and ranges, and says what is wrong."""

import copy
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from colorquant.errors import InvalidRecord
from colorquant.jobs import CompressionResult, JobFailure, KSearchRecord
from colorquant.jobs.job import Job
from colorquant.jobs.plan import Plan, _PlanFile
from colorquant.publish.manifest import Manifest, PublishedFile
from colorquant.report.changes import Changes, Move
from colorquant.report.choice import Choice
from colorquant.report.rows import Row
from colorquant.report.summary import Summary
from colorquant.report.totals import ChosenTotals, KTotals, Totals
from colorquant.settings import Settings
from colorquant.storage import JsonRecord

RESULT = CompressionResult(
    image="a.png",
    image_sha256="0" * 64,
    width=3,
    height=2,
    unique_colors=6,
    k=4,
    colors_used=4,
    seed=0,
    settings=Settings().as_record(),
    iterations=0,
    converged=True,
    inertia=7,
    mse=1,
    psnr_db=None,
    ssim=1.0,
    lossless=True,
    original_bytes=90,
    compressed_bytes=80,
    compression_ratio=1.125,
    bits_per_pixel=10.5,
    output="out/k004.png",
    output_sha256="1" * 64,
    seconds={"total": 0.5},
    spark={"version": "4.3.0", "partitions": 1},
    search=KSearchRecord(target="ssim=0.9", reached=True, tried=((4, 0.95), (6, None))),
)
FAILURE = JobFailure(image="a.png", k=None, reason="no", exit_code=65, retryable=False)
JOB = Job(
    image="in/caf\udce9.png",
    name="caf\udce9.png",
    image_sha256=None,
    k=None,
    settings=Settings(rate=1),
    output="o.png",
    result="o.json",
    failure="f.json",
    target="ssim=0.9",
)


class OldPlan(Plan):
    """A plan of version 1, whose file has every job."""

    def as_json(self) -> str:
        return JsonRecord.as_json(dataclasses.replace(self, schema_version=1))


PLAN = OldPlan(
    run_id="run",
    images_folder="in",
    ks=(),
    settings=Settings(),
    jobs=(JOB, dataclasses.replace(JOB, k=4, target=None, image_bytes=90)),
    reused=frozenset({"b", "a"}),
    ignored=("notes.txt",),
)
PLAN_FILE = _PlanFile(
    run_id="run",
    images_folder="in",
    output_folder="s3://bucket/out",
    ks=(),
    settings=Settings(),
    identity=(0, {"algorithm_version": 1}),
    ignored=("notes.txt",),
    force=False,
    target="ssim=0.9",
    pattern="*",
    exclude="",
    unreadable={"away": "no"},
    planned_at=None,
    pending=(1,),
    pending_before=(),
    images=(("caf\udce9.png", None, 0), ("b.png", "0" * 64, 90)),
)
MANIFEST = Manifest(
    run_id="run",
    written_at="2026-01-01T00:00:00+00:00",
    files=(PublishedFile(path="a.png", image="a.png", k=None, bytes=0, sha256="0" * 64, reason="kept"),),
)
MOVE = Move(
    image="a.png",
    k=4,
    same_image=True,
    ratio_before=2.0,
    ratio=3,
    psnr_db_before=None,
    psnr_db=40.0,
    ssim_before=1.0,
    ssim=0.9,
)
SUMMARY = Summary(
    run_id="run",
    written_at="2026-01-01T00:00:00+00:00",
    images_folder="in",
    ks=(4,),
    settings={"seed": 0},
    versions={"Python": "3.13"},
    totals=Totals(
        jobs=1,
        done=0,
        reused=0,
        failed=1,
        images=1,
        images_compressed=0,
        original_bytes=0,
        smallest_bytes=0,
        smallest_ratio=None,
        seconds=0,
        by_k=(
            KTotals(
                k=4,
                images=1,
                failed=0,
                lossless=0,
                original_bytes=9,
                compressed_bytes=8,
                compression_ratio=1.125,
                median_psnr_db=None,
                median_ssim=0.9,
                median_bits_per_pixel=2.0,
            ),
        ),
        chosen=ChosenTotals(
            images=1,
            originals_kept=1,
            original_bytes=9,
            bytes=9,
            ratio=1.0,
            median_psnr_db=None,
            median_ssim=None,
        ),
    ),
    rows=(Row(image="a.png", k=None, state="failed", reason="no", target="ssim=0.9"),),
    ignored=(),
    choices=(Choice(image="a.png", k=None, output=None, bytes=9, original_bytes=9, reason="kept"),),
    changes=Changes(
        run_id="before",
        written_at="2025-12-31T00:00:00+00:00",
        settings={"seed": (0, 7)},
        added=("a.png",),
        removed=(),
        recomputed=0,
        failed=(("a.png", None),),
        mended=(("b.png", 4),),
        moved=(MOVE,),
    ),
)
RECORDS = [RESULT, FAILURE, PLAN, PLAN_FILE, MANIFEST, SUMMARY]


def _name(value: Any) -> str:
    return type(value).__name__ if isinstance(value, JsonRecord) else str(value)


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_what_is_written_reads_back_as_the_same(record: JsonRecord, tmp_path: Path) -> None:
    record.write(tmp_path / "file.json")
    assert type(record).read(tmp_path / "file.json") == record
    assert (tmp_path / "file.json").read_bytes().isascii()


WRONG: list[tuple[JsonRecord, str, Any, str]] = [
    (RESULT, "width", 0, "width is 0, not at least 1"),
    (RESULT, "width", 3.0, "width is 3.0, not a whole number"),
    (RESULT, "width", "3", "width is '3', not a whole number"),
    (RESULT, "width", True, "width is True, not a whole number"),
    (RESULT, "width", 10**400, "width is 1000000"),
    (RESULT, "k", 257, "k is 257, not from 1 to 256"),
    (RESULT, "iterations", -1, "iterations is -1, not at least 0"),
    (RESULT, "mse", math.nan, "mse is nan, not a finite number"),
    (RESULT, "mse", math.inf, "mse is inf, not a finite number"),
    (RESULT, "mse", None, "mse is None, not a finite number"),
    (RESULT, "ssim", 10**400, "ssim is 1000000"),
    (RESULT, "lossless", 1, "lossless is 1, not true or false"),
    (RESULT, "lossless", False, "psnr_db is None, though the output is not lossless"),
    (RESULT, "settings", [], "settings is [], not an object"),
    (RESULT, "settings.rate", math.nan, "settings.rate is nan, not a finite number"),
    (RESULT, "seconds.total", "1", "seconds.total is '1', not a finite number"),
    (RESULT, "seconds", {}, "seconds has no total"),
    (RESULT, "output", "..\0", r"output is '..\x00', not a path"),
    (RESULT, "output", "/", "output is '/', which does not name a file"),
    (RESULT, "output", "\ud800", "output is '\\ud800', not a path"),
    (RESULT, "search.tried.1", [6], "search.tried[1] is [6], not an array of 2"),
    (RESULT, "search.tried.0.0", 0, "search.tried[0][0] is 0, not from 1 to 256"),
    (RESULT, "search.reached", None, "search.reached is None, not true or false"),
    (PLAN, "jobs.0.result", "\0", r"jobs[0].result is '\x00', not a path"),
    (FAILURE, "reason", None, "reason is None, not a text"),
    (FAILURE, "retryable", "no", "retryable is 'no', not true or false"),
    (PLAN, "jobs", {}, "jobs is {}, not an array"),
    (PLAN, "jobs.1", "job", "jobs[1] is 'job', not an object"),
    (PLAN, "jobs.1.k", "4", "jobs[1].k is '4', not a whole number"),
    (PLAN, "jobs.0.target", "good", "jobs[0] is wrong: 'good' is not a quality target"),
    (PLAN, "jobs.0.settings.seed", -1, "jobs[0].settings is wrong: seed = -1 is wrong"),
    (PLAN, "jobs.0.settings.new", 1, "jobs[0].settings has fields missing [], unknown ['new']"),
    (PLAN, "settings.format", 7, "settings.format is 7, not a text"),
    (PLAN, "reused", "ab", "reused is 'ab', not an array"),
    (PLAN, "reused.0", [], "reused[0] is [], not a text"),
    (PLAN, "force", "false", "force is 'false', not true or false"),
    (PLAN_FILE, "images.0.0", "\0", r"images[0][0] is '\x00', not a path"),
    (PLAN_FILE, "images.1.1", 7, "images[1][1] is 7, not a text"),
    (PLAN_FILE, "images.1.2", -1, "images[1][2] is -1, not at least 0"),
    (PLAN_FILE, "images.1", ["a.png"], "images[1] is ['a.png'], not an array of 3"),
    (PLAN_FILE, "pending.0", -1, "pending[0] is -1, not at least 0"),
    (PLAN_FILE, "target", None, "'' is not a quality target"),
    (PLAN_FILE, "output_folder", "ftp://bucket", "ftp:// is not a supported storage"),
    (MANIFEST, "files.0.k", 0, "files[0].k is 0, not from 1 to 256"),
    (MANIFEST, "files.0.bytes", -1, "files[0].bytes is -1, not at least 0"),
    (MANIFEST, "files.0.path", 1, "files[0].path is 1, not a text"),
    (SUMMARY, "rows.0.k", 0, "rows[0].k is 0, not from 1 to 256"),
    (SUMMARY, "rows.0.tried", None, "rows[0].tried is None, not an array"),
    (SUMMARY, "versions.Python", 3, "versions.Python is 3, not a text"),
    (SUMMARY, "totals", None, "totals is None, not an object"),
    (SUMMARY, "totals.by_k.0.median_ssim", "1", "totals.by_k[0].median_ssim is '1', not a finite number"),
    (SUMMARY, "settings.seed", math.inf, "settings.seed is inf, not a finite number"),
    (SUMMARY, "changes.failed.0", ["a.png"], "changes.failed[0] is ['a.png'], not an array of 2"),
    (SUMMARY, "changes.settings.seed", [1], "changes.settings.seed is [1], not an array of 2"),
    (SUMMARY, "changes.moved.0.ssim", {}, "changes.moved[0].ssim is {}, not a finite number"),
]


@pytest.mark.parametrize(("record", "path", "value", "message"), WRONG, ids=_name)
def test_a_wrong_value_is_refused_with_the_file_and_the_field(
    record: JsonRecord, path: str, value: Any, message: str, tmp_path: Path
) -> None:
    content = json.loads(record.as_json())
    steps = [int(step) if step.isdigit() else step for step in path.split(".")]
    part = content
    for step in steps[:-1]:
        part = part[step]
    part[steps[-1]] = value
    file = tmp_path / "file.json"
    file.write_text(json.dumps(content))
    with pytest.raises(InvalidRecord) as caught:
        type(record).read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("record", RECORDS, ids=_name)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"schema_version": ' + b"1" * 5000 + b"}", "not JSON"),
        (b"[]", "a JSON object is expected, not list"),
        (b"{}", "schema_version None is unknown"),
        (b'{"schema_version": 99}', "schema_version 99 is unknown"),
        (b'{"schema_version": true}', "schema_version True is unknown"),
        (b'{"schema_version": [1]}', "schema_version [1] is unknown"),
    ],
    ids=str,
)
def test_a_file_that_is_not_of_this_schema_is_refused(
    record: JsonRecord, text: bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(text)
    with pytest.raises(InvalidRecord) as caught:
        type(record).read(file)
    assert str(caught.value).startswith(f"{file}: ") and message in str(caught.value)


@pytest.mark.parametrize("record", RECORDS, ids=_name)
def test_missing_and_unknown_fields_are_named(record: JsonRecord, tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text(json.dumps({"schema_version": record.schema_version, "surprise": 1}))
    with pytest.raises(InvalidRecord, match=r"has fields missing \[.+\], unknown \['surprise'\]"):
        type(record).read(file)


def test_a_value_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    content = json.loads(RESULT.as_json())
    for _ in range(900):
        content["settings"] = {"a": content["settings"]}
    (tmp_path / "file.json").write_text(json.dumps(content))
    with pytest.raises(InvalidRecord, match="recursion"):
        CompressionResult.read(tmp_path / "file.json")


@dataclass(frozen=True, kw_only=True)
class _Later(JsonRecord):
    """A record of a version that has added a field."""

    schema_version: int = 1
    name: str
    added: float = 2.0


def test_a_field_that_a_later_version_added_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text('{"schema_version": 1, "name": "a"}')
    assert _Later.read(tmp_path / "file.json") == _Later(name="a")


def test_a_number_that_json_does_not_have_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant|Out of range"):
        _Later(name="a", added=math.inf).write(tmp_path / "file.json")
    assert not (tmp_path / "file.json").exists()


def _version_1() -> dict[str, Any]:
    """The summary as version 1 wrote it."""
    content = copy.deepcopy(json.loads(SUMMARY.as_json()))
    content["schema_version"] = 1
    content["rows"][0]["k"] = 0
    content["changes"]["failed"][0][1] = 0
    return content


def test_a_summary_of_version_1_reads_as_one_of_today(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(_version_1()))
    assert Summary.read(tmp_path / "summary.json") == SUMMARY


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rows": None}, "rows"),
        ({"rows": [1]}, "rows[0]"),
        ({"rows": [{}]}, "rows[0]"),
        ({"changes": 7}, "changes"),
        ({"changes": {}}, "changes"),
        ({"changes": {"failed": 1, "mended": []}}, "changes"),
        ({"changes": {"failed": [[1, 2, 3]], "mended": []}}, "changes"),
    ],
    ids=str,
)
def test_a_wrong_summary_of_version_1_is_refused(change: dict[str, Any], field: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(_version_1() | change))
    with pytest.raises(InvalidRecord) as caught:
        Summary.read(tmp_path / "summary.json")
    assert f"summary.json: {field} " in str(caught.value)
