"""What the summary says of each planned job, and the totals over them."""

import csv
import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from PIL import Image

from colorquant.errors import InvalidRecord
from colorquant.jobs.records import CompressionResult, NeededBytes
from colorquant.report import Summary, read_summary, summarize_run
from colorquant.report.rows import NO_RESULT
from colorquant.settings import Settings


def rewrite(path: str, **changes: object) -> None:
    """Change fields of a record, whatever that makes of it."""
    content = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps(content | changes))


def test_a_row_has_the_figures_of_the_record(library) -> None:
    library.add("folder/a.png")
    plan = library.run((2, 8))
    summary = Summary.of(plan, library.folder())
    assert [(row.image, row.k, row.state, row.reason) for row in summary.rows] == [
        ("folder/a.png", 2, "done", None),
        ("folder/a.png", 8, "done", None),
    ]
    for job, row in zip(plan.jobs, summary.rows, strict=True):
        result = CompressionResult.read(job.result)
        shared = {field.name for field in dataclasses.fields(row)} & {
            field.name for field in dataclasses.fields(result)
        } - {"image", "output", "seconds", "schema_version"}
        assert len(shared) >= 15
        assert all(getattr(row, name) == getattr(result, name) for name in shared)
        assert row.seconds == result.seconds["total"]
        assert (library.folder() / row.output).resolve() == Path(job.output).resolve()


def test_a_row_has_what_the_run_asked_to_compare(library) -> None:
    library.add("a.png")
    plan = library.run((2, 8))
    for job, size in zip(plan.jobs, (700, 900), strict=True):
        record = CompressionResult.read(job.result)
        needed = NeededBytes(bytes=size, quality=50, ssimulacra2=20.5)
        dataclasses.replace(record, comparison={"webp": None, "avif": needed, "jxl": needed}).write(job.result)
    asked = Settings(compare=("webp", "avif"))
    jobs = tuple(dataclasses.replace(job, settings=asked) for job in plan.jobs)
    summary = summarize_run(dataclasses.replace(plan, jobs=jobs, settings=asked), library.folder())
    assert [(row.webp_bytes, row.avif_bytes, row.jxl_bytes) for row in summary.rows] == [
        (None, 700, None),
        (None, 900, None),
    ]
    assert summary.settings["compare"] == ["webp", "avif"]
    assert read_summary(library.folder() / "summary.json") == summary
    with open(library.folder() / "summary.csv", newline="") as stream:
        assert [line["avif_bytes"] for line in csv.DictReader(stream)] == ["700", "900"]
    page = (library.folder() / "summary.html").read_text()
    assert "\nAVIF 700 B at the same quality\n" in page and "JPEG XL" not in page and "compare webp, avif" in page

    plain = summarize_run(plan, library.folder())
    assert {row.avif_bytes for row in plain.rows} == {None} and plain.settings["compare"] == []
    assert "at the same quality" not in (library.folder() / "summary.html").read_text()


def test_outputs_of_low_quality_that_a_target_allows_are_counted(library) -> None:
    library.add("a.png")
    library.add("b.png")
    plan = library.run((2,), target="psnr=1")
    for job, value in zip(plan.jobs, (49.9, 50.0), strict=True):
        dataclasses.replace(CompressionResult.read(job.result), ssimulacra2=value).write(job.result)
    chosen = summarize_run(plan, library.folder()).totals.chosen
    assert chosen is not None and (chosen.images, chosen.originals_kept, chosen.low_quality) == (2, 0, 1)
    assert (
        '; <span class="bad">1 of low quality, SSIMULACRA2 below 50</span></small>'
        in (library.folder() / "summary.html").read_text()
    )


def test_a_result_that_was_there_before_the_run_is_reused(library) -> None:
    library.add("a.png")
    library.run((2, 8))
    plan = library.plan((2, 4, 8))
    library.compress(plan.jobs[1])
    summary = Summary.of(plan, library.folder())
    assert [row.state for row in summary.rows] == ["reused", "done", "reused"]
    assert (summary.totals.done, summary.totals.reused, summary.totals.failed) == (1, 2, 0)
    assert summary.totals.seconds == 1.5  # what the reused ones took is not this run's


def test_each_kind_of_missing_result_has_its_reason(library) -> None:
    library.add("a.png")
    plan = library.run((2, 3, 4, 5, 6, 7, 8, 9))
    failed, silent, gone, changed, unreadable, other_schema, nonsense, folder = plan.jobs
    for job in (failed, silent):
        Path(job.result).unlink()
    library.fail(failed, "it is no image")
    Path(gone.output).unlink()
    with open(changed.output, "ab") as stream:
        stream.write(b"x")
    Path(unreadable.result).write_text("{")
    rewrite(other_schema.result, schema_version=99)
    rewrite(nonsense.result, ssim=math.nan)
    Path(folder.result).unlink()
    Path(folder.result).mkdir()
    rows = Summary.of(plan, library.folder()).rows
    assert {row.state for row in rows} == {"failed"}
    assert rows[0].reason == "it is no image"
    assert rows[1].reason == NO_RESULT
    for row, expected in zip(
        rows[2:], ("missing", "changed", "not JSON", "99", "ssim is nan", "directory"), strict=True
    ):
        assert expected in row.reason
    assert all(row.compression_ratio is None and row.output is None for row in rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"k": 3},
        {"seed": 1},
        {"settings": {"algorithm_version": 0}},
        {"image_sha256": "0"},
        {"width": 0},
        {"width": 1.5},
        {"width": "64"},
        {"compressed_bytes": 0},
        {"compression_ratio": math.inf},
        {"mse": True},
        {"psnr_db": None},
        {"psnr_db": "30"},
        {"lossless": None},
        {"colors_used": None},
    ],
    ids=str,
)
def test_a_record_of_another_job_or_with_no_figures_is_a_failure(library, changes) -> None:
    library.add("a.png")
    plan = library.run((2,))
    rewrite(plan.jobs[0].result, **changes)
    (row,) = Summary.of(plan, library.folder()).rows
    assert row.failed
    assert next(iter(changes)) in row.reason


def test_a_record_without_spark_is_a_row_without_its_version(library) -> None:
    library.add("a.png")
    plan = library.run((2, 3))
    rewrite(plan.jobs[0].result, spark={})
    rewrite(plan.jobs[1].result, spark={"version": 4})
    rows = Summary.of(plan, library.folder()).rows
    assert [(row.state, row.spark_version) for row in rows] == [("done", None)] * 2


def test_totals_compare_bytes_of_the_same_images(library, picture) -> None:
    library.add("a.png")
    library.add("b.png", picture(80, 40, seed=3))
    library.add_bytes("c.png", b"no image")
    plan = library.plan((2, 8))
    results = {}
    for job in plan.jobs:
        if job.name == "c.png" or job.label == "b.png k=8":
            library.fail(job, "no")
        else:
            results[job.label] = library.compress(job)
    totals = Summary.of(plan, library.folder()).totals
    a2, a8, b2 = results["a.png k=2"], results["a.png k=8"], results["b.png k=2"]
    assert (totals.jobs, totals.done, totals.failed) == (6, 3, 3)
    assert (totals.images, totals.images_compressed) == (3, 2)
    assert totals.original_bytes == a2.original_bytes + b2.original_bytes
    assert totals.smallest_bytes == min(a2.compressed_bytes, a8.compressed_bytes) + b2.compressed_bytes
    at2, at8 = totals.by_k
    assert (at2.k, at2.images, at2.failed, at8.k, at8.images, at8.failed) == (2, 2, 1, 8, 1, 2)
    assert at2.compression_ratio == totals.original_bytes / (a2.compressed_bytes + b2.compressed_bytes)
    assert at8.compression_ratio == a8.compression_ratio
    assert at2.median_psnr_db == median([a2.psnr_db, b2.psnr_db])
    assert at2.median_ssim == median([a2.ssim, b2.ssim])


def test_the_median_of_lossless_outputs_is_none_and_one_of_three_does_not_matter(library) -> None:
    library.add("flat.png", Image.new("RGB", (8, 8), "red"))
    library.add("x.png")
    plan = library.run((4,))
    (part,) = Summary.of(plan, library.folder()).totals.by_k
    assert (part.lossless, part.median_psnr_db) == (1, None)
    library.add("y.png")
    plan = library.run((4,))
    summary = Summary.of(plan, library.folder())
    finite = [row.psnr_db for row in summary.rows if row.psnr_db is not None]
    assert summary.totals.by_k[0].median_psnr_db == max(finite)


def test_json_reads_back_as_the_same_summary(library, tmp_path) -> None:
    library.add("a.png")
    library.add(b"caf\xe9 \xff.png")
    library.add_bytes("notes.txt", b"")
    plan = library.run()
    library.fail(plan.jobs[0], "x")
    Path(plan.jobs[0].result).unlink()
    summary = Summary.of(plan, library.folder())
    path = tmp_path / "summary.json"
    path.write_bytes(summary.as_json().encode("ascii"))
    assert read_summary(path) == summary
    assert summary.ignored == ("caf\udce9 \udcff.png", "notes.txt")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    json.loads(path.read_bytes(), parse_constant=refuse)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 3}', '{"schema_version": 1}', "\udcff"])
def test_what_is_no_summary_is_refused_with_its_name(tmp_path, text) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidRecord, match="summary.json"):
        read_summary(path)


def test_reading_a_summary_needs_the_standard_library_only() -> None:
    """``make run`` prints the table of a summary; it should not wait for Matplotlib to load."""
    code = """
import sys
import colorquant.report
heavy = {"numpy", "PIL", "matplotlib", "jinja2", "pyspark", "airflow"} & sys.modules.keys()
assert not heavy, heavy
"""
    package = str(Path(__file__).parents[3] / "spark_apps")
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": package})


def test_the_report_needs_neither_spark_nor_airflow() -> None:
    code = """
import sys
from colorquant.report import summarize_run
import matplotlib
heavy = {"pyspark", "airflow", "matplotlib.pyplot", "cv2"} & sys.modules.keys()
assert not heavy, heavy
"""
    package = str(Path(__file__).parents[3] / "spark_apps")
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": package})


def test_an_output_of_another_format_than_planned_is_found_by_its_record(library) -> None:
    """An image that is read by regions is written as a TIFF beside the name that the plan had."""
    library.add("a.png")
    plan = library.run((4,))
    (job,) = plan.jobs
    result = CompressionResult.read(job.result)
    Path(job.output).rename(Path(job.output).with_suffix(".tif"))
    dataclasses.replace(result, output=str(Path(job.output).with_suffix(".tif"))).write(job.result)
    (row,) = Summary.of(plan, library.folder()).rows
    assert row.state == "done"
    assert row.output is not None and (library.folder() / row.output).resolve().suffix == ".tif"
