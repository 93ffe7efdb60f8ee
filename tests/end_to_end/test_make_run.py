"""The whole way, as a newcomer goes it: `make run` with real Airflow and real Spark."""

import csv
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from colorquant.jobs import SharedPalette
from colorquant.jobs.records import CompressionResult
from tests.end_to_end.checkout import (
    PROJECT,
    completed,
    environment_of,
    instances,
    living,
    make_run,
    processes_of,
    report_of,
    run_states,
    state_of,
)

pytestmark = pytest.mark.e2e


def test_make_run_compresses_what_it_can_and_names_what_it_cannot(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """One file is no image: its jobs fail once, all others succeed, the report names it, and the run has failed."""
    images = tmp_path / "images"
    images.mkdir()
    for path in library.rglob("*.*"):
        (images / path.name).write_bytes(path.read_bytes())
    (images / "broken <b>.png").write_text("no image")
    # In the POSIX locale a JVM makes question marks of what is not ASCII.
    environment = environment_of(home, bare_environment) | {"LC_ALL": "C"}
    run = completed(environment, images, tmp_path / "out", "5 2", f"PUBLISH={tmp_path / 'site'}")
    assert run.returncode != 0, run.stdout + run.stderr
    assert run.stdout.endswith("Nothing is published: more jobs failed than max_failures allows.\n")
    assert not (tmp_path / "site").exists()
    lines = re.findall(r"^\[(\d)/6\] (.*)$", run.stdout, re.MULTILINE)
    assert [int(number) for number, _ in lines] == [1, 2, 3, 4, 5, 6], run.stdout + run.stderr
    assert sum("FAILED: " in line and "is not an image" in line for _, line in lines) == 2
    assert sum(bool(re.search(r"ratio \d+\.\d+  PSNR \d+\.\d+ dB  \d+\.\d s$", line)) for _, line in lines) == 4
    assert "INFO" not in run.stdout
    assert instances(home) == [
        ("failed", "broken <b>.png k=2", 1),
        ("failed", "broken <b>.png k=5", 1),
        ("success", "it's.jpg k=2", 1),
        ("success", "it's.jpg k=5", 1),
        ("success", "{{ ds }} cafe\u0301.png k=2", 1),
        ("success", "{{ ds }} cafe\u0301.png k=5", 1),
    ]
    assert state_of(home, "find_palettes") == "skipped"
    page = report_of(run.stdout)
    assert "broken &lt;b&gt;.png" in page.read_text()
    assert "broken <b>.png" not in page.read_text()
    with open(page.with_name("summary.csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted((row["image"], row["k"]) for row in rows if "is not an image" in row["reason"]) == [
        ("broken <b>.png", "2"),
        ("broken <b>.png", "5"),
    ]
    _check_outputs(json.loads(page.with_name("summary.json").read_text()), tmp_path / "out", images, expected=4)
    # Nobody else gets at Airflow's password, and everybody at what the run made.
    assert home.stat().st_mode & 0o777 == 0o700
    usual = {path.stat().st_mode & 0o055 for path in (images, images / "broken <b>.png")}
    assert {path.stat().st_mode & 0o055 for path in (tmp_path / "out").rglob("*")} == usual
    assert processes_of(home) == []

    again = completed(environment_of(home, bare_environment), images, tmp_path / "out", "5 2", "MAX_FAILURES=2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "6 jobs, 4 done already and unchanged" in again.stdout
    assert [state for state, _, _ in instances(home)] == ["failed", "failed"]
    assert report_of(again.stdout).parent != page.parent


def _check_outputs(summary: dict[str, Any], output: Path, images: Path, expected: int) -> None:
    """Each output is an indexed PNG with at most k colors and the figures of its record, computed here anew."""
    records = [CompressionResult.read(path) for path in (output / "compressed").rglob("k0*.json")]
    assert len(records) == expected
    for record in records:
        with Image.open(record.output) as compressed, Image.open(record.image) as original:
            assert compressed.mode == "P"
            decoded = np.asarray(compressed.convert("RGB")).astype(int)
            reference = np.asarray(original.convert("RGB")).astype(int)
        assert decoded.shape == reference.shape
        assert len(np.unique(decoded.reshape(-1, 3), axis=0)) <= record.k
        mse = ((decoded - reference) ** 2).sum(axis=2).mean()
        assert record.mse == pytest.approx(mse, rel=1e-9)
        assert record.compression_ratio == pytest.approx(
            os.path.getsize(record.image) / os.path.getsize(record.output), rel=1e-9
        )
        (row,) = [row for row in summary["rows"] if row["k"] == record.k and record.image.endswith(row["image"])]
        assert row["mse"] == record.mse


@pytest.mark.faults
def test_a_killed_run_is_finished_by_the_next_and_nothing_is_done_twice(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    environment = environment_of(home, bare_environment)
    first = subprocess.Popen(
        make_run(library, tmp_path / "out", "3 6 9"),
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert first.stdout is not None
    for line in first.stdout:
        if line.startswith("[1/6]"):
            break
    family = psutil.Process(first.pid).children(recursive=True)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert processes_of(home), "Airflow, which has a session of its own, was to outlive its killed parent"
    done = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("k00*.json")}
    assert 1 <= len(done) < 6

    second = completed(environment, library, tmp_path / "out", "3 6 9")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "was interrupted" in second.stdout
    # By process ids: a process may hide its environment, by which the others are found.
    assert living(family) == []
    # Airflow lived on for a moment, so a job more may have ended than was seen above.
    (reused,) = re.findall(r"6 jobs, (\d) done already and unchanged", second.stdout)
    assert len(done) <= int(reused) < 6
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in done} == done
    assert len(instances(home)) == 6 - int(reused)
    assert len(list((tmp_path / "out" / "compressed").rglob("k00*.png"))) == 6
    assert list(tmp_path.rglob(".tmp-*")) == []
    assert run_states(home)[-2:] == ["failed", "success"]

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "compressed").rglob("*")}
    third = completed(environment, library, tmp_path / "out", "3 6 9")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "no Spark application is launched" in third.stdout
    assert instances(home) == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "compressed").rglob("*")} == before
    assert report_of(third.stdout).exists()


def test_wrong_arguments_are_refused_before_anything_is_started(
    home: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    environment = environment_of(home, bare_environment)
    wrong_k = completed(environment, tmp_path, tmp_path / "out", "4 none")
    assert (wrong_k.returncode, "k = 'none' is not a palette size" in wrong_k.stderr) == (2, True), wrong_k.stderr
    wrong_folder = completed(environment, tmp_path / "missing", tmp_path / "out", "4")
    assert (wrong_folder.returncode, "is not a folder" in wrong_folder.stderr) == (2, True), wrong_folder.stderr
    assert "Starting" not in wrong_k.stdout + wrong_folder.stdout


def test_a_palette_in_common_is_found_between_the_plan_and_the_jobs(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    run = completed(environment_of(home, bare_environment), library, tmp_path / "out", "5", "SETTINGS=palette=library")
    assert run.returncode == 0, run.stdout + run.stderr
    assert state_of(home, "find_palettes") == "success"
    (record,) = (tmp_path / "out" / "palettes").glob("*/k005.json")
    palette = SharedPalette.read(record)
    assert palette.images == 2 and f"Palette of 2 images: {record.with_suffix('.png')}" in run.stdout
    for path in (tmp_path / "out" / "compressed").rglob("k005.png"):
        shown = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
        assert set(map(tuple, shown.tolist())) <= {color[:3] for color in palette.entries}
