"""`make run` on machines as people have them, one variable at a time. By `make test-machines`: a minute for each.

Each run compresses images with umlauts in their names; its bytes must be those of a run in a bare environment, which is
what the same job in this process gives.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PROJECT

pytestmark = pytest.mark.machines

VENV = Path(sys.executable).parent.parent
NAMES = ["a.png", "Füße.png", "Größe/ä.png"]

#: Variables that shells and services have; {folder} is the folder of the test.
VARIABLES = {
    "locale not installed": {"LC_ALL": "en_XX.UTF-8"},
    "language not installed": {"LANG": "de_XX.UTF-8"},
    "paper not installed": {"LC_PAPER": "a4_XX.UTF-8"},
    "Latin 1": {"LC_ALL": "de_XX.ISO-8859-1", "PYTHONIOENCODING": "latin-1"},
    "POSIX": {"LC_ALL": "POSIX"},
    "Spark gone": {"SPARK_HOME": "/opt/gone", "PYSPARK_DRIVER_PYTHON": "jupyter"},
    "Spark empty": {"SPARK_HOME": ""},
    "proxy": {"http_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"},
    "proxy for all": {"ALL_PROXY": "http://127.0.0.1:9"},
    "SOCKS": {"all_proxy": "socks5h://127.0.0.1:9"},
    "garbage for a proxy": {"http_proxy": "garbage", "ALL_PROXY": "foo://[bar"},
    "collector": {"JAVA_TOOL_OPTIONS": "-XX:+UseG1GC", "_JAVA_OPTIONS": "-XX:+UseParallelGC"},
    "agent gone": {"JAVA_TOOL_OPTIONS": "-javaagent:/opt/gone.jar -Dx=y"},
    "encoding of Java": {"JAVA_TOOL_OPTIONS": "-Dsun.jnu.encoding=ANSI_X3.4-1968 -Dfile.encoding=ISO-8859-1"},
    "modules of the same names": {"PYTHONPATH": "{folder}/junk", "PYTHONSAFEPATH": "1"},
    "another Hadoop": {"HADOOP_CONF_DIR": "{folder}/hadoop", "SPARK_LOCAL_HOSTNAME": "no.such.host"},
    "another Spark": {
        "SPARK_CONF_DIR": "{folder}/spark",
        "SPARK_DIST_CLASSPATH": "{folder}/hadoop",
        "SPARK_MASTER": "yarn",
        "SPARK_DRIVER_MEMORY": "900g",
        "PYSPARK_PYTHON": "/opt/gone/python",
        "PYSPARK_SUBMIT_ARGS": "--master yarn pyspark-shell",
    },
    "another Airflow": {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "garbage",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__API__PORT": "garbage",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW_CONN_OTHER": "{not JSON",
    },
    "another Python": {
        "PYTHONHOME": "/opt/gone",
        "PYTHONSTARTUP": "/opt/gone/start.py",
        "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error",
        "PYTHONINSPECT": "1",
        "PYTHONMALLOC": "garbage",
        "PYTHONUTF8": "0",
    },
    "paths of what was removed": {
        "JAVA_HOME": "/opt/gone",
        "SSL_CERT_FILE": "/opt/gone/cacert.pem",
        "REQUESTS_CA_BUNDLE": "/opt/gone/cacert.pem",
        "TMPDIR": "/opt/gone",
        "LD_PRELOAD": "/opt/gone/libjemalloc.so",
        "XDG_CACHE_HOME": "/proc/gone",
        "HOME": "/proc/gone",
    },
    "libraries": {
        "NUMBA_DISABLE_JIT": "1",
        "NUMBA_NUM_THREADS": "many",
        "OPENBLAS_NUM_THREADS": "many",
        "OPENCV_IO_MAX_IMAGE_PIXELS": "1",
        "TZ": "Garbage/Zone",
    },
    "shell": {"CDPATH": "/", "COLUMNS": "1", "GIT_DIR": "/opt/gone", "BASH_ENV": "/opt/gone", "TERM": "garbage"},
}


@pytest.fixture
def machine(tmp_path: Path, bare_environment: dict[str, str]) -> dict[str, str]:
    """The environment of a shell, for a home and images of the test's own."""
    for name in NAMES:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 255, (40, 50, 3), np.uint8)).save(path)
    unwanted = ("LANG", "LC_", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "JAVA_TOOL_OPTIONS")
    kept = {name: text for name, text in bare_environment.items() if not name.lower().startswith(unwanted)}
    return kept | {"KMEANS_AIRFLOW_HOME": str(tmp_path / "airflow")}


def _make_run(
    folder: Path, environment: dict[str, str], *before: str, checkout: Path = PROJECT, seconds: int = 600
) -> str:
    """Run, and return what is printed; the images are compressed to the bytes that they have on any machine."""
    command = [*before, "make", "--no-print-directory", "run", f"VENV={VENV}", f"IMAGES={folder / 'images'}", "KS=4"]
    run = subprocess.run(
        [*command, f"OUTPUT={folder / 'out'}"],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
    )
    printed = run.stdout.decode(errors="replace")
    assert run.returncode == 0, printed
    for name in NAMES:
        (output,) = (folder / "out" / "compressed" / name).glob("*/k004.png")
        expected = folder / "expected" / Path(name).name
        # The library's command, in this process's environment, has the same bytes.
        subprocess.run(
            [sys.executable, "-m", "colorquant", folder / "images" / name, "--k=4", f"--output={expected.parent}"]
            + ["--force", "--keep-larger", "--quiet"],
            env=os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps")},
            check=True,
        )
        assert output.read_bytes() == expected.read_bytes(), name
    return printed


@pytest.mark.parametrize("case", VARIABLES)
def test_a_variable_of_the_shell_does_no_harm(case: str, machine: dict[str, str], tmp_path: Path) -> None:
    for module in ("numpy", "airflow", "json", "httpx", "psutil"):
        (tmp_path / "junk" / module).mkdir(parents=True)
        (tmp_path / "junk" / module / "__init__.py").write_text("raise ImportError('junk')\n")
    (tmp_path / "hadoop").mkdir()
    settings = "<configuration><property><name>fs.defaultFS</name><value>hdfs://no.such.host</value></property>"
    (tmp_path / "hadoop" / "core-site.xml").write_text(f"{settings}</configuration>")
    (tmp_path / "spark").mkdir()
    (tmp_path / "spark" / "spark-defaults.conf").write_text(
        "spark.master yarn\nspark.eventLog.enabled true\nspark.eventLog.dir hdfs://no.such.host/logs\n"
    )
    (tmp_path / "spark" / "spark-env.sh").write_text("exit 7\n")
    variables = {name: value.replace("{folder}", str(tmp_path)) for name, value in VARIABLES[case].items()}
    _make_run(tmp_path, machine | variables)


def test_another_installation_of_airflow_is_not_touched(machine: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "dags").mkdir(parents=True)
    (other / "airflow.cfg").write_text(
        f"[core]\ndags_folder = {other}/dags\n[database]\nsql_alchemy_conn = sqlite:///{other}/airflow.db\n"
        f"[logging]\nbase_log_folder = {other}/logs\n"
    )
    before = sorted(other.rglob("*"))
    _make_run(tmp_path, machine | {"AIRFLOW_CONFIG": f"{other}/airflow.cfg", "AIRFLOW_HOME": str(other)})
    assert sorted(other.rglob("*")) == before


@pytest.mark.parametrize("name", ["no-such-host", "no.such.host"])
def test_a_host_name_that_is_not_in_dns_does_no_harm(name: str, machine: dict[str, str], tmp_path: Path) -> None:
    _in_namespace("--uts", "true")
    _make_run(
        tmp_path,
        machine,
        "unshare",
        "--user",
        "--map-root-user",
        "--uts",
        "sh",
        "-c",
        f'hostname {name}; exec "$@"',
        "sh",
    )


def test_a_user_id_without_a_name_does_no_harm(machine: dict[str, str], tmp_path: Path) -> None:
    unknown = ["--map-user=12345", "--map-group=12345"]
    _in_namespace(*unknown, "true")
    nameless = {name: value for name, value in machine.items() if name not in ("USER", "LOGNAME", "HOME")}
    _make_run(tmp_path, nameless, "unshare", "--user", *unknown)


def test_few_open_files_and_private_ones_do_no_harm(machine: dict[str, str], tmp_path: Path) -> None:
    _make_run(tmp_path, machine, "sh", "-c", 'ulimit -S -n 256 && umask 077 && exec "$@"', "sh")


def test_a_checkout_at_a_path_of_odd_characters_works(machine: dict[str, str], tmp_path: Path) -> None:
    checkout = tmp_path / 'Größe & co, it\'s (1) "x"'
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, checkout / name)
    (checkout / "scripts" / "setup.sh").chmod(0o755)
    del machine["KMEANS_AIRFLOW_HOME"]
    _make_run(tmp_path, machine, checkout=checkout)
    assert (checkout / ".airflow").is_dir()


def _in_namespace(*arguments: str) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "--user", *arguments], capture_output=True).returncode:
        pytest.skip("this machine has no user namespaces")


def test_a_master_that_does_not_answer_is_named(machine: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="The Spark master spark://127.0.0.1:9 .* does not answer"):
        _make_run(tmp_path, machine | {"AIRFLOW_CONN_SPARK_DEFAULT": "spark://127.0.0.1:9"}, seconds=300)


def test_airflows_default_connection_is_named(machine: dict[str, str], tmp_path: Path) -> None:
    default = json.dumps({"conn_type": "spark", "host": "yarn", "extra": {"queue": "root.default"}})
    with pytest.raises(AssertionError, match="names the master yarn"):
        _make_run(tmp_path, machine | {"AIRFLOW_CONN_SPARK_DEFAULT": default}, seconds=300)
