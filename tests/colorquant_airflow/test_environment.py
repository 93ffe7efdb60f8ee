"""What is started gets the environment that it needs: no secrets of Airflow, and nothing of other programs."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from colorquant_airflow.checkout.home import AirflowHome
from colorquant_airflow.environment import airflow_environment, spark_home, submit_environment
from tests.colorquant_airflow.operators.test_operators import _operator, submit_script

__all__ = ["submit_script"]

SECRETS = {
    "AIRFLOW__CORE__FERNET_KEY": "f",
    "AIRFLOW__API_AUTH__JWT_SECRET": "j",
    "AIRFLOW__API__SECRET_KEY": "s",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://airflow:password@postgres/airflow",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "postgresql://airflow:password@postgres/airflow",
    "AIRFLOW__SECRETS__BACKEND_KWARGS": "{}",
    "AIRFLOW_CONN_STORE": '{"password": "p"}',
    "AIRFLOW_VAR_KEY": "v",
    "COMPRESSION_NOTIFIER_ARGUMENTS": '{"webhook": "w"}',
    "SPARK_SECRET": "s",
    "POSTGRES_PASSWORD": "p",
    "GITHUB_TOKEN": "t",
    "ANYTHING_ELSE": "e",
}
NEEDED = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "JAVA_HOME": str(Path(shutil.which("java") or "").resolve().parent.parent),
    "SPARK_CONF_DIR": "/conf",
    "PYTHONPATH": "/python",
    "AWS_ACCESS_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_SESSION_TOKEN": "t",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "f",
    "FSSPEC_S3": '{"key": "k", "secret": "s"}',
    "https_proxy": "http://user:word@proxy:3128",
    "JAVA_TOOL_OPTIONS": "-Djavax.net.ssl.trustStore='/a b/store'",
    "COMPRESSION_MAX_RATIO": "7",
    "KMEANS_SERVICES_OF": "here",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (SECRETS | NEEDED).items():
        monkeypatch.setenv(name, value)


def test_airflows_secrets_stay_with_airflow(environment: None) -> None:
    passed = submit_environment()
    assert passed.keys().isdisjoint(SECRETS)
    assert {name: passed.get(name) for name in NEEDED} == NEEDED


def test_a_deployment_can_name_more(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_JOB_ENVIRONMENT", " ANYTHING_ELSE  GITHUB_TOKEN missing ")
    assert submit_environment().keys() & SECRETS.keys() == {"ANYTHING_ELSE", "GITHUB_TOKEN"}


@pytest.mark.parametrize("kwargs", [{}, {"env_vars": {"OF_THE_OPERATOR": "o"}}])
def test_the_process_of_a_job_has_the_keys_of_its_run_and_no_others(
    kwargs: dict[str, Any], tmp_path: Path, submit_script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the provider passes on, by a spark-submit that writes down what it gets."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_OF_RUN", '{"conn_type": "aws", "login": "key", "password": "secret of the run"}')
    submit_script.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\n")
    _operator(tmp_path, **kwargs).execute({"params": {"storage_connection": "of_run"}})  # type: ignore[typeddict-item]
    lines = (tmp_path / "environment").read_text()
    passed = dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)
    assert "secret of the run" in passed["FSSPEC_S3"]
    assert [name for name in passed if name in SECRETS or name.startswith("AIRFLOW")] == []
    assert passed.get("OF_THE_OPERATOR") == kwargs.get("env_vars", {}).get("OF_THE_OPERATOR")


# --- What machines have in their environments -------------------------------------------------------------------------

OF_OTHER_PROGRAMS = {
    "AIRFLOW_CONFIG": "/opt/airflow/airflow.cfg",
    "AIRFLOW_HOME": "/opt/airflow",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://another",
    "AIRFLOW__CORE__DAGS_FOLDER": "/opt/airflow/dags",
    "AIRFLOW_VAR_KEY": "v",
    "_AIRFLOW_PROCESS_CONTEXT": "server",
    "LANG": "de_XX.UTF-8",
    "LANGUAGE": "de",
    "LC_CTYPE": "de_XX.ISO-8859-1",
    "LC_PAPER": "a4.UTF-8",
    "PYTHONHOME": "/opt/python2",
    "PYTHONSAFEPATH": "1",
    "PYTHONSTARTUP": "/home/start.py",
    "PYTHONINSPECT": "1",
    "PYTHONIOENCODING": "latin-1",
    "PYTHONWARNINGS": "error",
    "PYSPARK_DRIVER_PYTHON": "jupyter",
    "PYSPARK_SUBMIT_ARGS": "--master yarn",
    "SPARK_REMOTE": "sc://other",
    "SPARK_ENV_LOADED": "1",
    "SPARK_TESTING": "1",
    "_JAVA_OPTIONS": "-Xmx16m",
    "JAVA_HOME": "/opt/gone",
    "SSL_CERT_FILE": "/opt/gone/cacert.pem",
    "REQUESTS_CA_BUNDLE": "/opt/gone/cacert.pem",
    "TMPDIR": "/opt/gone",
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_NUM_THREADS": "many",
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENCV_IO_MAX_IMAGE_PIXELS": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONMALLOC": "garbage",
    "GIT_DIR": "/opt/gone",
    "COLUMNS": "1",
    "JDK_JAVA_OPTIONS": "-agentlib:jdwp=transport=dt_socket @arguments",
    "BASH_ENV": "/etc/profile",
    "CDPATH": "/",
}


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OF_OTHER_PROGRAMS.items():
        monkeypatch.setenv(name, value)


def test_what_other_programs_need_reaches_nothing_that_is_started(others: None, tmp_path: Path) -> None:
    ours = AirflowHome(tmp_path, jobs_at_once=1).environment(8080, schedule=True)
    for environment in (submit_environment(), submit_environment(is_local=True), airflow_environment(), ours):
        assert [name for name, value in OF_OTHER_PROGRAMS.items() if environment.get(name) == value] == []
        assert environment["LC_ALL"] == "C.UTF-8" and environment["PYTHONUTF8"] == "1"


def test_modules_that_hide_those_of_the_project_do_not_reach_the_private_airflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/junk")
    assert "PYTHONPATH" not in airflow_environment()


def test_the_private_airflow_takes_over_what_messages_tell_people_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {
        "AIRFLOW_CONN_SPARK_DEFAULT": "spark://master:7077",
        "AIRFLOW__CORE__MAX_MAP_LENGTH": "5000",
        "COMPRESSION_NOTIFIER_ARGUMENTS": "{}",
        "COMPRESSION_SPARK_CONF": "{}",
        "COMPRESSION_JOB_ENVIRONMENT": "OF_A_NOTIFIER",
        "OF_A_NOTIFIER": "n",
        "AWS_SECRET_ACCESS_KEY": "s",
        "KMEANS_AIRFLOW_HOME": "/home/airflow",
    }
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    assert named.items() <= airflow_environment().items()


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ("-XX:+UseG1GC", None),
        ("-javaagent:/gone.jar -XX:+UseZGC -Xmx1m", None),
        ("-Dx=y", "-Dx=y"),
        ("-XX:+UseG1GC -Da='b c' -Xlog:gc -Dd=\"e f\"  -D.g", "-Da='b c' -Dd=\"e f\" -D.g"),
        ("-Dfile.encoding=ISO-8859-1 -Dsun.jnu.encoding=ASCII -Da.file.encodings=b", "-Da.file.encodings=b"),
        ("-Xlog:file=-Dx=y", None),
    ],
)
@pytest.mark.parametrize("name", ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "SPARK_SUBMIT_OPTS"])
def test_of_options_for_every_jvm_a_job_gets_the_properties(
    name: str, options: str, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, options)
    assert submit_environment().get(name) == kept


@pytest.mark.parametrize(
    ("url", "is_kept"),
    [
        ("http://proxy:3128", True),
        ("https://[2001:db8::1]:3128/", True),
        ("socks5://127.0.0.1:9", False),
        ("socks5h://proxy", False),
        ("garbage", False),
        ("http://", False),
        ("http://proxy:port", False),
        ("http://[proxy", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_a_proxy_that_no_client_can_use_is_left_out_and_this_machine_needs_none(
    name: str, url: str, is_kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    for variable in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv(name, url)
    monkeypatch.setenv("NO_PROXY", "store.example, 10.0.0.0/8")
    for environment in (submit_environment(), airflow_environment()):
        assert (environment.get(name) == url) == is_kept
        assert environment["NO_PROXY"] == environment["no_proxy"]
        assert environment["no_proxy"] == "store.example,10.0.0.0/8,127.0.0.1,localhost,::1"
        with monkeypatch.context() as patch:
            patch.delenv(name)
            for variable in ("NO_PROXY", "no_proxy", *([name] if is_kept else [])):
                patch.setenv(variable, environment[variable])
            with httpx.Client() as client:  # Airflow's own. It fails where it cannot use a proxy.
                assert client._transport_for_url(httpx.URL("http://127.0.0.1:8080/")) is client._transport


@pytest.mark.parametrize("named", ["/opt/gone", "", "another"])
def test_a_job_gets_the_spark_of_its_spark_submit(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyspark

    if named == "another":
        (tmp_path / "jars").mkdir()
        named = str(tmp_path)
    monkeypatch.setenv("SPARK_HOME", named)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    assert submit_environment()["SPARK_HOME"] == str(Path(pyspark.__file__).parent.resolve())
    assert "SPARK_HOME" not in airflow_environment()


def test_the_spark_of_another_program_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("bin", "jars"):
        (tmp_path / "spark" / folder).mkdir(parents=True)
    (tmp_path / "spark" / "bin" / "spark-submit").touch(mode=0o755)
    monkeypatch.setenv("SPARK_HOME", "/opt/gone")
    monkeypatch.setenv("PATH", str(tmp_path / "spark" / "bin"))
    assert spark_home() == tmp_path / "spark"


def test_a_local_job_asks_for_no_host_and_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {
        "HADOOP_CONF_DIR": "/etc/hadoop",
        "YARN_CONF_DIR": "/etc/hadoop",
        "SPARK_CONF_DIR": "/etc/spark",  # Its defaults may name the cluster's file system.
        "SPARK_DIST_CLASSPATH": "/opt/hadoop/lib",
        "SPARK_EXECUTOR_MEMORY": "64g",
        "SPARK_LOCAL_HOSTNAME": "a.b.c",
    }
    for name, value in (cluster | {"SPARK_LOCAL_IP": "192.0.2.1"}).items():
        monkeypatch.setenv(name, value)
    local = submit_environment(is_local=True)
    assert local["SPARK_LOCAL_IP"] == "127.0.0.1" and local.keys().isdisjoint(cluster)
    assert submit_environment()["SPARK_LOCAL_IP"] == "192.0.2.1"
    assert cluster.items() <= submit_environment().items()


def test_a_folder_for_temporary_files_that_exists_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert submit_environment()["TMPDIR"] == str(tmp_path)
    monkeypatch.setenv("TMPDIR", __file__)
    assert "TMPDIR" not in submit_environment()


def test_a_user_id_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers start processes with ids that their password file does not have."""

    def unknown(_: int) -> NoReturn:
        raise KeyError

    for name in ("USER", "LOGNAME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Dx=y")
    airflow = airflow_environment()
    assert (airflow["USER"], airflow["LOGNAME"], airflow["HOME"]) == ("user12345", "user12345", "/")
    assert submit_environment()["SPARK_SUBMIT_OPTS"] == '-Duser.name="user12345" -Duser.home="/" -Dx=y'
    monkeypatch.setenv("HOME", "/home/mine")
    assert submit_environment()["HOME"] == "/home/mine"
    assert submit_environment()["SPARK_USER"] == "user12345"


def test_java_is_found_whatever_options_the_environment_has_for_it(tmp_path: Path) -> None:
    """Where Java is not found, scripts/setup.sh installs another one."""
    setup = (Path(__file__).parents[2] / "scripts" / "setup.sh").read_text()
    function = setup[setup.index("java_version() {") :].partition("\n}\n")[0] + "\n}"
    environment = os.environ | {
        "JAVA_HOME": "/opt/gone",
        "JAVA_TOOL_OPTIONS": "-javaagent:/gone.jar",
        "_JAVA_OPTIONS": "-XX:+UseG1GC -XX:+UseZGC",
    }
    run = subprocess.run(["sh", "-c", f"{function}\njava_version"], env=environment, capture_output=True, text=True)
    assert int(run.stdout) >= 17, run.stderr
