"""The list of a run's images: what was chosen, what failed, and what still waits."""

import dataclasses
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from colorquant import settings
from colorquant.jobs import PROGRESS, JobFailure, RunProgress
from colorquant.jobs import plan as plan_module
from colorquant.jobs.plan import RunRequest, plan_run, run_folder
from colorquant.report import summarize_run
from colorquant.storage import parts as parts_module
from colorquant_airflow.pages import files, runs
from colorquant_airflow.pages.app import show_run
from colorquant_airflow.pages.lines import lines_of
from colorquant_airflow.pages.runs import CORPUS, NoSuchPage, Run
from colorquant_airflow.pages.templates import page
from tests.conftest import photograph
from tests.test_compress_image import compress_in_process

DAG = "kmeans_image_compression"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that goes on: `a.png` is done, `b.png` has failed, and a job of each of the others waits."""
    images = tmp_path / "images"
    images.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.fromarray(photograph(48, 64, seed=number)).save(images / name)
    request = RunRequest(run_id="1", images=str(images), ks=[2, 64], output=str(tmp_path / "out"), target="psnr=15")
    plan = plan_run(request)
    folder = run_folder(tmp_path / "out", "1")
    plan.write(folder / "plan.json")
    for job in plan.jobs:
        if job.name == "b.png":
            JobFailure(reason="the disk <is> full", exit_code=1, retryable=True).write(job.failure)
        elif job.name == "a.png" or job.k == 2:
            compress_in_process(job.arguments())
    return Run(DAG, "1", "running", "manual", datetime.now(UTC), {"folder": str(folder)}, None)


def _ended(run: Run) -> Run:
    for job in run.plan.jobs:
        if job.name == "c.png" and job.k == 64:
            compress_in_process(job.arguments())
    summarize_run(run.plan, run.folder)
    return dataclasses.replace(run, state="failed")


def _image_page(run: Run, number: int) -> str:
    from colorquant_airflow.pages.app import show_image

    return show_image(run, number)


def test_while_a_run_goes_on_its_jobs_wait_and_only_those_that_failed_are_red(run: Run) -> None:
    failed, done, waiting = lines_of(run, "failed", "")
    assert [line.name for line in (failed, done, waiting)] == ["b.png", "a.png", "c.png"]
    assert [(reason, ks) for reason, ks, _ in failed.failures] == [("the disk <is> full", ["2", "64"])]
    assert (done.waiting, waiting.waiting, failed.waiting) == (0, 1, 0)
    text = page("run", run=run, lines=[failed, done, waiting], found=3, number=1, pages=1, order="failed", find="")
    assert "k = 2, 64 failed: the disk &lt;is&gt; full" in text
    assert "1 of 2 jobs wait or run" in text and "no result" not in text
    image = _image_page(run, 3)
    assert "waits or runs" in image and "left no result" not in image
    assert "left no result" in _image_page(dataclasses.replace(run, state="failed"), 3)


def test_a_reported_run_shows_the_chosen_output_and_its_quality_and_can_be_sorted_and_searched(run: Run) -> None:
    ended = _ended(run)
    lines = {line.name: line for line in lines_of(ended, "name", "")}
    summary = ended.summary
    assert summary is not None
    for choice in summary.choices:
        line = lines[choice.image]
        row = next(row for row in summary.rows if (row.image, row.k) == (choice.image, choice.k))
        assert (line.choice, line.ssimulacra2) == (choice, row.ssimulacra2)
        assert ended.images[choice.image][(line.position or 0) - 1].k == choice.k
    assert lines["b.png"].choice is None
    assert [line.name for line in lines_of(ended, "failed", "")] == ["b.png", "a.png", "c.png"]
    qualities = [line.ssimulacra2 for line in lines_of(ended, "quality", "") if line.ssimulacra2 is not None]
    assert qualities == sorted(qualities) and len(qualities) == 2
    assert lines_of(ended, "saved", "")[-1].name == "b.png"
    assert [line.name for line in lines_of(ended, "name", "C.P")] == ["c.png"]


def test_the_page_of_an_image_opens_at_the_chosen_output_and_marks_it(run: Run) -> None:
    ended = _ended(run)
    choice = next(choice for choice in ended.summary.choices if choice.image == "a.png")  # type: ignore[union-attr]
    assert choice.k == 2, "the smallest that reaches the target, not the largest"
    text = _image_page(ended, 1)
    assert 'src="/image-compression/runs/kmeans_image_compression/1/images/1/outputs/1"' in text
    (marked,) = [line for line in text.splitlines() if '<span class="tag">chosen</span>' in line]
    assert "k = 2" in marked and " checked" in marked
    assert "SSIMULACRA2" in text and choice.reason in text
    assert "every job failed" in _image_page(ended, 2) and "the disk &lt;is&gt; full" in _image_page(ended, 2)


def test_links_lead_to_the_instance_of_a_job_in_airflow(run: Run) -> None:
    jobs = run.plan.jobs
    assert [run.log_of(job) for job in jobs][:2] == [
        f"/dags/{DAG}/runs/1/tasks/compress_image/mapped/{index}" for index in range(2)
    ]
    assert f'href="/dags/{DAG}/runs/1/tasks/compress_image/mapped/2" target="_top">Log' in _image_page(run, 2)
    corpus = dataclasses.replace(run, dag_id="kmeans_corpus_compression")
    assert corpus.log_of(jobs[0]) == "/dags/kmeans_corpus_compression/runs/1/tasks/compress_corpus"


def test_a_thumbnail_is_of_the_file_that_was_planned_or_measured(run: Run) -> None:
    def size(response: Any) -> tuple[int, int]:
        assert response.media_type == "image/webp"
        return Image.open(io.BytesIO(bytes(response.body))).size

    job = run.jobs_of(1)[0]
    assert size(files.thumbnail(files.original_of(run, job))) == (64, 48)
    assert size(files.thumbnail(files.output_of(run, job))) == (64, 48)
    assert size(files.thumbnail(files.original_of(run, job))) == (64, 48), "the second time from memory"
    Image.new("RGB", (8, 8)).save(job.image)
    with pytest.raises(NoSuchPage, match="has changed"):
        files.thumbnail(files.original_of(run, job))
    Path(job.image).unlink()
    with pytest.raises(NoSuchPage, match="does not exist"):
        files.thumbnail(files.original_of(run, job))


def test_the_page_of_a_library_says_how_far_its_application_is_until_there_is_a_report(run: Run) -> None:
    library = dataclasses.replace(run, dag_id=CORPUS)
    assert library.progress is None and 'id="progress"' in show_run(library)
    told = {"told_at": "2026-11-26T17:20:30+00:00", "failed": 0}
    RunProgress(images=1240, of_images=5000, seconds=46.0, seconds_left=139.0, **told).write(run.folder / PROGRESS)
    text = show_run(library)
    assert "1,240 of 5,000 images, 27.0 images/s, about 2 min left" in text and "17:20:30" in text
    assert '<progress max="5000" value="1240"' in text
    assert "1,240" not in show_run(run), "one job for each image and k"
    (run.folder / PROGRESS).write_text("{")
    assert library.progress is None
    ended = _ended(library)
    assert "progress.js" not in show_run(ended)
    assert "This run has ended" in page("progress", run=ended)


def test_a_run_of_an_earlier_version_is_shown_as_it_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outputs are not those that this version would make."""
    ended = _ended(run)
    monkeypatch.setattr(settings, "ALGORITHM_VERSION", settings.ALGORITHM_VERSION + 1)
    runs._read_plan.cache_clear()  # Another process.
    later = dataclasses.replace(ended)
    assert [row.state for row in later.rows_of(1)] == ["done", "done"]
    assert "every job failed" not in _image_page(later, 1)
    files.output_of(later, later.job_of(1, 1))


@pytest.mark.parametrize("ended", [False, True])
def test_a_run_whose_plan_is_in_parts_has_the_same_lines_and_pages(
    run: Run, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = _ended(run) if ended else run
    lines = lines_of(inside, "name", "")
    pages = [_image_page(inside, number) for number in (1, 2, 3)]
    outputs = [path.relative_to(run.output_folder).as_posix() for job in run.plan.jobs for path in job.output_paths()]
    served = [_served(inside, path) for path in outputs]
    assert any(served)
    monkeypatch.setattr(plan_module, "MAX_IN_MEMORY", 1)
    for module in (plan_module, parts_module):
        monkeypatch.setattr(module, "PART_RECORDS", 2)
    plan = run.plan
    request = RunRequest(
        run_id="1", images=plan.images_folder, ks=plan.ks, output=plan.output_folder, target=plan.target or ""
    )
    (run.folder / "plan.json").unlink()
    for path in run.folder.glob("summary.*"):
        path.unlink()
    # What was pending before is pending in this plan too, as far as the pages can tell.
    outputs_away = run.output_folder / "away"
    (run.output_folder / "compressed").rename(outputs_away)
    plan_run(request).write(run.folder / "plan.json")
    outputs_away.rename(run.output_folder / "compressed")
    large = Run(DAG, "1", "running", "manual", datetime.now(UTC), {"folder": str(run.folder)}, None)
    if ended:
        summarize_run(large.plan, large.folder)
        large = dataclasses.replace(large, state="failed")
    assert large.in_parts and not inside.in_parts and large.count == inside.count
    found = lines_of(large, "failed", "")
    assert list(found) == list(lines) and len(found) == 3 and found[1:9] == lines[1:]
    assert [line.name for line in lines_of(large, "name", "B.P")] == ["b.png"]
    assert [_image_page(large, number) for number in (1, 2, 3)] == pages
    assert [_served(large, path) for path in outputs] == served
    with pytest.raises(NoSuchPage, match="none has the number 4"):
        large.jobs_of(4)
    assert "3 images, by name" in show_run(large)


def _served(run: Run, path: str) -> str | None:
    try:
        return str(files.of_report(run, path).path)
    except NoSuchPage:
        return None


def test_a_plan_in_parts_of_another_folder_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "MAX_IN_MEMORY", 1)
    plan = run.plan
    plan_run(RunRequest(run_id="1", images=plan.images_folder, ks=(2,), output=plan.output_folder)).write(
        run.folder / "plan.json"
    )
    text = (run.folder / "plan.json").read_text()
    (run.folder / "plan.json").write_text(text.replace(plan.output_folder, "/etc"))
    other = Run(DAG, "1", "running", "manual", datetime.now(UTC), {"folder": str(run.folder)}, None)
    with pytest.raises(NoSuchPage, match="outside the run's output folder"):
        _ = other.plan
