"""Spark on Kubernetes, as far as it goes without a cluster: pods are processes, started as the image starts them.

The driver is Spark's own, which asks an API server for its executors; they begin with
``deploy/entrypoint.sh executor``.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import photograph
from tests.kubernetes.api_server import Cluster, served

pytestmark = [pytest.mark.e2e, pytest.mark.kubernetes]
PROJECT = Path(__file__).resolve().parents[2]
LIBRARY = str(PROJECT / "spark_apps" / "compress_corpus.py")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Cluster]]:
    """The address of an API server, and its cluster, whose nodes have this environment as the image does."""
    import pyspark

    monkeypatch.setenv("SPARK_HOME", str(Path(pyspark.__file__).parent))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    (tmp_path / "pods").mkdir()
    kept = Cluster(["sh", str(PROJECT / "deploy" / "entrypoint.sh")], tmp_path / "pods")
    with served(kept) as url:
        yield url, kept


def _command(master: str, application: str, *arguments: str, **more: str) -> list[str]:
    conf = {
        "spark.ui.enabled": "false",
        "spark.pyspark.python": sys.executable,
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "1g",
        "spark.executor.instances": "2",
        "spark.kubernetes.container.image": "image",
        "spark.kubernetes.namespace": "images",
        "spark.kubernetes.authenticate.oauthToken": "token",
        # Another pod is asked for at once where one is lost.
        "spark.kubernetes.executor.apiPollingInterval": "1s",
    }
    conf |= {name.replace("__", "."): value for name, value in more.items()}
    confs = [item for name, value in conf.items() for item in ("--conf", f"{name}={value}")]
    return ["spark-submit", "--master", master, *confs, application, *arguments]


def _outputs(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("compressed/**/k*.png")}


def _wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two dozen images: some seconds of work."""
    (tmp_path / "many").mkdir()
    for number in range(24):
        side = 200 + 8 * number
        Image.fromarray(photograph(side, side, seed=number)).save(tmp_path / "many" / f"{number}.png")
    return tmp_path / "many"


@pytest.fixture
def locally(photographs: Path, tmp_path: Path, bare_environment: dict[str, str]) -> dict[str, bytes]:
    """The outputs of the same library on this machine alone."""
    out = tmp_path / "local"
    command = _command("local[2]", LIBRARY, f"--images={photographs}", "--ks=3 9", f"--output={out}", "--run=run")
    subprocess.run(command, env=bare_environment, check=True, capture_output=True, timeout=600)
    return _outputs(out)


def test_a_library_is_compressed_by_executors_that_kubernetes_starts(
    cluster: tuple[str, Cluster], photographs: Path, tmp_path: Path, locally: dict[str, bytes]
) -> None:
    url, kept = cluster
    out = tmp_path / "out"
    arguments = (f"--images={photographs}", "--ks=3 9", f"--output={out}", "--run=run")
    run = subprocess.run(_command(f"k8s://{url}", LIBRARY, *arguments), capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert _outputs(out) == locally and len(locally) == 4
    asked = [request for request in kept.requests if request == "POST /api/v1/namespaces/images/pods"]
    assert len(asked) == 2
    assert kept.names("pods") == kept.names("configmaps") == []


def test_a_lost_executor_is_replaced_and_no_byte_changes(
    cluster: tuple[str, Cluster], many: Path, tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    url, kept = cluster
    arguments = [f"--images={many}", "--ks=3 9", "--run=run"]
    local = [*_command("local[2]", LIBRARY, *arguments), f"--output={tmp_path}/local"]
    subprocess.run(local, env=bare_environment, check=True, capture_output=True, timeout=600)
    command = [*_command(f"k8s://{url}", LIBRARY, *arguments), f"--output={tmp_path}/out"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    _wait_for(lambda: len(_outputs(tmp_path / "out")) >= 4)
    first = kept.names()[0]
    kept.kill(first)
    printed, _ = run.communicate(timeout=600)
    assert run.returncode == 0, printed
    asked = [request for request in kept.requests if request == "POST /api/v1/namespaces/images/pods"]
    assert len(asked) == 3, "the one that was lost was asked for again"
    assert _outputs(tmp_path / "out") == _outputs(tmp_path / "local")
    assert kept.names() == []


def test_no_pod_is_left_of_a_driver_that_is_killed(cluster: tuple[str, Cluster], many: Path, tmp_path: Path) -> None:
    """The driver is in a pod itself, as Airflow's tasks are, and names it: then the cluster removes what it owned."""
    url, kept = cluster
    more = {"spark__kubernetes__driver__pod__name": "worker"}
    arguments = [f"--images={many}", "--ks=3 9", f"--output={tmp_path}/out", "--run=run"]
    container = {"name": "base", "args": _command(f"k8s://{url}", LIBRARY, *arguments, **more)}
    pods = f"{url}/api/v1/namespaces/images/pods"
    pod = {"metadata": {"name": "worker"}, "spec": {"containers": [container]}}
    urllib.request.urlopen(urllib.request.Request(pods, json.dumps(pod).encode(), method="POST")).close()
    _wait_for(lambda: len(_outputs(tmp_path / "out")) >= 2)
    executors = [name for name in kept.names() if name != "worker"]
    assert len(executors) == 2
    kept.kill("worker")
    urllib.request.urlopen(urllib.request.Request(f"{pods}/worker", method="DELETE")).close()
    assert kept.names("pods") == kept.names("configmaps") == []
    _wait_for(lambda: all(kept.processes[name].returncode is not None for name in executors))
    # An executor that is killed while it writes may leave a temporary file, which a prune removes, but no half output.
    for path in tmp_path.joinpath("out").rglob("compressed/**/k*.png"):
        Image.open(path).load()
