"""The tasks' part of publishing: what is chosen gets to the folder, and not after a bad night."""

import errno
import os
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from colorquant.jobs.plan import Plan, run_folder
from colorquant.publish import folder as published
from colorquant.publish.folder import verify
from colorquant.publish.manifest import MANIFEST, Manifest
from colorquant_airflow.dag.assets import REPORT
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.dag.planning import write_plan
from colorquant_airflow.dag.reporting import summarize
from colorquant_airflow.xcoms import PUBLISHED, REPORTED
from tests.test_compress_image import compress_in_process
from tests.unprivileged import close


def _context(run_id: str, **params: Any) -> Any:
    told: dict[str, Any] = {}
    return {
        "told": told,
        "params": {name: param.value for name, param in library_params().items()} | params,
        "run_id": run_id,
        "dag": SimpleNamespace(roots=[]),
        "ti": SimpleNamespace(
            xcom_push=told.__setitem__,
            xcom_pull=lambda task_ids, key: told.get(key),
            dag_id="kmeans_image_compression",
        ),
        "outlet_events": defaultdict(SimpleNamespace),
    }


def test_a_good_run_publishes_and_a_bad_one_leaves_what_is_there(photographs: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "publish": str(site), "target": "psnr=25"}
    context = _context("good", **params)
    for submission in write_plan(context):
        compress_in_process(submission["application_args"])
    summarize(context)
    assert verify(site) == []
    plan = Plan.read(run_folder(tmp_path / "out", "good") / "plan.json")
    assert (plan.target, Manifest.read(site / MANIFEST).run_id) == ("psnr=25.0", "good")
    assert {file.image for file in Manifest.read(site / MANIFEST).files} == {job.name for job in plan.jobs}
    assert any(file.k and "reaches PSNR 25 dB" in file.reason for file in Manifest.read(site / MANIFEST).files)

    (photographs / "one.png").write_bytes(b"no image any more")
    context = _context("bad", **params)
    write_plan(context)
    with pytest.raises(AirflowFailException, match="jobs failed"):
        summarize(context)
    assert Manifest.read(site / MANIFEST).run_id == "good"
    assert verify(site) == []


def test_a_run_that_somebody_ended_has_its_report_and_publishes_nothing(photographs: Path, tmp_path: Path) -> None:
    """Also where it allows the failures of all jobs: whoever ended it did not mean its outputs."""
    site = tmp_path / "site"
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "publish": str(site), "ks": [4]}
    context = _context("run", **params, max_failures=9)
    first, *_ = write_plan(context)
    compress_in_process(first["application_args"])
    with pytest.raises(AirflowFailException, match="1 of 2 jobs left no result: somebody ended the run"):
        summarize(context)
    assert (run_folder(tmp_path / "out", "run") / "summary.html").exists()
    assert not site.exists() and "ended the run" in context["told"][PUBLISHED]["refused"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_cannot_be_written_to_is_said_and_tried_again_where_that_may_help(
    number: int, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, version: Path) -> None:
        raise OSError(number, os.strerror(number), str(version))

    monkeypatch.setattr(published, "_point", fail)
    site = tmp_path / "site"
    context = _context("run", images=str(photographs), output=str(tmp_path / "out"), publish=str(site), ks=[4])
    for submission in write_plan(context):
        compress_in_process(submission["application_args"])
    lasts = number == errno.EACCES
    with pytest.raises(AirflowFailException if lasts else OSError, match=os.strerror(number)):
        summarize(context)
    assert os.strerror(number) in context["told"][PUBLISHED]["refused"]
    assert not site.exists()


def test_a_run_is_of_the_images_that_match_its_pattern(photographs: Path, tmp_path: Path) -> None:
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "ks": [4]}
    write_plan(_context("some", **params, pattern="sub*/*.jpg"))
    plan = Plan.read(run_folder(tmp_path / "out", "some") / "plan.json")
    assert [job.name for job in plan.jobs] == ["sub folder/two.jpg"]
    with pytest.raises(AirflowFailException, match="There is no image that matches 'x"):
        write_plan(_context("none", **params, pattern="x*"))


def test_a_folder_of_others_fails_the_task_and_says_why(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "precious").write_text("mine")
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "publish": str(tmp_path / "site")}
    with pytest.raises(AirflowFailException, match="was not published by this project: name a new or an empty folder"):
        write_plan(_context("run", **params))
    (tmp_path / "site").rename(tmp_path / "precious folder")
    context = _context("run", **params)
    for submission in write_plan(context):
        compress_in_process(submission["application_args"])
    (tmp_path / "precious folder").rename(tmp_path / "site")  # It came while the jobs ran.
    with pytest.raises(AirflowFailException, match="Nothing is published: .* was not published by this project"):
        summarize(context)
    assert (tmp_path / "site" / "precious").read_text() == "mine"
    assert (run_folder(tmp_path / "out", "run") / "summary.html").exists()


def test_a_folder_that_cannot_be_read_fails_the_run_when_all_else_is_done(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "ks": [4]}
    context = _context("run", **params)
    with monkeypatch.context() as patched:
        close(patched, photographs / "sub folder", number=errno.EIO)
        submissions = write_plan(context)
    for submission in submissions:
        compress_in_process(submission["application_args"])
    with pytest.raises(AirflowFailException, match=r"were not read: 'sub folder' \(Input/.* All else is done"):
        summarize(context)
    page = (run_folder(tmp_path / "out", "run") / "summary.html").read_text()
    assert '<h2 id="unreadable-title">Not read</h2>' in page and "sub folder" in page
    assert context["told"][REPORTED]["done"] == 1
    assert REPORT not in context["outlet_events"], "the DAGs that follow would take it for the whole library"


def compressed(run_id: str, **params: Any) -> Any:
    context = _context(run_id, **params)
    for submission in write_plan(context):
        compress_in_process(submission["application_args"])
    return context


def test_an_original_that_was_swapped_after_the_plan_is_not_published_and_the_run_says_so(
    photographs: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "publish": str(site), "ks": [4]}
    summarize(compressed("first", **params))
    published_before = (site / "one.png").read_bytes()
    context = compressed("second", **params)
    (photographs / "one.png").write_bytes(b"half of an upload")
    with pytest.raises(AirflowFailException, match="'one.png' has changed .* its published file is kept. All else is"):
        summarize(context)
    assert (site / "one.png").read_bytes() == published_before
    assert (Manifest.read(site / MANIFEST).run_id, verify(site)) == ("second", [])
    assert context["told"][PUBLISHED]["files"] == 2 and "has changed" in context["told"][PUBLISHED]["problems"][0]


def test_an_old_run_that_is_cleared_publishes_nothing_over_a_newer_one_unless_it_may(
    photographs: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    params = {"images": str(photographs), "output": str(tmp_path / "out"), "publish": str(site), "ks": [4]}
    old, new = compressed("old", **params), compressed("new", **params)
    summarize(old)
    summarize(new)
    with pytest.raises(AirflowFailException, match="Nothing is published: run 'new'.* this run, 'old', is older"):
        summarize(old)
    assert Manifest.read(site / MANIFEST).run_id == "new"
    old["params"]["publish_anyway"] = True
    summarize(old)
    assert Manifest.read(site / MANIFEST).run_id == "old"
