"""The environment of every process that this project starts: the variables of a list, and values that always work.

A shell or a service has variables of other programs, of another Airflow, Spark or Python, and secrets. A job decodes
files that nobody vouches for. So neither the private Airflow of a checkout nor spark-submit gets the environment of its
parent, but what Java, Spark, Python and object stores need; COMPRESSION_JOB_ENVIRONMENT names more. What the JVM and
Python make of file names does not depend on locales, and what is on this machine is reached without proxies and DNS.
"""

import os
import pwd
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from colorquant.storage import STORES

#: JVM options for short-lived processes: the first compiler tier and the serial collector start and end fast.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"

_OF_STORES = "|".join(store.variables for store in STORES.values())
_PASSED = re.compile(
    # The system: where programs, homes, temporary files and libraries are.
    r"PATH|HOME|USER|LOGNAME|TZ|TMPDIR|TEMP|TMP|LD_LIBRARY_PATH|LD_PRELOAD|XDG_\w+|JAVA_HOME"
    # Python: what changes neither its modules nor its encodings.
    r"|PYTHON(?:DONTWRITEBYTECODE|PYCACHEPREFIX|UNBUFFERED|FAULTHANDLER|NOUSERSITE)"
    # Of the libraries, what changes no result: numba can be told to compile nothing, OpenBLAS to round in another way.
    r"|VIRTUAL_ENV|CONDA_\w+|NUMBA_CACHE_DIR|(?:OMP|OPENBLAS|MKL)_NUM_THREADS|MALLOC_\w+"
    # Clusters and their tickets.
    r"|SPARK_(?:CONF_DIR|LOCAL_\w+|PUBLIC_DNS|USER|DIST_CLASSPATH|EXECUTOR_\w+|DRIVER_\w+)"
    r"|PYSPARK_PYTHON|HADOOP_\w+|YARN_\w+|KRB5\w*|KUBECONFIG|KUBERNETES_\w+"
    # Object stores: a job reads and writes with its run's credentials.
    rf"|{_OF_STORES}|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    # Limits of images, and the folders that are allowed; and the mark by which `make run` finds its processes.
    r"|COMPRESSION_MAX_\w+|COMPRESSION_ALLOWED_\w+|COMPRESSION_FULL_CHECK|KMEANS_SERVICES_OF"
)
# Spark's own secrets come from its file of properties.
_NEVER = re.compile(rf"(?!(?:{_OF_STORES})\Z)\w*(?:SECRET|PASSWORD|TOKEN|CREDENTIAL)\w*")
# Settings of this project, and what its messages tell people to set, go to the private Airflow. Other settings of
# Airflow may be those of another one.
_OF_AIRFLOW = re.compile(r"COMPRESSION_\w+|AIRFLOW_CONN_\w+|AIRFLOW__CORE__MAX_MAP_LENGTH|KMEANS_\w+")

_SUBMIT = "SPARK_SUBMIT_OPTS"
_JAVA_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", _SUBMIT)
# Trust stores and tickets are properties. Collectors, agents and sizes were meant for other programs: two collectors,
# or an agent whose file is gone, end the JVM. Encodings would change file names.
_JAVA_PROPERTY = re.compile(r"""(?:^|\s)(-D(?!\w+(?:\.\w+)?\.encoding\b)(?:[^\s"']|"[^"]*"|'[^']*')+)""")

# What a JVM that is all of Spark has no use for. A file system of the cluster may be on a host that is not known here,
# and its defaults may want logs and jars there.
_OF_CLUSTER = re.compile(
    r"HADOOP_|YARN_|SPARK_LOCAL_(?:IP|HOSTNAME)$|SPARK_(?:PUBLIC_DNS|CONF_DIR|DIST_CLASSPATH)$|SPARK_EXECUTOR_"
)
# Of an installation that was removed: programs that find such a variable do not look elsewhere.
_PATHS = re.compile(r"JAVA_HOME|SSL_CERT_\w+|\w+_CA_BUNDLE|TMPDIR|TEMP|TMP")

_PROXY = re.compile("(?:https?|all)_proxy", re.IGNORECASE)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def submit_environment(is_local: bool = False) -> dict[str, str]:
    """The environment of spark-submit, with what makes it start sooner and keep file names intact.

    Its scripts start a Python process to find Spark, and a JVM to make one command line.

    Parameters
    ----------
    is_local : bool
        Whether all of Spark runs in this machine's JVM. It then needs no cluster's settings and no host name.
    """
    environment = _common(os.environ)
    # A worker of Airflow runs with these modules already.
    if path := os.environ.get("PYTHONPATH"):
        environment["PYTHONPATH"] = path
    if is_local:
        environment = {name: value for name, value in environment.items() if not _OF_CLUSTER.match(name)}
        environment["SPARK_LOCAL_IP"] = "127.0.0.1"
    if home := spark_home():
        environment["SPARK_HOME"] = str(home)
    return environment | _named(os.environ) | {"SPARK_LAUNCHER_OPTS": SHORT_LIVED}


def airflow_environment() -> dict[str, str]:
    """What the private Airflow of a checkout takes over from the shell in which it is started."""
    theirs = {name: value for name, value in os.environ.items() if _OF_AIRFLOW.fullmatch(name)}
    return _common(os.environ) | _named(os.environ) | theirs


def spark_home() -> Path | None:
    """The folder of the Spark that ``spark-submit`` belongs to; None where it is not known. It has Spark's jars.

    It is that of the PySpark of this Python, or else of the program on the PATH, or else SPARK_HOME, which may be of
    another version, or gone.
    """
    program = shutil.which("spark-submit")
    candidates = [Path(program).resolve().parent.parent] if program else []
    if program is None or Path(program).parent.resolve() == Path(sys.executable).parent.resolve():
        package = find_spec("pyspark")
        candidates = [Path(package.origin).parent] if package is not None and package.origin else []
    if named := os.environ.get("SPARK_HOME"):
        candidates.append(Path(named))
    return next((home.resolve() for home in candidates if (home / "jars").is_dir()), None)


def _common(given: Mapping[str, str]) -> dict[str, str]:
    """What Airflow and jobs get both."""
    passed = {name: text for name, text in given.items() if _PASSED.fullmatch(name) and not _NEVER.fullmatch(name)}
    passed = {name: text for name, text in passed.items() if not _PATHS.fullmatch(name) or _is_usable(name, text)}
    passed |= dict(_java_options(given)) | _proxies(given) | _user(given)
    # Image paths are arguments. In the locale C, which is also what a JVM takes for one that is not installed, it
    # replaces each character that is not ASCII by a question mark.
    return passed | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


def _is_usable(name: str, path: str) -> bool:
    if name == "JAVA_HOME":
        return os.access(os.path.join(path, "bin", "java"), os.X_OK)
    if name in ("TMPDIR", "TEMP", "TMP"):
        return os.path.isdir(path) and os.access(path, os.W_OK)
    return os.access(path, os.R_OK)


def _named(given: Mapping[str, str]) -> dict[str, str]:
    names = given.get("COMPRESSION_JOB_ENVIRONMENT", "").split()
    return {name: given[name] for name in names if name in given}


def _java_options(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _JAVA_OPTIONS:
        if properties := _JAVA_PROPERTY.findall(given.get(name, "")):
            yield name, " ".join(properties)


def _proxies(given: Mapping[str, str]) -> dict[str, str]:
    """The proxies that HTTP clients can use, and no proxy for this machine.

    A client library that finds one of another kind (SOCKS without its package, garbage) fails before it connects.
    """
    proxies = {name: url for name, url in given.items() if _PROXY.fullmatch(name) and _is_http(url)}
    excepted = [host.strip() for name in ("no_proxy", "NO_PROXY") for host in given.get(name, "").split(",")]
    without = ",".join(dict.fromkeys([*filter(None, excepted), *_LOOPBACK]))
    return proxies | {"no_proxy": without, "NO_PROXY": without}


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _user(given: Mapping[str, str]) -> dict[str, str]:
    """A name and a home, which Airflow and Java need, for a user id that the system does not know, as in containers."""
    try:
        pwd.getpwuid(os.getuid())
        return {}
    except KeyError:
        name, home = given.get("USER") or f"user{os.getuid()}", given.get("HOME") or "/"
    properties = [f'-Duser.name="{name}"', f'-Duser.home="{home}"', *_JAVA_PROPERTY.findall(given.get(_SUBMIT, ""))]
    return {"USER": name, "LOGNAME": name, "HOME": home, "SPARK_USER": name, _SUBMIT: " ".join(properties)}
