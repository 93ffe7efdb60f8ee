"""Spark on Kubernetes with the manifests, the Helm values and the image of this project: pods are containers.

They reach each other, an API server with TLS and the rights of the Role, and an S3 server. They share no folder.
"""

import json
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import photograph
from tests.kubernetes.api_server import served
from tests.kubernetes.deployment import Object, driver_pod, manifest, values
from tests.kubernetes.docker_pods import DockerCluster, docker, make_certificate, make_network
from tests.object_store import SECRET, serving

pytestmark = [pytest.mark.e2e, pytest.mark.kubernetes]
PROJECT = Path(__file__).resolve().parents[2]
IMAGE = "kmeans-image-compression:test-kubernetes"
# As the operators submit: the settings of the deployment, and its file of Spark properties.
SUBMIT = """
import os, sys
sys.path.insert(0, "spark_apps")
from colorquant_airflow.operators import CORPUS_CONF, PROPERTIES_FILE, SPARK_CONF
conf = CORPUS_CONF if "corpus" in sys.argv[2] else SPARK_CONF
options = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
command = ["spark-submit", "--master", sys.argv[1], "--properties-file", PROPERTIES_FILE, *options, *sys.argv[2:]]
os.execvp("spark-submit", command)
"""


@dataclass
class Deployment:
    """A cluster with a store, and how to start drivers in it."""

    url: str
    cluster: DockerCluster
    store: str

    def start(self, name: str, spark: dict[str, str], *arguments: str) -> None:
        """Start the pod of a task that submits an application, as the chart makes it of the values."""
        pod: Object = driver_pod("kubernetes")
        pod["metadata"]["name"] = name
        container = pod["spec"]["containers"][0]
        given = container["image"]
        container["image"] = IMAGE
        container["args"] = ["python", "-c", SUBMIT, f"k8s://{self.url}", *arguments]
        for variable in container["env"]:
            if variable["name"] == "COMPRESSION_SPARK_CONF":
                conf = json.loads(variable["value"].replace(given, IMAGE)) | spark
                variable["value"] = json.dumps(conf)
        container["env"] += [{"name": key, "value": value} for key, value in self.credentials().items()]
        self.send("POST", self.pods, pod)

    def credentials(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "user",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.store,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def pods(self) -> str:
        return f"{self.url}/api/v1/namespaces/images/pods"

    def send(self, method: str, url: str, body: Object | None = None) -> None:
        tls = ssl.create_default_context(cadata=self.cluster.certificate)
        request = urllib.request.Request(url, json.dumps(body).encode() if body else None, method=method)
        urllib.request.urlopen(request, context=tls, timeout=60).close()

    def phase(self, name: str) -> str:
        pod = self.cluster.objects.get(("pods", name))
        return pod["status"]["phase"] if pod else "gone"

    def wait_for_end(self, name: str) -> None:
        """Wait for a driver that ends well, with its log otherwise."""
        wait_for(lambda: self.phase(name) in ("Succeeded", "Failed"), 900)
        assert self.phase(name) == "Succeeded", self.cluster.log(name)[-8000:]

    def outputs(self, prefix: str) -> dict[str, bytes]:
        """The compressed images below a prefix of the bucket ``results``."""
        import boto3

        bucket = boto3.resource("s3").Bucket("results")
        return {
            one.key.removeprefix(prefix): one.get()["Body"].read()
            for one in bucket.objects.filter(Prefix=prefix)
            if one.key.endswith(".png") and "/.tmp-" not in one.key
        }

    def executors(self, *drivers: str) -> list[str]:
        return [name for name in self.cluster.names() if name not in drivers]

    def asked(self) -> int:
        """How many pods were asked for."""
        return self.cluster.requests.count("POST /api/v1/namespaces/images/pods")


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def image() -> None:
    """The image of this checkout. Docker builds again what has changed."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        pytest.skip("no Docker engine answers")
    build = ["docker", "build", "--quiet", f"--tag={IMAGE}", str(PROJECT)]
    subprocess.run(build, check=True, timeout=3600)


@pytest.fixture(scope="module")
def deployment(image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    import boto3

    folder = tmp_path_factory.mktemp("pods")
    network = f"kmeans-test-{secrets.token_hex(4)}"
    subnet, gateway = make_network(network)
    certificate, key = make_certificate(folder, gateway)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    needed = [one["secretName"] for one in values("kubernetes")["secret"]]
    cluster = DockerCluster(
        [],
        folder,
        network=network,
        subnet=subnet,
        certificate=certificate.read_text(),
        token=secrets.token_hex(16),
        rules=manifest("Role", "spark-driver")["rules"],
        secrets={name: {"connection": ""} for name in needed} | {"spark-secret": {"secret": secrets.token_hex(32)}},
    )
    patch = pytest.MonkeyPatch()
    try:
        with serving(host=gateway) as store, served(cluster, gateway, tls) as url:
            made = Deployment(url, cluster, f"http://{store}")
            for name, value in made.credentials().items():
                patch.setenv(name, value)
            client = boto3.client("s3")
            for bucket in ("library", "results"):
                client.create_bucket(Bucket=bucket)
            for number in range(16):
                side = 200 + 8 * number
                path = folder / "image.png"
                Image.fromarray(photograph(side, side, seed=number)).save(path)
                client.upload_file(str(path), "library", f"photos/{number}.png")
            Image.fromarray(photograph(1600, 1600, seed=99)).save(path)
            client.upload_file(str(path), "library", "large/photo.png")
            yield made
    finally:
        patch.undo()
        cluster.end()
        docker("network", "rm", network)


SMALL = {"spark.executor.cores": "1", "spark.executor.memory": "1g", "spark.executor.memoryOverhead": "3g"}
LARGE = ("spark_apps/compress_image.py", "--image=s3://library/large/photo.png", "--k=16")
LIBRARY = ("spark_apps/compress_corpus.py", "--images=s3://library/photos", "--ks=3 9", "--run=run")


def _locally(environment: dict[str, str], *arguments: str) -> None:
    """Run an application in local mode, on this machine, with the same store."""
    command = ["spark-submit", "--master", "local[2]", "--conf", "spark.ui.enabled=false", *arguments]
    subprocess.run(command, env=environment, cwd=PROJECT, check=True, capture_output=True, timeout=900)


def test_the_image_has_what_the_charts_probes_and_executors_call(image: None) -> None:
    imports = "import airflow.providers.celery.executors.celery_executor as c, airflow.providers.cncf.kubernetes as k"
    docker("run", "--rm", "--read-only", "--entrypoint=/entrypoint", IMAGE, "python", "-m", "celery", "--version")
    docker("run", "--rm", "--entrypoint=/entrypoint", IMAGE, "python", "-c", imports)


def test_one_image_is_compressed_by_two_executors(deployment: Deployment, bare_environment: dict[str, str]) -> None:
    where = ("--output=s3://results/one/photo.png", "--result=s3://results/one/photo.json")
    before = deployment.asked()
    fixed = SMALL | {"spark.dynamicAllocation.enabled": "false", "spark.executor.instances": "2"}
    deployment.start("task-1", fixed, *LARGE, *where)
    deployment.wait_for_end("task-1")
    assert deployment.asked() - before == 3, "the driver's, and two of executors"
    wait_for(lambda: deployment.cluster.containers("--all") == [], 60)
    assert deployment.executors("task-1") == deployment.cluster.names("configmaps") == []
    deployment.send("DELETE", f"{deployment.pods}/task-1")
    local = [argument.replace("/one/", "/local/") for argument in where]
    _locally(bare_environment | deployment.credentials(), *LARGE, *local)
    assert deployment.outputs("one/") == deployment.outputs("local/")
    assert deployment.outputs("one/").keys() == {"photo.png"}


def test_a_library_outlives_an_executor_and_no_byte_changes(
    deployment: Deployment, bare_environment: dict[str, str]
) -> None:
    """It begins with one executor; dynamic allocation asks for the other, and for one in place of the lost one."""
    before = deployment.asked()
    dynamic = SMALL | {"spark.executor.instances": "1", "spark.dynamicAllocation.maxExecutors": "2"}
    dynamic |= {"spark.kubernetes.executor.apiPollingInterval": "1s"}
    deployment.start("task-2", dynamic, *LIBRARY, "--output=s3://results/library")
    wait_for(lambda: len(deployment.outputs("library/")) >= 4 or deployment.phase("task-2") == "Failed", 600)
    wait_for(lambda: deployment.asked() - before == 3 or deployment.phase("task-2") == "Failed", 60)
    assert deployment.phase("task-2") == "Running", deployment.cluster.log("task-2")[-8000:]
    deployment.cluster.kill(next(name for name in deployment.cluster.containers() if name != "task-2"))
    deployment.wait_for_end("task-2")
    assert deployment.asked() - before == 4
    wait_for(lambda: deployment.cluster.containers("--all") == [], 60)
    assert deployment.executors("task-2") == deployment.cluster.names("configmaps") == []
    deployment.send("DELETE", f"{deployment.pods}/task-2")
    _locally(bare_environment | deployment.credentials(), *LIBRARY, "--output=s3://results/local-library")
    assert deployment.outputs("library/") == deployment.outputs("local-library/")
    assert len(deployment.outputs("library/")) == 32


def test_no_pod_is_left_of_a_driver_that_is_killed(deployment: Deployment) -> None:
    """Executors that have lost their driver end; and with its pod, Kubernetes removes theirs."""
    fixed = SMALL | {"spark.dynamicAllocation.enabled": "false", "spark.executor.instances": "2"}
    deployment.start("task-3", fixed, *LIBRARY, "--output=s3://results/killed")
    wait_for(lambda: len(deployment.outputs("killed/")) >= 2 or deployment.phase("task-3") == "Failed", 600)
    assert len(deployment.executors("task-3")) == 2, deployment.cluster.log("task-3")[-8000:]
    deployment.cluster.kill("task-3")
    wait_for(lambda: deployment.cluster.containers("--all") == [], 300)
    assert len(deployment.executors("task-3")) == 2, "pods that have ended"
    deployment.send("DELETE", f"{deployment.pods}/task-3")
    assert deployment.cluster.names("pods") == deployment.cluster.names("configmaps") == []


def test_the_role_has_the_rights_that_spark_uses_and_no_others(deployment: Deployment) -> None:
    """Of all that the tests before have asked."""
    rules = manifest("Role", "spark-driver")["rules"]
    granted = {(verb, kind) for rule in rules for kind in rule["resources"] for verb in rule["verbs"]}
    assert deployment.cluster.refused == []
    assert deployment.cluster.used == granted
