"""What the plugin's pages hand out of a run, and what they do not. The web application itself is in test_airflow_ui."""

import asyncio
import base64
import dataclasses
import hashlib
import io
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from colorquant.jobs.plan import RunRequest, plan_run, run_folder
from colorquant.jobs.records import CompressionResult
from colorquant.report.page import page_html
from colorquant.report.summary import Summary
from colorquant.retention.prune import _State
from colorquant.storage import JsonRecord, sha256_of
from colorquant_airflow.pages import files
from colorquant_airflow.pages.runs import NoSuchPage, Run
from tests.conftest import photograph
from tests.test_compress_image import compress_in_process

SHEET = "sheet-0123456789abcdef.png"


def _sent(response: Any) -> bytes:
    """What a response sends."""

    async def collected() -> bytes:
        return b"".join([chunk async for chunk in response.body_iterator])

    return asyncio.run(collected())


@pytest.fixture
def run(photographs: Path, tmp_path: Path) -> Run:
    """A run of two images whose report is a page and a picture; outside it lie a secret and another run."""
    output = tmp_path / "output"
    folder = run_folder(output, "manual/1")
    plan = plan_run(RunRequest(run_id="manual/1", images=str(photographs), ks=[4], output=str(output)))
    plan.write(folder / "plan.json")
    for job in plan.jobs:
        compress_in_process(job.arguments())
    for job in plan.jobs:
        Path(job.output).with_name(SHEET).write_text("of this run")
    (output / "compressed" / SHEET).write_text("of another run")
    (folder / "rows").mkdir()
    for name in ("summary.html", "rows/a & <b>.html", "script.js", "notes.txt"):
        (folder / name).write_text("of this run")
    (tmp_path / "secret.html").write_text("secret")
    (output / "secret.html").write_text("secret")
    (output / "runs" / "another").mkdir()
    (output / "runs" / "another" / "summary.html").write_text("of another run")
    (output / "compressed" / "another.png").write_text("of another run")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    (folder / "linked").symlink_to(output / "runs" / "another")
    return Run("dag", "manual/1", "success", "manual", datetime.now(UTC), {"folder": str(folder)}, None)


def test_it_hands_out_the_report_and_the_outputs_that_it_links_to(run: Run) -> None:
    for path in ("summary.html", "rows/a & <b>.html"):
        found = files.of_report(run, files.inside_output(run, run.folder / path))
        assert found.path == run.folder / path
        assert _sent(files.send(found)) == b"of this run"
    for job in run.plan.jobs:
        output = files.of_report(run, files.inside_output(run, Path(job.output)))
        assert output.path == Path(job.output)
        assert _sent(files.send(output)) == Path(job.output).read_bytes()
        sheet = files.of_report(run, files.inside_output(run, Path(job.output).with_name(SHEET)))
        assert _sent(files.send(sheet)) == b"of this run"


def test_a_sheet_that_leads_out_of_the_outputs_is_not_handed_out(run: Run, tmp_path: Path) -> None:
    sheet = Path(run.plan.jobs[0].output).with_name(SHEET)
    sheet.unlink()
    sheet.symlink_to(tmp_path / "secret.html")
    with pytest.raises(NoSuchPage, match="does not exist"):
        files.send(files.of_report(run, files.inside_output(run, sheet)))


def test_the_output_of_an_image_that_was_read_by_regions_is_a_tiff(run: Run) -> None:
    """Browsers show none: a picture comes as PNG, and the file itself is there to be saved."""
    job = run.jobs_of(1)[0]
    tiff = Path(job.output).with_suffix(".tif")
    Image.open(job.output).save(tiff)
    assert files.output_of(run, job).path == Path(job.output)
    record = dataclasses.replace(CompressionResult.read(job.result), output=str(tiff), output_sha256=sha256_of(tiff))
    record.write(job.result)
    output = files.output_of(run, job)
    assert output == files.of_report(run, files.inside_output(run, tiff))
    shown = files.send(output)
    assert shown.media_type == "image/png"
    assert Image.open(io.BytesIO(bytes(shown.body))).size == Image.open(tiff).size
    saved = files.send(output, tiff.name)
    assert saved.media_type == "image/tiff" and _sent(saved) == tiff.read_bytes()
    Path(job.result).unlink()
    with pytest.raises(NoSuchPage, match="does not exist, or not yet"):
        files.output_of(run, job)


def test_an_output_is_handed_out_only_as_long_as_it_is_what_was_measured(run: Run, tmp_path: Path) -> None:
    job = run.jobs_of(1)[0]
    output, content = Path(job.output), Path(job.output).read_bytes()
    (tmp_path / "same.png").write_bytes(content)
    output.write_bytes(content + b"<script>")
    for found in (files.output_of(run, job), files.of_report(run, files.inside_output(run, output))):
        with pytest.raises(NoSuchPage, match="has changed since it was measured"):
            files.send(found)
    output.unlink()
    output.symlink_to(tmp_path / "same.png")  # The very bytes, but outside of the output folder.
    with pytest.raises(NoSuchPage, match="does not exist"):
        files.send(files.output_of(run, job))


@pytest.mark.parametrize("what", ["output", "result", "failure", "image"])
@pytest.mark.parametrize("forged", ["{root}/secret.html", "{root}/output/../secret.html", "/etc/passwd"])
def test_a_plan_on_a_disk_leads_to_no_other_folder(run: Run, tmp_path: Path, what: str, forged: str) -> None:
    """Who may write to the output folder could name there what the server can read, and have it handed out."""
    plan = run.plan
    job = dataclasses.replace(plan.jobs[0], **{what: forged.format(root=tmp_path)})
    # Only plans of version 1 name these paths.
    old = dataclasses.replace(plan, schema_version=1, jobs=(job, *plan.jobs[1:]))
    (run.folder / "plan.json").write_text(JsonRecord.as_json(old))
    with pytest.raises(NoSuchPage, match="outside the run's (output|image) folder"):
        _ = dataclasses.replace(run).plan


@pytest.mark.parametrize(
    "forged",
    [
        {"output_folder": "/etc"},
        {"output_folder": "{root}"},
        {"images": [["../../../secret", "0" * 64, 1]]},
        {"images": [["../secret.png", "0" * 64, 1]]},
    ],
    ids=str,
)
def test_a_plan_whose_images_or_folder_lead_elsewhere_is_not_followed(run: Run, tmp_path: Path, forged: Any) -> None:
    path = run.folder / "plan.json"
    text = json.dumps(json.loads(path.read_text()) | forged).replace("{root}", str(tmp_path))
    path.write_text(text)
    with pytest.raises(NoSuchPage, match="outside the run's (output|image) folder"):
        _ = dataclasses.replace(run).plan


def test_folders_that_are_not_allowed_are_not_handed_out(
    run: Run, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The XCom and the plan can be edited by whoever may edit XComs, or write to the output folder."""
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", f"{photographs}, {tmp_path / 'output'}")
    assert dataclasses.replace(run).plan.jobs
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", str(tmp_path / "output"))
    with pytest.raises(NoSuchPage, match=f"'{photographs}' is in none of the folders that may be used here"):
        _ = dataclasses.replace(run).plan
    monkeypatch.setenv("COMPRESSION_ALLOWED_ROOTS", str(photographs))
    with pytest.raises(NoSuchPage, match="is in none of the folders"):
        _ = dataclasses.replace(run).folder


def test_a_file_that_is_swapped_after_its_hash_was_checked_is_not_the_one_that_is_sent(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Path(run.jobs_of(1)[0].image)
    genuine = image.read_bytes()
    real = files.hashlib.file_digest

    def swap_after(*arguments: Any) -> Any:
        digest = real(*arguments)
        image.unlink()
        image.symlink_to("/etc/passwd")
        return digest

    monkeypatch.setattr(files.hashlib, "file_digest", swap_after)
    assert _sent(files.send_original(run, run.jobs_of(1)[0], download=True)) == genuine


@pytest.mark.parametrize(
    "path",
    [
        "../secret.html",
        "runs/../../secret.html",
        "secret.html",
        "runs/another/summary.html",
        "runs/{run}/../another/summary.html",
        "runs/{run}/link.html",
        "runs/{run}/linked/summary.html",
        "runs/{run}/script.js",
        "runs/{run}/notes.txt",
        "runs/{run}/rows",
        f"compressed/{SHEET}",
        f"compressed/nothing.png/{SHEET}",
        "runs/{run}",
        "compressed/another.png",
        "/etc/passwd",
        "//etc/passwd",
        "{root}/secret.html",
        "..\\secret.html",
        "%2e%2e/secret.html",
        "summary.html\0",
        "runs/{run}/summary\0.html",
        "compressed/\0.png",
        "",
    ],
)
def test_it_hands_out_nothing_else(run: Run, tmp_path: Path, path: str) -> None:
    with pytest.raises(NoSuchPage):
        files.send(files.of_report(run, path.format(run=run.folder.name, root=tmp_path)))


def test_a_run_that_was_pruned_says_so(run: Run) -> None:
    at = run.at.timestamp()
    shutil.rmtree(run.folder)
    with pytest.raises(NoSuchPage, match="is not written yet"):
        _ = dataclasses.replace(run).plan
    for seconds, reason in (
        (-1, "is not written yet"),
        (1, "This run was pruned: of old runs neither report nor plan"),
    ):
        _State(at=at + seconds, runs=()).write(run.output_folder / "runs" / "pruned.json")
        with pytest.raises(NoSuchPage, match=reason):
            _ = dataclasses.replace(run).plan


def test_a_folder_that_is_not_of_this_run_is_not_handed_out(run: Run, tmp_path: Path) -> None:
    """What a task told can be edited in Airflow by who may edit XComs: that must not open the server's folders."""
    elsewhere = tmp_path / "elsewhere" / "runs" / "x"
    elsewhere.mkdir(parents=True)
    (elsewhere / "summary.html").write_text("secret")
    forged = dataclasses.replace(run, planned={"folder": str(elsewhere)})
    with pytest.raises(NoSuchPage):
        files.of_report(forged, "runs/x/summary.html")
    (elsewhere / "plan.json").write_bytes((run.folder / "plan.json").read_bytes())
    with pytest.raises(NoSuchPage, match="outside the run's output folder"):
        files.of_report(dataclasses.replace(forged), "runs/x/summary.html")
    with pytest.raises(NoSuchPage, match="is of run 'manual/1'"):
        files.of_report(dataclasses.replace(run, run_id="manual/2"), f"runs/{run.folder.name}/summary.html")


def test_a_page_of_a_report_may_run_the_reports_own_script_and_no_other(run: Run) -> None:
    policy = files.send(files.Served(run.folder / "summary.html", run.folder)).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    (allowed,) = re.findall("script-src ([^;]*)", policy)
    page = page_html(Summary.of(run.plan, run.folder), [])
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert allowed == f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def test_an_original_is_handed_out_only_as_long_as_it_is_what_was_planned(run: Run) -> None:
    for number, kind in ((1, "image/png"), (2, "image/jpeg")):
        assert files.send_original(run, run.jobs_of(number)[0], download=False).media_type == kind
    image = Path(run.jobs_of(1)[0].image)
    image.write_text("another file, by someone who may write to the folder of images")
    with pytest.raises(NoSuchPage, match="has changed"):
        files.send_original(run, run.jobs_of(1)[0], download=True)
    image.unlink()
    image.symlink_to("/etc/passwd")
    with pytest.raises(NoSuchPage, match="has changed"):
        files.send_original(run, run.jobs_of(1)[0], download=False)


def test_an_original_that_browsers_do_not_show_comes_as_png(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(photograph(20, 30)).save(images / "scan.tif")
    (images / "broken.tif").write_text("<script>alert(1)</script>")
    plan = plan_run(RunRequest(run_id="1", images=str(images), ks=[4], output=str(tmp_path / "out")))
    folder = run_folder(tmp_path / "out", "1")
    plan.write(folder / "plan.json")
    run = Run("dag", "1", "success", "manual", datetime.now(UTC), {"folder": str(folder)}, None)
    broken, scan = plan.jobs
    assert files.send_original(run, scan, download=False).body.startswith(b"\x89PNG")  # type: ignore[union-attr]
    with pytest.raises(NoSuchPage, match="cannot be shown"):
        files.send_original(run, broken, download=False)
    assert files.send_original(run, broken, download=True).media_type == "application/octet-stream"
