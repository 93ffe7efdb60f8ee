"""The deployment of docker-compose.yaml under test: a project of its own, with its own port, folders and secrets."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from colorquant.jobs.plan import Plan, run_folder
from colorquant.jobs.records import CompressionResult
from colorquant.storage.atomic import sha256_of
from colorquant_airflow.checkout.api import AirflowApi
from colorquant_airflow.checkout.home import DAG_ID, free_port
from tests.conftest import photograph

PROJECT = Path(__file__).resolve().parents[2]
#: For what takes seconds on an idle machine.
PATIENCE = 1200.0


class Stack:
    """What `make up` starts, below a folder: ``images``, ``output`` and ``.env``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images, self.output, self.env_file = folder / "images", folder / "output", folder / ".env"
        self._environment = os.environ | {"COMPOSE_PROJECT_NAME": f"kmeans-test-{os.getpid()}"}
        self.images.mkdir()
        for number in range(2):
            Image.fromarray(photograph(120, 160, seed=number)).save(self.images / f"image {number}.png")
        # As root, outputs go to a small file system of their own, so that one can fill it.
        self.is_small = os.geteuid() == 0
        if self.is_small:
            self.output.mkdir()
            self._run("mount", "-t", "tmpfs", "-o", "size=32m,mode=755,uid=50000,gid=50000", "tmpfs", str(self.output))
        self._port = free_port()
        self._api: AirflowApi | None = None
        #: What the first `make up` said.
        self.greeting = ""

    def make(self, target: str) -> str:
        """Run `make up` or `make down`; what it prints."""
        folders = [f"IMAGES={self.images}", f"OUTPUT={self.output}", f"PORT={self._port}"]
        return self._run("make", "--no-print-directory", target, f"ENV_FILE={self.env_file}", *folders)

    def compose(self, *arguments: str) -> str:
        """Run docker compose on this deployment; what it prints."""
        return self._run("docker", "compose", "--env-file", str(self.env_file), *arguments)

    def engine(self, *arguments: str) -> str:
        """Run docker itself; what it prints."""
        return self._run("docker", *arguments)

    def shell(self, command: str) -> None:
        """Run a shell command in which `docker compose` means this deployment."""
        compose = f"docker compose --env-file '{self.env_file}'"
        self._run("sh", "-ec", command.replace("docker compose", compose))

    def settings(self) -> dict[str, str]:
        """What .env holds."""
        return dict(re.findall(r"^([A-Z_]+)=(.*)$", self.env_file.read_text(), re.MULTILINE))

    def secrets(self) -> dict[str, str]:
        """The secrets by their names, from their files."""
        return {file.name: file.read_text() for file in (self.folder / ".env.secrets").iterdir()}

    def containers(self) -> dict[str, dict[str, Any]]:
        """docker inspect of each container, ended ones included, by the name of its service."""
        names = self.compose("ps", "--all", "--quiet").split()
        inspected = json.loads(self._run("docker", "inspect", *names)) if names else []
        return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in inspected}

    def set(self, name: str, value: str) -> None:
        """Change a setting in .env, for the next `make up`."""
        lines = [line for line in self.env_file.read_text().splitlines() if not line.startswith(f"{name}=")]
        self.env_file.write_text("\n".join([*lines, f"{name}='{value}'", ""]))

    def gateway(self, network: str) -> str:
        """The address of this machine in one of its networks."""
        name = f"{self._environment['COMPOSE_PROJECT_NAME']}_{network}"
        return self.engine("network", "inspect", name, "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()

    def kill(self, *services: str) -> None:
        """SIGKILL to the first process of services, as the kernel sends it when memory is out: Docker restarts them."""
        containers = self.containers()
        for service in services:
            os.kill(containers[service]["State"]["Pid"], 9)

    def processes(self, service: str) -> list[psutil.Process]:
        """The processes of a service's container, the first one first."""
        first = psutil.Process(self.containers()[service]["State"]["Pid"])
        return [first, *first.children(recursive=True)]

    @contextmanager
    def hung(self, *services: str) -> Iterator[None]:
        """Within the block the processes of the services are there, but do nothing."""
        processes = [process for service in services for process in self._working(service)]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    def _working(self, service: str) -> list[psutil.Process]:
        processes = self.processes(service)
        # The scheduler answers for its health by a process of its own, which must know what the scheduler does not do.
        return [p for p in processes if p.ppid() == processes[0].pid] if service == "airflow-scheduler" else processes

    def master(self) -> dict[str, Any]:
        """What the Spark master says of its applications and workers."""
        ask = "from urllib.request import urlopen; print(urlopen('http://spark-master:8080/json/').read().decode())"
        return json.loads(self.compose("exec", "-T", "spark-worker", "python", "-c", ask))

    def is_healthy(self, service: str) -> bool:
        """Whether the health check of the service's container says so."""
        state = self.containers()[service]["State"]
        return state["Running"] and state["Health"]["Status"] == "healthy"

    @property
    def address(self) -> str:
        """Of Airflow's UI and API."""
        return f"http://127.0.0.1:{self._port}"

    def api(self) -> AirflowApi:
        """A client that is logged in as admin. Raises httpx.HTTPError where Airflow does not answer."""
        # Once: to check a password takes a tenth of a second, and tests ask twice a second.
        if self._api is None:
            self._api = AirflowApi(self._port, self.secrets()["admin_password"])
        return self._api

    def client(self, user: str, password: str | None = None) -> httpx.Client:
        """A client of the whole server that is logged in as a user, by default with the password of the secrets."""
        client = httpx.Client(base_url=self.address, trust_env=False, timeout=120)
        login = {"username": user, "password": password or self.secrets()[f"{user}_password"]}
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def trigger(self, ks: str, seed: int = 0) -> str:
        """Start a run on the two images; its id."""
        return self.api().trigger(DAG_ID, {"ks": ks.split(), "seed": seed})

    def wait_for_plan(self, run_id: str) -> Plan:
        """The run's plan, when it is there."""
        # The mounted folder is the same one, but its path in the containers is another.
        path = self.output / run_folder("/data/output", run_id).relative_to("/data/output") / "plan.json"
        wait_until(path.exists, "the plan is written")
        return Plan.read(path)

    def results(self, plan: Plan) -> dict[Path, tuple[int, bytes]]:
        """Records of the plan's jobs that are there: path, time of writing, content."""
        paths = [self.on_host(job.result) for job in plan.jobs]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths if path.exists()}

    def on_host(self, path: str) -> Path:
        """Where a file of the containers' output folder is."""
        return self.output / Path(path).relative_to("/data/output")

    def wait_for_end(self, run_id: str) -> str:
        """State of the run when it has ended."""
        wait_until(lambda: self.has_ended(run_id), f"run {run_id} ends")
        return self._state(run_id)

    def has_ended(self, run_id: str) -> bool:
        """Whether the run is over; no while Airflow does not answer."""
        return self._state(run_id) in ("success", "failed")

    def clear(self, run_id: str) -> None:
        """Let the failed tasks of the run be done again, as the UI's button does."""
        body = {"dag_run_id": run_id, "only_failed": True, "dry_run": False}
        self.api()._send("POST", f"/dags/{DAG_ID}/clearTaskInstances", json=body).raise_for_status()

    def states(self, run_id: str) -> list[str]:
        """States of the mapped jobs."""
        instances = self.api().task_instances(DAG_ID, run_id)
        return [i["state"] for i in instances if i["task_id"] == "compress_image"]

    def tries(self, run_id: str) -> dict[int, int]:
        """How often each mapped job was tried, by its index."""
        instances = self.api().task_instances(DAG_ID, run_id)
        return {i["map_index"]: i["try_number"] for i in instances if i["task_id"] == "compress_image"}

    def check_results(self, plan: Plan) -> None:
        """Every job of the plan is done: a record with the hash of a whole output; no half-written file is left."""
        for job in plan.jobs:
            record = CompressionResult.read(self.on_host(job.result))
            with Image.open(self.on_host(job.output)) as output:
                assert (output.mode, output.size) == ("P", (record.width, record.height))
            assert record.output_sha256 == sha256_of(self.on_host(job.output))
        assert list((self.output / "compressed").rglob(".tmp-*")) == []

    def remove(self) -> None:
        """Everything of it but the image, volumes too."""
        if self.env_file.exists():
            self.compose("down", "--volumes", "--timeout", "10")
        if self.is_small:
            self._run("umount", str(self.output))

    def _state(self, run_id: str) -> str:
        try:
            return self.api().run_state(DAG_ID, run_id)
        except httpx.HTTPError:  # It may be what the fault has hit.
            return "unknown"

    def _run(self, *command: str) -> str:
        run = subprocess.run(
            command, cwd=PROJECT, env=self._environment, capture_output=True, text=True, timeout=2 * PATIENCE
        )
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}\n{run.stderr}"
        return run.stdout


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> float:
    """Wait for a condition; the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + patience, f"waited {patience:.0f} s, but not so: {what}"
        time.sleep(0.5)
    return time.monotonic() - started
