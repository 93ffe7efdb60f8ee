"""The deployment on a real engine: what is promised of it is asked of its containers. By `make test-compose`."""

import os
import re
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from colorquant.jobs.job import Job
from colorquant.jobs.records import CompressionResult
from tests.compose.stack import PROJECT, Stack, wait_until

pytestmark = pytest.mark.compose

#: What each service must know, and no more.
AIRFLOW = {"postgres_password", "fernet_key"}
KNOWN = {
    "airflow-api-server": AIRFLOW | {"api_secret_key", "jwt_secret"},
    "airflow-scheduler": AIRFLOW | {"api_secret_key", "jwt_secret", "spark_secret"},
    "airflow-dag-processor": AIRFLOW,
    "airflow-triggerer": AIRFLOW | {"api_secret_key"},
    "postgres": {"postgres_password"},
    "spark-master": {"spark_secret"},
    "spark-worker": {"spark_secret"},
}


@dataclass
class WatchedRun:
    """A run that has ended, and what was seen in the meantime."""

    run_id: str
    cores: set[int] = field(default_factory=set)
    command_lines: set[str] = field(default_factory=set)

    def look(self, stack: Stack) -> None:
        """See the cores that are taken on the cluster, and the command lines of all processes."""
        self.cores.add(stack.master()["coresused"])
        self.command_lines |= {_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")}


@pytest.fixture(scope="module")
def run(stack: Stack) -> WatchedRun:
    run = WatchedRun(stack.trigger("2 16"))
    wait_until(lambda: run.look(stack) or stack.has_ended(run.run_id), f"run {run.run_id} ends")
    return run


def test_all_services_are_healthy_and_the_settings_are_private(stack: Stack) -> None:
    containers = stack.containers()
    assert containers.pop("airflow-init")["State"]["ExitCode"] == 0
    assert len(containers) == 7
    assert {name for name in containers if not stack.is_healthy(name)} == set()
    assert stat.S_IMODE(stack.env_file.stat().st_mode) == 0o600


def test_make_up_says_where_it_is_and_who_may_enter_but_no_password_to_a_file(stack: Stack) -> None:
    said = dict(re.findall(r"^  (\w+) +(\S.*)$", stack.greeting, re.MULTILINE))
    for user in ("admin", "editor", "viewer"):
        assert said[user] == f"in {stack.folder}/.env.secrets/{user}_password"
        login = {"username": user, "password": Path(said[user].removeprefix("in ")).read_text()}
        assert httpx.post(f"{said['Airflow']}/auth/token", json=login, trust_env=False).status_code == 201
    assert [name for name, value in stack.secrets().items() if value in stack.greeting] == []
    assert (said["images"], said["output"]) == (str(stack.images), str(stack.output))


def test_no_process_is_root_has_a_capability_or_can_gain_one(stack: Stack) -> None:
    for name, container in stack.containers().items():
        if name == "airflow-init":
            continue
        status = Path(f"/proc/{container['State']['Pid']}/status").read_text()
        fields = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
        assert "0" not in fields["Uid"].split(), name
        assert {int(fields[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {0}, name
        assert fields["NoNewPrivs"] == "1", name
        assert container["HostConfig"]["ReadonlyRootfs"] and container["HostConfig"]["Memory"] > 0, name


def test_only_the_user_interface_can_be_reached_and_it_asks_who_is_there(stack: Stack) -> None:
    published = {
        name: bindings
        for name, container in stack.containers().items()
        if (bindings := [b for found in (container["NetworkSettings"]["Ports"] or {}).values() for b in found or []])
    }
    port = stack.settings()["AIRFLOW_PORT"]
    assert published == {"airflow-api-server": [{"HostIp": "127.0.0.1", "HostPort": port}]}
    for login in ({"username": "admin", "password": "admin"}, {"username": "airflow", "password": "airflow"}):
        refused = httpx.post(f"http://127.0.0.1:{port}/auth/token", json=login, trust_env=False)
        assert refused.status_code == 401
    assert httpx.get(f"http://127.0.0.1:{port}/api/v2/dags", trust_env=False).status_code == 401


def test_a_stranger_is_refused_by_the_spark_master(stack: Stack) -> None:
    """An application without the secret, or with another one, from within the cluster's own network."""
    stranger = "from pyspark import SparkContext; SparkContext('spark://spark-master:7077').range(3).collect()"
    for secret in ("", "--conf=spark.authenticate=true --conf=spark.authenticate.secret=guess"):
        refused_before = stack.compose("logs", "spark-master").count("doAuthChallenge")
        # It would try for minutes: it is ended when the master has said what it thinks of it.
        script = f'echo "{stranger}" > /tmp/stranger.py; exec spark-submit {secret} /tmp/stranger.py'
        stack.compose("exec", "--detach", "spark-worker", "sh", "-c", script)
        wait_until(
            lambda before=refused_before: stack.compose("logs", "spark-master").count("doAuthChallenge") > before,
            "the master refuses an application",
        )
    stack.compose("restart", "--timeout", "1", "spark-worker")
    assert (stack.master()["activeapps"], stack.master()["completedapps"]) == ([], [])


def test_the_image_has_the_versions_of_the_lock(stack: Stack) -> None:
    freeze = "import importlib.metadata as m; print(*{f'{d.name}=={d.version}' for d in m.distributions()})"
    lines = [line.split("==") for line in stack.compose("exec", "-T", "spark-worker", "python", "-c", freeze).split()]
    installed = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in lines}
    files = [(PROJECT / name).read_text() for name in ("requirements.txt", "requirements-deploy.txt")]
    locked = re.findall(r"^([a-z0-9-]+)==(\S+)", "\n".join(files), re.MULTILINE)
    versions: dict[str, set[str]] = {}
    for name, version in locked:
        versions.setdefault(name, set()).add(version)
    assert {name for name, version in installed.items() if version not in versions.get(name, {version})} == set()
    assert set(installed) - set(versions) <= {"pip", "setuptools", "wheel"}


def test_a_run_on_the_cluster_gives_the_bytes_of_local_mode(stack: Stack, run: WatchedRun, tmp_path: Path) -> None:
    assert stack.wait_for_end(run.run_id) == "success"
    plan = stack.wait_for_plan(run.run_id)
    stack.check_results(plan)
    assert len(plan.jobs) == 4
    owner = (int(stack.settings()["AIRFLOW_UID"]), int(stack.settings()["AIRFLOW_GID"]))
    for job in plan.jobs:
        record = CompressionResult.read(stack.on_host(job.result))
        assert record.spark is not None and record.spark["master"] == "spark://spark-master:7077"
        assert _local(job, stack, tmp_path) == stack.on_host(job.output).read_bytes()
        status = stack.on_host(job.output).stat()
        assert (status.st_uid, status.st_gid) == owner


def test_jobs_at_the_same_time_share_the_cores(stack: Stack, run: WatchedRun) -> None:
    applications = stack.master()["completedapps"]
    assert len(applications) == 4
    assert {application["cores"] for application in applications} == {1}
    assert max(run.cores) == min(4, int(stack.settings()["SPARK_JOBS"]))


def _local(job: Job, stack: Stack, folder: Path) -> bytes:
    """The job's output by spark-submit on this machine, without the deployment."""
    output = folder / f"{job.name} {job.k}.png"
    image = stack.images / job.name
    command = ["spark-submit", "--master", "local[1]", PROJECT / "spark_apps" / "compress_image.py"]
    command += [f"--image={image}", f"--k={job.k}", f"--output={output}", f"--result={output}.json"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600)
    return output.read_bytes()


def test_no_process_has_a_secret_in_its_environment_and_each_service_knows_its_own(
    stack: Stack, run: WatchedRun
) -> None:
    """After a run: Spark gives its secret to executors in their environment, and they have ended."""
    secrets = stack.secrets()
    for service, known in KNOWN.items():
        environments = stack.compose(
            "exec", "-T", service, "sh", "-c", "cat /proc/1/environ /proc/[0-9]*/environ; true"
        )
        assert environments.count("PATH=") >= 2
        assert [name for name, value in secrets.items() if value in environments] == [], service
        assert set(stack.compose("exec", "-T", service, "ls", "/run/secrets").split()) == known
    assert set(KNOWN) | {"airflow-init"} == set(stack.containers())


def test_only_what_runs_jobs_can_write_outputs_and_nothing_writes_images(stack: Stack) -> None:
    def can_write(service: str, folder: str) -> bool:
        try_it = f"touch {folder}/probe 2>/dev/null && rm {folder}/probe && echo yes || echo no"
        return stack.compose("exec", "-T", service, "sh", "-c", try_it).strip() == "yes"

    mounted = [name for name in KNOWN if name not in ("postgres", "spark-master")]
    assert {name for name in mounted if can_write(name, "/data/output")} == {"airflow-scheduler", "spark-worker"}
    assert {name for name in mounted if can_write(name, "/data/images")} == set()


def test_secrets_are_in_no_command_line_log_or_layer(stack: Stack, run: WatchedRun) -> None:
    """In and after a run, so that every service and job has had its chance."""
    secrets = stack.secrets()
    assert len(secrets) == 8
    command_lines = "\n".join(run.command_lines)
    assert "org.apache.spark.deploy.worker.Worker" in command_lines and "compress_image.py" in command_lines
    logs = stack.compose("logs", "--no-color")
    assert "plan_jobs" in logs
    find = ["find", "/opt/airflow/logs", "-type", "f", "-exec", "cat", "{}", "+"]
    task_logs = stack.compose("exec", "-T", "airflow-scheduler", *find)
    assert "Spark-Submit cmd" in task_logs
    image = stack.containers()["spark-worker"]["Image"]
    history = subprocess.run(["docker", "history", "--no-trunc", image], capture_output=True, text=True, check=True)
    for where, text in {"ps": command_lines, "logs": logs, "tasks": task_logs, "image": history.stdout}.items():
        assert [name for name, value in secrets.items() if value in text] == [], where
    assert _files_with([*secrets.values(), "airflow pools set spark"], image) == ["/opt/kmeans/deploy/init.sh"]


def _files_with(texts: list[str], image: str) -> list[str]:
    """Files of the image that hold one of the texts."""
    search = ["grep", "-rlF", "--file=-", "--exclude-dir=proc", "--exclude-dir=sys", "/"]
    command = ["docker", "run", "--rm", "--interactive", "--user=root", "--entrypoint=", image, *search]
    return subprocess.run(command, input="\n".join(texts), capture_output=True, text=True).stdout.split()


def _command_line(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
