"""Encryption as a deployment has it: a cluster and a job that authenticate and encrypt by AES/GCM."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PROJECT, photograph
from tests.test_cluster import Cluster, _wait, environment

__all__ = ["environment"]
pytestmark = [pytest.mark.e2e, pytest.mark.faults]

DEPLOYED = dict(
    re.findall(r"^(spark\.\S+) +(\S+)$", (PROJECT / "deploy" / "spark.properties").read_text(), re.MULTILINE)
)
OF_NETWORK = {name: value for name, value in DEPLOYED.items() if re.match(r"spark\.(authenticate|network)", name)}


def _properties(path: Path, **changes: str) -> Path:
    properties = OF_NETWORK | {"spark.authenticate.secret": "a secret"} | changes
    path.write_text("".join(f"{name} {value}\n" for name, value in properties.items()))
    return path


@pytest.fixture
def cluster(tmp_path: Path, environment: dict[str, str]) -> Iterator[Cluster]:
    properties = _properties(tmp_path / "spark.properties")
    running = Cluster(tmp_path, environment, properties=properties, size=1)
    yield running
    running.stop()


def _submit(cluster: Cluster, properties: Path, image: Path) -> "subprocess.Popen[str]":
    command = ["spark-submit", "--master", cluster.master, "--properties-file", str(properties)]
    command += ["--conf", "spark.ui.enabled=false", str(PROJECT / "spark_apps" / "compress_image.py")]
    command += [f"--image={image}", "--k=4", f"--output={image.parent}/o.png", f"--result={image.parent}/r.json"]
    return subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_job_runs_encrypted_by_gcm_and_a_driver_of_another_cipher_is_not_understood(
    cluster: Cluster, tmp_path: Path
) -> None:
    assert OF_NETWORK["spark.network.crypto.enabled"] == "true"
    assert OF_NETWORK["spark.network.crypto.cipher"] == "AES/GCM/NoPadding"
    image = tmp_path / "a.png"
    Image.fromarray(photograph()).save(image)
    job = _submit(cluster, tmp_path / "spark.properties", image)
    printed, _ = job.communicate(timeout=300)
    assert job.returncode == 0, printed
    assert Image.open(tmp_path / "o.png").mode == "P"

    changes = {"spark.network.crypto.cipher": "AES/CTR/NoPadding"}
    before = cluster._found("master", "Exception in connection from")
    stranger = _submit(cluster, _properties(tmp_path / "ctr.properties", **changes), image)
    try:
        _wait(
            lambda: len(cluster._found("master", "Exception in connection from")) > len(before),
            "the master cannot read what the driver sends",
        )
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()
