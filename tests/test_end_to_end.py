"""The whole way, as a newcomer goes it: `make run` and `make ui`, with real Airflow and real Spark.

All tests share one Airflow home, as the runs of one checkout do, so what a test leaves must not trouble the next.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from colorquant.jobs.records import CompressionResult
from colorquant.publish.folder import verify
from colorquant.publish.manifest import MANIFEST, Manifest
from colorquant_airflow.checkout.home import free_port
from tests.conftest import photograph

pytestmark = pytest.mark.e2e
PROJECT = Path(__file__).resolve().parent.parent
VENV = Path(sys.executable).parent.parent


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home") / "airflow"
    yield folder
    for process in _processes_of(folder):
        process.kill()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, one with a name that a template engine would evaluate (its é is two characters), below a path with a
    space."""
    folder = tmp_path_factory.mktemp("a library")
    (folder / "sub folder").mkdir()
    Image.fromarray(photograph(60, 80, seed=1)).save(folder / "{{ ds }} cafe\u0301.png")
    Image.fromarray(photograph(50, 40, seed=2)).save(folder / "sub folder" / "it's.jpg", quality=90)
    return folder


def _environment(home: Path, bare_environment: dict[str, str]) -> dict[str, str]:
    return bare_environment | {"KMEANS_AIRFLOW_HOME": str(home), "HOME": str(home.parent)}


def _make_run(images: Path, output: Path, ks: str, *more: str) -> list[str]:
    return [
        "make",
        "--no-print-directory",
        "run",
        f"VENV={VENV}",
        f"IMAGES={images}",
        f"OUTPUT={output}",
        f"KS={ks}",
        *more,
    ]


def _run(environment: dict[str, str], *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = _make_run(*arguments)
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=600)


def _instances(home: Path, run_id: str | None = None) -> list[tuple[str, str, int]]:
    """State, label and number of tries of the mapped instances of a run, by default the last one."""
    with contextlib.closing(sqlite3.connect(home / "airflow.db")) as database:
        if run_id is None:
            (run_id,) = database.execute("select run_id from dag_run order by id desc limit 1").fetchone()
        return database.execute(
            "select state, rendered_map_index, try_number from task_instance"
            " where task_id = 'compress_image' and run_id = ? and map_index >= 0 order by map_index",
            [run_id],
        ).fetchall()


def _run_states(home: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(home / "airflow.db")) as database:
        return [state for (state,) in database.execute("select state from dag_run order by id")]


def _processes_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("AIRFLOW_HOME") == str(home):
                found.append(process)
    return found


def _living(processes: list[psutil.Process]) -> list[psutil.Process]:
    living = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living


def _report_of(stdout: str) -> Path:
    (page,) = re.findall(r"^Report: (.*)$", stdout, re.MULTILINE)
    return Path(page)


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
    environment = _environment(home, bare_environment) | {"LC_ALL": "C"}
    run = _run(environment, images, tmp_path / "out", "5 2", f"PUBLISH={tmp_path / 'site'}")
    assert run.returncode != 0, run.stdout + run.stderr
    assert run.stdout.endswith("Nothing is published: more jobs failed than max_failures allows.\n")
    assert not (tmp_path / "site").exists()
    lines = re.findall(r"^\[(\d)/6\] (.*)$", run.stdout, re.MULTILINE)
    assert [int(number) for number, _ in lines] == [1, 2, 3, 4, 5, 6], run.stdout + run.stderr
    assert sum("FAILED: " in line and "is not an image" in line for _, line in lines) == 2
    assert sum(bool(re.search(r"ratio \d+\.\d+  PSNR \d+\.\d+ dB  \d+\.\d s$", line)) for _, line in lines) == 4
    assert "INFO" not in run.stdout
    assert _instances(home) == [
        ("failed", "broken <b>.png k=2", 1),
        ("failed", "broken <b>.png k=5", 1),
        ("success", "it's.jpg k=2", 1),
        ("success", "it's.jpg k=5", 1),
        ("success", "{{ ds }} cafe\u0301.png k=2", 1),
        ("success", "{{ ds }} cafe\u0301.png k=5", 1),
    ]
    page = _report_of(run.stdout)
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
    assert _processes_of(home) == []

    again = _run(_environment(home, bare_environment), images, tmp_path / "out", "5 2", "MAX_FAILURES=2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "6 jobs, 4 done already and unchanged" in again.stdout
    assert [state for state, _, _ in _instances(home)] == ["failed", "failed"]
    assert _report_of(again.stdout).parent != page.parent


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


def test_a_killed_run_is_finished_by_the_next_and_nothing_is_done_twice(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    environment = _environment(home, bare_environment)
    first = subprocess.Popen(
        _make_run(library, tmp_path / "out", "3 6 9"),
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
    assert _processes_of(home), "Airflow, which has a session of its own, was to outlive its killed parent"
    done = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("k00*.json")}
    assert 1 <= len(done) < 6

    second = _run(environment, library, tmp_path / "out", "3 6 9")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "was interrupted" in second.stdout
    # By process ids: a process may hide its environment, by which the others are found.
    assert _living(family) == []
    # Airflow lived on for a moment, so a job more may have ended than was seen above.
    (reused,) = re.findall(r"6 jobs, (\d) done already and unchanged", second.stdout)
    assert len(done) <= int(reused) < 6
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in done} == done
    assert len(_instances(home)) == 6 - int(reused)
    assert len(list((tmp_path / "out" / "compressed").rglob("k00*.png"))) == 6
    assert list(tmp_path.rglob(".tmp-*")) == []
    assert _run_states(home)[-2:] == ["failed", "success"]

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "compressed").rglob("*")}
    third = _run(environment, library, tmp_path / "out", "3 6 9")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "no Spark application is launched" in third.stdout
    assert _instances(home) == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "compressed").rglob("*")} == before
    assert _report_of(third.stdout).exists()


def test_make_ui_serves_the_dag_which_runs_when_triggered_with_its_defaults(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    port = free_port()
    environment = _environment(home, bare_environment) | {
        "COMPRESSION_IMAGES": str(library),
        "COMPRESSION_OUTPUT": str(tmp_path / "out"),
        # Half a day away: started by day, Airflow must not run what would have run last night.
        "COMPRESSION_SCHEDULE": f"0 {(datetime.now(UTC).hour + 12) % 24} * * *",
    }
    ui = subprocess.Popen(
        ["make", "--no-print-directory", "ui", f"VENV={VENV}", f"PORT={port}"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert ui.stdout is not None
        printed = ""
        for line in ui.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        (password,) = re.findall(r"password +(\S+)", printed)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            assert "<html" in client.get("/").text
            assert client.get("/api/v2/dags").status_code == 401
            token = client.post("/auth/token", json={"username": "admin", "password": password}).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            runs = "/api/v2/dags/kmeans_image_compression/dagRuns"
            refused = client.post(runs, json={"logical_date": None, "conf": {"seed": -1}})
            assert refused.status_code == 400, refused.text
            triggered = client.post(runs, json={"logical_date": None, "conf": {}})
            assert triggered.status_code == 200, triggered.text
            run_id = triggered.json()["dag_run_id"]
            deadline = time.monotonic() + 300
            state = "queued"
            while state in ("queued", "running") and time.monotonic() < deadline:
                time.sleep(1)
                state = client.get(f"{runs}/{httpx.URL(run_id)}").json()["state"]
        assert state == "success"
        assert {label for _, label, _ in _instances(home, run_id)} == {
            f"{name} k={k}" for name in ("{{ ds }} cafe\u0301.png", "sub folder/it's.jpg") for k in (4, 16, 64, 256)
        }
        assert len(list((tmp_path / "out" / "runs").glob("*/plan.json"))) == 1
    finally:
        family = psutil.Process(ui.pid).children(recursive=True)
        os.killpg(ui.pid, signal.SIGINT)
        ui.wait(timeout=90)
    assert _living(family) == []
    assert _processes_of(home) == []


def test_wrong_arguments_are_refused_before_anything_is_started(
    home: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    environment = _environment(home, bare_environment)
    wrong_k = _run(environment, tmp_path, tmp_path / "out", "4 none")
    assert (wrong_k.returncode, "k = 'none' is not a palette size" in wrong_k.stderr) == (2, True), wrong_k.stderr
    wrong_folder = _run(environment, tmp_path / "missing", tmp_path / "out", "4")
    assert (wrong_folder.returncode, "is not a folder" in wrong_folder.stderr) == (2, True), wrong_folder.stderr
    assert "Starting" not in wrong_k.stdout + wrong_folder.stdout


def test_the_file_worth_keeping_of_each_image_is_published_and_only_what_changed_is_computed(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """``KS=auto``, and a folder for a web server: after a change, an image that came and one that went."""
    images, site = tmp_path / "images", tmp_path / "site"
    shutil.copytree(library, images)

    def run(*more: str) -> str:
        arguments = ("auto", "TARGET=psnr=30", f"PUBLISH={site}", *more)
        made = _run(_environment(home, bare_environment), images, tmp_path / "out", *arguments)
        assert made.returncode == 0, made.stdout + made.stderr
        assert verify(site) == []
        manifest = Manifest.read(site / MANIFEST)
        assert made.stdout.endswith(f"Published: {len(manifest.files)} files in {site}\n")
        for file in manifest.files:
            original, published = images / file.image, site / file.path
            if file.k is None:
                assert published.read_bytes() == original.read_bytes()
                continue
            assert published.stat().st_size < original.stat().st_size
            before, after = (np.asarray(Image.open(path).convert("RGB"), float) for path in (original, published))
            assert 10 * np.log10(255**2 / ((before - after) ** 2).mean()) >= 30
        return made.stdout

    assert "2 images x the smallest file for psnr=30.0 = 2 jobs, 0 done already" in run()
    assert {file.image for file in Manifest.read(site / MANIFEST).files} == {
        "{{ ds }} cafe\u0301.png",
        "sub folder/it's.jpg",
    }

    (images / "sub folder" / "it's.jpg").unlink()
    Image.fromarray(photograph(60, 80, seed=3)).save(images / "{{ ds }} cafe\u0301.png")
    Image.fromarray(photograph(30, 40, seed=4)).save(images / "new.png")
    # One of two published images goes, more than a fifth.
    assert "2 images x the smallest file for psnr=30.0 = 2 jobs, 0 done already" in run("PUBLISH_ANYWAY=1")
    assert {file.path for file in Manifest.read(site / MANIFEST).files} == {"{{ ds }} cafe\u0301.png", "new.png"}
    assert "no Spark application is launched" in run()
