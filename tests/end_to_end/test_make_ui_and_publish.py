"""`make ui` with its defaults, and `make run` that publishes, with real Airflow and real Spark."""

import os
import re
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from colorquant.publish.folder import verify
from colorquant.publish.manifest import MANIFEST, Manifest
from colorquant_airflow.checkout.home import free_port
from tests.conftest import photograph
from tests.end_to_end.checkout import PROJECT, VENV, completed, environment_of, instances, living, processes_of

pytestmark = pytest.mark.e2e


def test_make_ui_serves_the_dag_which_runs_when_triggered_with_its_defaults(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    port = free_port()
    environment = environment_of(home, bare_environment) | {
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
        assert {label for _, label, _ in instances(home, run_id)} == {
            f"{name} k={k}" for name in ("{{ ds }} cafe\u0301.png", "sub folder/it's.jpg") for k in (4, 16, 64, 256)
        }
        assert len(list((tmp_path / "out" / "runs").glob("*/plan.json"))) == 1
    finally:
        family = psutil.Process(ui.pid).children(recursive=True)
        os.killpg(ui.pid, signal.SIGINT)
        ui.wait(timeout=90)
    assert living(family) == []
    assert processes_of(home) == []


def test_the_file_worth_keeping_of_each_image_is_published_and_only_what_changed_is_computed(
    home: Path, library: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    """``KS=auto``, and a folder for a web server: after a change, an image that came and one that went."""
    images, site = tmp_path / "images", tmp_path / "site"
    shutil.copytree(library, images)

    def run(*more: str) -> str:
        arguments = ("auto", "TARGET=psnr=30", f"PUBLISH={site}", *more)
        made = completed(environment_of(home, bare_environment), images, tmp_path / "out", *arguments)
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
