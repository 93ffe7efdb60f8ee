"""The Spark master that an Airflow connection names, and the deployment's Spark properties: whether jobs can start.

Airflow starts with a connection ``spark_default`` to a YARN cluster that is not there, and Spark asks a master that
does not answer for a minute, at each try of each job. So this is looked at before any job.
"""

import os
import re
import shutil
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from colorquant_airflow.environment import submit_environment

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: The connection of the DAGs.
CONNECTION = "spark_default"

_KNOWN = re.compile(r"local(?:\[[\w*]+(?: *, *\d+)?\])?|local-cluster\[.+\]|yarn|(?:spark|k8s)://\S+")
_DEFAULT_PORT = 7077
_PROPERTIES = "COMPRESSION_SPARK_PROPERTIES"
_SECONDS = 5.0


class UnusableSpark(LookupError):
    """No job can be submitted, and a retry is useless; the message says why, and what to do."""


class NoAnswer(ConnectionError):
    """The master does not answer; the message names it. It may come back."""


def spark_connection(name: str = CONNECTION) -> "Connection":
    """The Airflow connection of a name.

    Raises
    ------
    UnusableSpark
        Where there is none, or what it names cannot be a master; YARN needs the cluster's settings; and where this
        machine has no spark-submit, no Java, or no right to read the file of Spark properties.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    _require_properties()
    example = f'AIRFLOW_CONN_{name.upper()}=\'{{"conn_type": "spark", "host": "local[2]"}}\''
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException as error:
        raise UnusableSpark(
            f"There is no Airflow connection {name!r} that can be read. Make one of type spark, for example with the "
            f"environment variable {example}."
        ) from error
    master = master_of(connection)
    if not _KNOWN.fullmatch(master):
        raise UnusableSpark(
            f"The Airflow connection {name!r} names {master!r}, which is not a Spark master: its host is local[2], or "
            "spark://host:7077, for example."
        )
    if master == "yarn" and not (os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR")):
        raise UnusableSpark(
            f"The Airflow connection {name!r} names the master yarn, as it does where nobody has changed Airflow's "
            "default, and neither HADOOP_CONF_DIR nor YARN_CONF_DIR says where that cluster is. Change the host of the "
            f"connection, for example with the environment variable {example}; or set HADOOP_CONF_DIR."
        )
    _require_programs(connection.extra_dejson.get("spark-binary") or "spark-submit")
    return connection


def _require_programs(submit: str) -> None:
    if shutil.which(submit) is None:
        raise UnusableSpark(
            f"{submit} is not on the PATH of Airflow's workers: activate the environment of requirements.txt before "
            "you start Airflow."
        )
    if "JAVA_HOME" not in submit_environment() and shutil.which("java") is None:
        raise UnusableSpark("Spark needs Java 17 or newer: install it on Airflow's workers, or correct JAVA_HOME.")


def properties_file() -> str | None:
    """Path of the deployment's own Spark properties, which replace Spark's conf/spark-defaults.conf; None without any.

    The file may have secrets, and only those who run jobs need to read it: so its path is all that is checked here.

    Raises
    ------
    ValueError
        For a relative path, which would start wherever Airflow does.
    """
    path = os.environ.get(_PROPERTIES) or None
    if path and not os.path.isabs(path):
        raise ValueError(f"{_PROPERTIES}={path!r} is not an absolute path; write for example /etc/spark.properties")
    return path


def _require_properties() -> None:
    path = properties_file()
    try:
        if path:
            open(path).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnusableSpark(
            f"The file of Spark properties cannot be read: {_PROPERTIES}={path!r} ({reason}). Correct the path, or its "
            "rights for the user of Airflow's workers."
        ) from None


def master_of(connection: "Connection") -> str:
    """The master's URL, as the Spark provider reads it from a connection."""
    host = connection.host or ""
    if connection.conn_type == "spark" and host and ("://" in host or not connection.port):
        master = host
    else:
        master = f"{connection.conn_type}://{host}"
    return f"{master}:{connection.port}" if connection.port else master


def is_local(connection: "Connection") -> bool:
    """Whether all of Spark runs in one JVM of this machine."""
    return re.match(r"local(?:\[|$)", master_of(connection)) is not None


def require_answer(connection: "Connection") -> None:
    """Raise NoAnswer where no master of a standalone cluster accepts a connection within 5 seconds."""
    master = master_of(connection)
    if not master.startswith("spark://"):
        return
    why = ""
    for address in master.removeprefix("spark://").split(","):
        try:
            parts = urlsplit(f"//{address.strip()}")
            socket.create_connection((parts.hostname or "", parts.port or _DEFAULT_PORT), _SECONDS).close()
            return
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
    raise NoAnswer(
        f"The Spark master {master} of the Airflow connection {connection.conn_id!r} does not answer ({why}): start "
        "it, or correct the connection."
    )


def require_spark(name: str = CONNECTION) -> None:
    """Raise UnusableSpark where jobs of this connection would end without a result, whatever the images are."""
    connection = spark_connection(name)
    try:
        require_answer(connection)
    except NoAnswer as error:
        raise UnusableSpark(str(error)) from None
