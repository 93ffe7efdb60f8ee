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
SPARK = {"spark-master", "spark-worker", "spark-history"}


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


def _secrets(file: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in file.with_name(f"{file.name}.secrets").iterdir()}


def _settings(file: Path) -> dict[str, str]:
    lines = re.findall(r"^([A-Z_]+)=(.*)$", file.read_text(), re.MULTILINE)
    return {name: value.strip("'") for name, value in lines}


def test_every_service_that_the_deployment_promises_is_there() -> None:
    airflow = {"airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
    assert set(SERVICES) == airflow | {"postgres", "spark-master", "spark-worker", "spark-history"}
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["spark-history"], "only where it is wanted"
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
    assert published == {
        "airflow-api-server": ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"],
        "spark-history": ["127.0.0.1:${HISTORY_PORT:-18080}:18080"],
    }
    inside = {name for name, network in COMPOSE["networks"].items() if network and network.get("internal")}
    assert inside == {"metadata", "cluster"}
    for name in ("postgres", "spark-master", "spark-worker"):
        assert set(SERVICES[name]["networks"]) <= inside, name
    assert not set(SERVICES["spark-worker"]["networks"]) & set(SERVICES["postgres"]["networks"])


def test_with_a_store_workers_reach_its_gate_and_nothing_else_outside() -> None:
    store = yaml.safe_load((PROJECT / "deploy" / "compose.store.yaml").read_text())
    assert set(store["services"]) == {"store-gate", "spark-worker"}
    gate, worker = store["services"]["store-gate"], store["services"]["spark-worker"]
    assert set(store) == {"services"} and set(worker) == {"depends_on", "links"}
    assert worker["links"] == ["store-gate:${STORE_HOST}"]
    assert gate["networks"] == ["cluster", "outside"]
    assert (gate["cap_drop"], gate["read_only"], gate["image"]) == (["ALL"], True, SERVICES["spark-worker"]["image"])
    assert gate["mem_limit"] and gate["pids_limit"] and gate["logging"]["options"]["max-size"]
    assert not {"volumes", "secrets", "ports", "environment"} & set(gate)


def test_no_secret_is_in_the_files_and_none_is_passed_by_the_environment() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and name != "postgres":
                assert variable.endswith("_CMD") and value.startswith("cat /run/secrets/"), f"{name}: {variable}"
        started_with = json.dumps([service.get("command"), service["image"], service.get("healthcheck")])
        assert not SECRET.search(started_with), "a command line is for everyone to read"
    # Its image demands one; the file's is the one that counts (tests/compose/test_deployment.py).
    database = SERVICES["postgres"]["environment"]
    assert database["POSTGRES_PASSWORD"] == "is-in-a-file"
    assert database["POSTGRES_INITDB_ARGS"] == "--pwfile=/run/secrets/postgres_password"
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"${{SECRETS_FOLDER:?run make up}}/{name}"}
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert not SECRET.search(re.sub(r"^#.*", "", dockerfile, flags=re.MULTILINE)), "an image's layers keep all"


def test_each_service_knows_the_secrets_that_it_needs() -> None:
    for name in ("spark-master", "spark-worker"):
        assert SERVICES[name]["secrets"] == ["spark_secret"]
    passwords = {"admin_password", "editor_password", "viewer_password"}
    assert {name for name in SERVICES if passwords & set(SERVICES[name].get("secrets", []))} == {"airflow-init"}
    assert {name for name in SERVICES if "jwt_secret" in SERVICES[name].get("secrets", [])} == {
        "airflow-api-server",
        "airflow-scheduler",
    }


def test_airflows_services_agree_on_users_database_and_keys() -> None:
    shared = [
        "AIRFLOW__CORE__AUTH_MANAGER",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD",
        "AIRFLOW__CORE__FERNET_KEY_CMD",
        "AIRFLOW__API_AUTH__JWT_SECRET_CMD",
        "AIRFLOW__API__SECRET_KEY_CMD",
    ]
    for name in OURS - SPARK:
        environment = SERVICES[name]["environment"]
        assert [environment[variable] for variable in shared] == [
            SERVICES["airflow-scheduler"]["environment"][variable] for variable in shared
        ]
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith(".FabAuthManager")
        assert "airflow-api-server:8080" in environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]


def test_folders_have_the_same_path_everywhere_and_docker_makes_none_as_root() -> None:
    for name in OURS - {"spark-master", "spark-history"}:
        binds = {volume["target"]: volume for volume in SERVICES[name]["volumes"] if isinstance(volume, dict)}
        assert set(binds) == {"/data/images", "/data/output"}
        assert binds["/data/images"]["read_only"] is True
        writes = name in ("airflow-scheduler", "spark-worker")
        assert binds["/data/output"].get("read_only", False) is not writes
        assert all(bind["bind"]["create_host_path"] is False for bind in binds.values())


def test_one_setting_starts_the_history_server_and_lets_drivers_write_what_it_reads() -> None:
    (folder,) = re.findall(r"spark\.eventLog\.dir file:(\S+)\"", (PROJECT / "deploy" / "entrypoint.sh").read_text())
    history = SERVICES["spark-history"]
    assert history["profiles"] == ["history"]
    assert f"-Dspark.history.fs.logDirectory=file:{folder} " in history["environment"]["SPARK_HISTORY_OPTS"]
    assert (
        f"spark-events:{folder}" in history["volumes"]
        and f"spark-events:{folder}" in SERVICES["airflow-scheduler"]["volumes"]
    )
    assert f" {folder} " in (PROJECT / "Dockerfile").read_text(), "a new volume gets the owner of the image's folder"
    assert SERVICES["airflow-scheduler"]["environment"]["KMEANS_PROFILES"] == "${COMPOSE_PROFILES:-}"
    assert "secrets" not in history and history["networks"] == ["outside"]


def test_every_setting_of_the_project_reaches_its_containers() -> None:
    folders = ("dags", "plugins", "colorquant_airflow", "spark_apps")
    code = "\n".join(path.read_text() for folder in folders for path in (PROJECT / folder).rglob("*.py"))
    read = set(re.findall(r'"(COMPRESSION_[A-Z_]+)"', code))
    assert {"COMPRESSION_OUTPUT", "COMPRESSION_MAX_PIXELS"} <= read
    for name in OURS - SPARK:
        assert {setting for setting in SERVICES[name]["environment"] if setting.startswith("COMPRESSION_")} == read


def test_the_image_has_the_locked_packages_and_one_python() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    installed = re.findall(r"pip install (.*?)(?: \\)?$", dockerfile, re.M)
    assert len(installed) == 1 and installed[0].endswith("--no-deps --require-hashes -r requirements-deploy.txt")
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
    other = _secrets(_make_env(tmp_path / "other"))
    secrets = _secrets(env_file)
    assert set(secrets) == set(COMPOSE["secrets"])
    assert stat.S_IMODE(env_file.with_name(".env.secrets").stat().st_mode) == 0o700
    for name, value in secrets.items():
        assert len(value) >= 24 and value != other[name] and value not in env_file.read_text(), name
        # By any user in a container; on the host, by nobody else, since the folder is closed.
        assert stat.S_IMODE((tmp_path / ".env.secrets" / name).stat().st_mode) == 0o444
    assert len(set(secrets.values())) == len(secrets)
    from cryptography.fernet import Fernet

    Fernet(secrets["fernet_key"])
    before = env_file.read_bytes()
    env_file.chmod(0o644)
    _make_env(env_file, IMAGES="elsewhere")
    assert env_file.read_bytes() == before
    assert _secrets(env_file) == secrets
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_the_secrets_of_an_older_env_file_become_files_and_keep_their_values(tmp_path: Path) -> None:
    old = {"AIRFLOW_PASSWORD": "admin_password", "POSTGRES_PASSWORD": "postgres_password", "FERNET_KEY": "fernet_key"}
    old |= {"JWT_SECRET": "jwt_secret", "API_SECRET_KEY": "api_secret_key", "SPARK_SECRET": "spark_secret"}
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}=old-{name}=\n" for name in old) + "SPARK_JOBS=3\n")
    _make_env(env_file)
    secrets = _secrets(env_file)
    assert {name: secrets[name] for name in old.values()} == {file: f"old-{name}=" for name, file in old.items()}
    assert len(secrets["editor_password"]) >= 24
    assert _settings(env_file) == {"SPARK_JOBS": "3", "SECRETS_FOLDER": f"{tmp_path}/.env.secrets"}
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_secrets_that_are_lost_are_not_drawn_again(env_file: Path) -> None:
    """With others, the database would not let Airflow in, and passwords of connections could not be read."""
    shutil.rmtree(env_file.with_name(".env.secrets"))
    run = subprocess.run([PROJECT / "scripts" / "compose_env.sh", env_file], capture_output=True, text=True)
    assert (run.returncode, "restore it from the backup" in run.stderr) == (1, True)
    assert not env_file.with_name(".env.secrets").exists()


def test_every_setting_that_the_compose_file_takes_is_documented(env_file: Path) -> None:
    taken = set(re.findall(r"\$\{([A-Z_]+)", (PROJECT / "docker-compose.yaml").read_text()))
    of_the_store = set(re.findall(r"\$\{([A-Z_]+)", (PROJECT / "deploy" / "compose.store.yaml").read_text()))
    documents = "\n".join(path.read_text() for path in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")])
    assert [
        name for name in sorted(taken | of_the_store | set(_settings(env_file))) if f"`{name}`" not in documents
    ] == []
    assert set(_settings(env_file)) <= taken


def test_sizes_fit_together(env_file: Path) -> None:
    settings = _settings(env_file)
    jobs = int(settings["SPARK_JOBS"])
    cores_of_a_job = int(json.loads(settings["COMPRESSION_SPARK_CONF"])["spark.cores.max"])
    assert 1 <= jobs * cores_of_a_job <= int(settings["WORKER_CORES"])
    assert int(settings["AIRFLOW_PARALLELISM"]) > jobs
    assert int(settings["AIRFLOW_UID"]) > 0
    # An image that needs more than this is refused (decode/decoders), so none ends its container by memory.
    gigabytes = {name: int(settings[name].rstrip("g")) for name in ("SCHEDULER_MEMORY", "WORKER_MEMORY", "WORKER_HEAP")}
    of_images = jobs * int(settings["COMPRESSION_MAX_MEMORY"]) / 2**30
    assert of_images + 1 <= gigabytes["SCHEDULER_MEMORY"]
    assert of_images + gigabytes["WORKER_HEAP"] + 1 <= gigabytes["WORKER_MEMORY"]


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


#: A Docker that does nothing, writes down what it is asked, and knows one digest.
FAKE_DOCKER = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
    "pull --quiet "*) [ -z "${NO_REGISTRY:-}" ] ;;
    "image inspect --format "*) for image; do :; done; [ -n "${NO_REGISTRY:-}" ] || echo "${image%:*}@sha256:$DIGEST" ;;
esac
"""


def _make_up(folder: Path, *, terminal: bool = False, **environment: str) -> tuple[str, list[str]]:
    """`make up` with a Docker that does nothing: what it says, and what Docker was asked."""
    docker, log = folder / "bin" / "docker", folder / "log"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(FAKE_DOCKER)
    docker.chmod(0o755)
    log.write_text("")
    (folder / "images").mkdir(exist_ok=True)
    environment |= {
        "PATH": f"{docker.parent}:{os.environ['PATH']}",
        "LOG": str(log),
        "ENV_FILE": str(folder / ".env"),
        "IMAGES": str(folder / "images"),
        "OUTPUT": str(folder / "output"),
    }
    command: list[str] = [str(PROJECT / "scripts" / "compose_up.sh")]
    if terminal:
        reader, writer = os.openpty()
        run = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        with open(reader, "rb", buffering=0) as screen:
            said = screen.read(1 << 16).decode()  # It fits into the terminal's buffer.
    else:
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        said = run.stdout
    assert run.returncode == 0, run.stderr
    return said, log.read_text().splitlines()


def test_a_password_is_printed_on_a_terminal_only(tmp_path: Path) -> None:
    said, _ = _make_up(tmp_path, DIGEST="1")
    secrets = _secrets(tmp_path / ".env")
    assert [name for name, value in secrets.items() if value in said] == []
    assert f"admin     in {tmp_path}/.env.secrets/admin_password" in said
    said, _ = _make_up(tmp_path, terminal=True, DIGEST="1")
    shown = [name for name, value in secrets.items() if value in said]
    assert sorted(shown) == ["admin_password", "editor_password", "viewer_password"]


def test_images_are_taken_by_their_digest_until_they_are_pulled_again(tmp_path: Path) -> None:
    bases = {"PYTHON_IMAGE": "python:3.11-slim-bookworm", "POSTGRES_IMAGE": "postgres:16-bookworm"}
    _, asked = _make_up(tmp_path, DIGEST="1")
    assert [line for line in asked if line.startswith("pull")] == [f"pull --quiet {tag}" for tag in bases.values()]
    assert {name: _settings(tmp_path / ".env")[name] for name in bases} == {
        name: f"{tag}@sha256:1" for name, tag in bases.items()
    }
    before = (tmp_path / ".env").read_bytes()
    _, asked = _make_up(tmp_path, DIGEST="2")
    assert not [line for line in asked if "pull" in line or "no-cache" in line]
    assert (tmp_path / ".env").read_bytes() == before
    _, asked = _make_up(tmp_path, DIGEST="2", PULL="1")
    assert [line for line in asked if line.startswith("pull")] == [f"pull --quiet {tag}" for tag in bases.values()]
    assert [line.split(" build ")[1] for line in asked if " build" in line] == ["--no-cache"]
    assert _settings(tmp_path / ".env")["PYTHON_IMAGE"] == "python:3.11-slim-bookworm@sha256:2"
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_without_a_registry_the_images_of_this_machine_are_used(tmp_path: Path) -> None:
    _make_up(tmp_path, NO_REGISTRY="1")
    assert _settings(tmp_path / ".env")["POSTGRES_IMAGE"] == "postgres:16-bookworm"


@pytest.mark.skipif(not _has_compose(), reason="no `docker compose`; the tests above read the file itself")
def test_docker_compose_reads_the_file_and_what_it_makes_of_it_has_no_secret(env_file: Path) -> None:
    rendered = _rendered(env_file)
    assert [name for name, value in _secrets(env_file).items() if value in json.dumps(rendered)] == []
    (port,) = rendered["services"]["airflow-api-server"]["ports"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8080)
    environment = rendered["services"]["airflow-scheduler"]["environment"]
    assert json.loads(environment["COMPRESSION_SPARK_CONF"]) == {"spark.cores.max": "1"}
    assert set(rendered["services"]["spark-worker"]["networks"]) == {"cluster"}
    with open(env_file, "a") as file:
        file.write("COMPOSE_FILE=docker-compose.yaml:deploy/compose.store.yaml\nSTORE_HOST=store.example\n")
    with_store = _rendered(env_file)["services"]
    assert with_store["spark-worker"]["links"] == ["store-gate:store.example"]
    assert set(with_store["spark-worker"]["networks"]) == {"cluster"}
    assert with_store["store-gate"]["command"][-2:] == ["store.example", "443"]
    unset = subprocess.run(_config(Path(os.devnull)), cwd=PROJECT, capture_output=True, text=True)
    assert unset.returncode != 0 and "run make up" in unset.stderr


def _rendered(file: Path) -> dict[str, Any]:
    run = subprocess.run(_config(file), cwd=PROJECT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def _config(file: Path) -> list[str]:
    return ["docker", "compose", "--env-file", str(file), "config", "--format", "json"]
