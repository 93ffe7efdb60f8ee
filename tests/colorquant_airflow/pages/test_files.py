"""What the plugin's pages hand out of a run, and what they do not. The web application itself is in test_airflow_ui."""

import base64
import dataclasses
import hashlib
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.responses import FileResponse
from PIL import Image

from colorquant.jobs.plan import RunRequest, plan_run, run_folder
from colorquant.report.page import page_html
from colorquant.report.summary import Summary
from colorquant_airflow.pages import files
from colorquant_airflow.pages.runs import NoSuchPage, Run
from tests.conftest import photograph


@pytest.fixture
def run(photographs: Path, tmp_path: Path) -> Run:
    """A run of two images whose report is a page and a picture; outside it lie a secret and another run."""
    output = tmp_path / "output"
    folder = run_folder(output, "manual/1")
    plan = plan_run(RunRequest(run_id="manual/1", images=str(photographs), ks=[4], output=str(output)))
    plan.write(folder / "plan.json")
    for job in plan.jobs:
        Path(job.output).parent.mkdir(parents=True)
        Image.fromarray(photograph()).save(job.output)
    (folder / "contact_sheets").mkdir()
    for name in ("summary.html", "contact_sheets/a & <b>.png", "script.js", "notes.txt"):
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
    for path in ("summary.html", "contact_sheets/a & <b>.png"):
        found = files.of_report(run, files.inside_output(run, run.folder / path))
        assert found == run.folder / path
        assert isinstance(files.send(found), FileResponse)
    for job in run.plan.jobs:
        assert files.of_report(run, files.inside_output(run, Path(job.output))) == Path(job.output)


def test_the_output_of_an_image_that_was_read_by_regions_is_a_tiff(run: Run) -> None:
    """Browsers show none: a picture comes as PNG, and the file itself is there to be saved."""
    job = run.jobs_of(1)[0]
    tiff = Path(job.output).with_suffix(".tif")
    Image.open(job.output).save(tiff)
    assert files.output_of(job) == Path(job.output)
    Path(job.output).unlink()
    assert files.output_of(job) == tiff
    assert files.of_report(run, files.inside_output(run, tiff)) == tiff
    shown = files.send(tiff)
    assert shown.media_type == "image/png"
    assert Image.open(io.BytesIO(bytes(shown.body))).size == Image.open(tiff).size
    saved = files.send(tiff, tiff.name)
    assert isinstance(saved, FileResponse) and saved.media_type == "image/tiff"
    tiff.unlink()
    with pytest.raises(NoSuchPage, match="does not exist, or not yet"):
        files.output_of(job)


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
        "runs/{run}/contact_sheets",
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


def test_a_folder_that_is_not_of_this_run_is_not_handed_out(run: Run, tmp_path: Path) -> None:
    """What a task told can be edited in Airflow by who may edit XComs: that must not open the server's folders."""
    elsewhere = tmp_path / "elsewhere" / "runs" / "x"
    elsewhere.mkdir(parents=True)
    (elsewhere / "summary.html").write_text("secret")
    forged = dataclasses.replace(run, planned={"folder": str(elsewhere)})
    with pytest.raises(NoSuchPage):
        files.of_report(forged, "runs/x/summary.html")
    (elsewhere / "plan.json").write_bytes((run.folder / "plan.json").read_bytes())
    assert files.of_report(forged, "runs/x/summary.html")
    with pytest.raises(NoSuchPage):
        files.of_report(dataclasses.replace(forged, run_id="manual/2"), "runs/x/summary.html")


def test_a_page_of_a_report_may_run_the_reports_own_script_and_no_other(run: Run) -> None:
    policy = files.send(run.folder / "summary.html").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    (allowed,) = re.findall("script-src ([^;]*)", policy)
    page = page_html(Summary.of(run.plan, run.folder), [])
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert allowed == f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def test_an_original_is_handed_out_only_as_long_as_it_is_what_was_planned(run: Run) -> None:
    for number, kind in ((1, "image/png"), (2, "image/jpeg")):
        assert files.send_original(run.jobs_of(number)[0], download=False).media_type == kind
    image = Path(run.jobs_of(1)[0].image)
    image.write_text("another file, by someone who may write to the folder of images")
    with pytest.raises(NoSuchPage, match="has changed"):
        files.send_original(run.jobs_of(1)[0], download=True)
    image.unlink()
    image.symlink_to("/etc/passwd")
    with pytest.raises(NoSuchPage, match="has changed"):
        files.send_original(run.jobs_of(1)[0], download=False)


def test_an_original_that_browsers_do_not_show_comes_as_png(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(photograph(20, 30)).save(images / "scan.tif")
    (images / "broken.tif").write_text("<script>alert(1)</script>")
    broken, scan = plan_run(RunRequest(run_id="1", images=str(images), ks=[4], output=str(tmp_path / "out"))).jobs
    assert files.send_original(scan, download=False).body.startswith(b"\x89PNG")  # type: ignore[union-attr]
    with pytest.raises(NoSuchPage, match="cannot be shown"):
        files.send_original(broken, download=False)
    assert files.send_original(broken, download=True).media_type == "application/octet-stream"
