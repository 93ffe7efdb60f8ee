"""The deployment in containers, as far as its files tell: safe by default, complete, of the locked versions.

`make test-compose` runs it on an engine: tests/compose.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRET = re.compile(r"PASSWORD|SECRET|_KEY")
OURS = {name for name in SERVICES if name != "postgres"}


def _has_compose() -> bool:
    """Whether there is Docker's client with its compose plugin; a client alone is not enough."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return _make_env(tmp_path / ".env")


def _make_env(file: Path, **environment: str) -> Path:
    command = [PROJECT / "scripts" / "compose_env.sh", file]
    subprocess.run(command, env={"PATH": os.environ["PATH"], **environment}, check=True, capture_output=True)
    return file


def _settings(file: Path) -> dict[str, str]:
    lines = re.findall(r"^([A-Z_]+)=(.*)$", file.read_text(), re.MULTILINE)
    return {name: value.strip("'") for name, value in lines}


def test_every_service_that_the_deployment_promises_is_there() -> None:
    airflow = {"airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
    assert set(SERVICES) == airflow | {"postgres", "spark-master", "spark-worker"}
    assert "container_name" not in SERVICES["spark-worker"], "--scale spark-worker=3 could not name the others"


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_can_do_more_than_its_service_must(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["mem_limit"] and service["pids_limit"]
    assert not {"cap_add", "privileged", "network_mode", "pid", "ipc", "devices", "userns_mode"} & set(service)
    assert "docker.sock" not in json.dumps(service)
    assert service["user"] == "postgres" if name == "postgres" else "user" not in service


def test_the_image_runs_as_no_root() -> None:
    (user,) = re.findall(r"^USER (.*)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    (default,) = re.findall(r"^ARG AIRFLOW_UID=(.*)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert user == "${AIRFLOW_UID}"
    assert int(default) > 0


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"airflow-init"}))
def test_every_service_that_stays_has_a_health_check_comes_again_and_keeps_few_logs(name: str) -> None:
    service = SERVICES[name]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]


def test_only_the_user_interface_is_published_and_only_here() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"airflow-api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]}
    inside = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
    assert inside == {"metadata", "cluster"}
    for name in ("postgres", "spark-master", "spark-worker"):
        assert set(SERVICES[name]["networks"]) <= inside, name
    assert not set(SERVICES["spark-worker"]["networks"]) & set(SERVICES["postgres"]["networks"])


def test_no_secret_is_in_the_files_and_none_has_a_default() -> None:
    text = (PROJECT / "docker-compose.yaml").read_text()
    for name, default in re.findall(r"\$\{([A-Z_]+)(:?[-?][^}]*)?\}", text):
        if SECRET.search(name):
            assert not default.startswith((":-", "-")), f"{name} has a default"
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and not variable.endswith("_FILE"):
                assert re.fullmatch(r"\$\{[A-Z_]+(:\?[^}]*)?\}", value), f"{name}: {variable}"
        started_with = json.dumps([service.get("command"), service["image"], service.get("healthcheck")])
        assert not SECRET.search(started_with), "a command line is for everyone to read"
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert not SECRET.search(re.sub(r"^#.*", "", dockerfile, flags=re.MULTILINE)), "an image's layers keep all"


@pytest.mark.parametrize("name", ["spark-master", "spark-worker"])
def test_spark_knows_no_secret_but_its_own(name: str) -> None:
    assert [variable for variable in SERVICES[name]["environment"] if SECRET.search(variable)] == ["SPARK_SECRET"]


def test_airflows_services_share_their_secrets() -> None:
    shared = "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY"
    for name in OURS - {"spark-master", "spark-worker"}:
        environment = SERVICES[name]["environment"]
        assert [environment[variable] for variable in shared] == [
            SERVICES["airflow-scheduler"]["environment"][variable] for variable in shared
        ]
        assert "airflow-api-server:8080" in environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]


def test_folders_have_the_same_path_everywhere_and_docker_makes_none_as_root() -> None:
    for name in OURS - {"spark-master"}:
        binds = {volume["target"]: volume for volume in SERVICES[name]["volumes"] if isinstance(volume, dict)}
        assert set(binds) == {"/data/images", "/data/output"}
        assert binds["/data/images"]["read_only"] is True
        assert all(bind["bind"]["create_host_path"] is False for bind in binds.values())


def test_every_setting_of_the_project_reaches_its_containers() -> None:
    folders = ("dags", "plugins", "colorquant_airflow", "spark_apps")
    code = "\n".join(path.read_text() for folder in folders for path in (PROJECT / folder).rglob("*.py"))
    read = set(re.findall(r'"(COMPRESSION_[A-Z_]+)"', code))
    assert {"COMPRESSION_OUTPUT", "COMPRESSION_MAX_PIXELS"} <= read
    for name in OURS - {"spark-master", "spark-worker"}:
        assert {setting for setting in SERVICES[name]["environment"] if setting.startswith("COMPRESSION_")} == read


def test_the_image_has_the_locked_packages_and_one_python() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    installed = re.findall(r"pip install (.*)", dockerfile)
    assert len(installed) == 1 and installed[0].endswith("--require-hashes -r requirements-deploy.txt")
    assert {"requirements.txt", "requirements-deploy.txt"} <= set(
        re.findall(r"^COPY (.*)$", dockerfile, re.M)[0].split()
    )
    assert "-r requirements.txt" in (PROJECT / "requirements-deploy.txt").read_text().splitlines()
    assert 'org.opencontainers.image.licenses="Apache-2.0"' in dockerfile
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", dockerfile, re.MULTILINE)
    assert SERVICES["airflow-init"]["build"]["args"]["PYTHON_IMAGE"] == f"${{PYTHON_IMAGE:-{base}}}"
    (python,) = re.findall(r"^python:(\d\.\d+)-slim", base)
    assert f"/lib/python{python}/" in dockerfile
    assert {SERVICES[name]["image"] for name in OURS} == {"kmeans-image-compression:latest"}
    assert [name for name in OURS if "build" in SERVICES[name]] == ["airflow-init"]


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    run = subprocess.run([hadolint, "Dockerfile"], cwd=PROJECT, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")


def test_nothing_private_can_get_into_the_image_or_into_git() -> None:
    ignored = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    assert not [line for line in ignored if line.startswith("!") and re.search(r"env|output|\.airflow|git", line)]
    assert {".env", ".env.*"} <= set((PROJECT / ".gitignore").read_text().splitlines())


def test_the_secrets_are_random_private_and_drawn_once(tmp_path: Path, env_file: Path) -> None:
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    other = _settings(_make_env(tmp_path / "other"))
    secrets = {name: value for name, value in _settings(env_file).items() if SECRET.search(name)}
    wanted = set(re.findall(r"\$\{([A-Z_]*(?:PASSWORD|SECRET|_KEY))\b", (PROJECT / "docker-compose.yaml").read_text()))
    assert set(secrets) == wanted
    for name, value in secrets.items():
        assert len(value) >= 24 and value != other[name], name
    assert len(set(secrets.values())) == len(secrets)
    from cryptography.fernet import Fernet

    Fernet(secrets["FERNET_KEY"])
    before = env_file.read_bytes()
    env_file.chmod(0o644)
    _make_env(env_file, IMAGES="elsewhere")
    assert env_file.read_bytes() == before
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_every_setting_that_the_compose_file_takes_is_documented(env_file: Path) -> None:
    taken = set(re.findall(r"\$\{([A-Z_]+)", (PROJECT / "docker-compose.yaml").read_text()))
    documents = "\n".join(path.read_text() for path in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")])
    assert [name for name in sorted(taken | set(_settings(env_file))) if f"`{name}`" not in documents] == []
    assert set(_settings(env_file)) <= taken


def test_sizes_fit_together(env_file: Path) -> None:
    settings = _settings(env_file)
    jobs = int(settings["SPARK_JOBS"])
    cores_of_a_job = int(json.loads(settings["COMPRESSION_SPARK_CONF"])["spark.cores.max"])
    assert 1 <= jobs * cores_of_a_job <= int(settings["WORKER_CORES"])
    assert int(settings["AIRFLOW_PARALLELISM"]) > jobs
    assert int(settings["AIRFLOW_UID"]) > 0
    assert int(settings["WORKER_HEAP"].rstrip("g")) < int(settings["WORKER_MEMORY"].rstrip("g"))


@pytest.mark.parametrize("name", ["with a space", "$HOME", "a:b", "#1"])
def test_any_folder_can_be_mounted(tmp_path: Path, name: str) -> None:
    file = _make_env(tmp_path / ".env", IMAGES=str(tmp_path / name), OUTPUT="output")
    assert _settings(file)["IMAGES_FOLDER"] == str(tmp_path / name)
    assert _settings(file)["OUTPUT_FOLDER"] == str(PROJECT / "output")
    if _has_compose():
        rendered = _rendered(file)["services"]["airflow-scheduler"]["volumes"]
        assert str(tmp_path / name) in [volume["source"].replace("$$", "$") for volume in rendered]


def test_a_folder_that_the_file_could_not_name_is_refused(tmp_path: Path) -> None:
    command = [PROJECT / "scripts" / "compose_env.sh", tmp_path / ".env"]
    run = subprocess.run(command, env={"PATH": os.environ["PATH"], "IMAGES": "it's"}, capture_output=True, text=True)
    assert run.returncode != 0 and "it's" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_make_up_without_docker_says_what_is_missing(tmp_path: Path) -> None:
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    command = [PROJECT / "scripts" / "compose_up.sh"]
    environment = {"PATH": str(tmp_path), "ENV_FILE": str(tmp_path / ".env")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (run.returncode, "Docker with its compose plugin" in run.stderr) == (1, True), run.stderr
    assert not (tmp_path / ".env").exists()


@pytest.mark.skipif(not _has_compose(), reason="no `docker compose`; the tests above read the file itself")
def test_docker_compose_reads_the_file_and_no_command_line_has_a_secret(env_file: Path) -> None:
    rendered = _rendered(env_file)
    secrets = {value for name, value in _settings(env_file).items() if SECRET.search(name)}
    for name, service in rendered["services"].items():
        started_with = json.dumps([service.get("command"), service.get("healthcheck"), service.get("build")])
        assert [secret for secret in secrets if secret in started_with] == [], name
    (port,) = rendered["services"]["airflow-api-server"]["ports"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8080)
    environment = rendered["services"]["airflow-scheduler"]["environment"]
    assert json.loads(environment["COMPRESSION_SPARK_CONF"]) == {"spark.cores.max": "1"}
    unset = subprocess.run(_config(Path(os.devnull)), cwd=PROJECT, capture_output=True, text=True)
    assert unset.returncode != 0 and "run make up" in unset.stderr


def _rendered(file: Path) -> dict[str, Any]:
    run = subprocess.run(_config(file), cwd=PROJECT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def _config(file: Path) -> list[str]:
    return ["docker", "compose", "--env-file", str(file), "config", "--format", "json"]
