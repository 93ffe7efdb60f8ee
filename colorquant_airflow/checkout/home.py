"""The private Airflow of this checkout: the folder of its state, and the environment of its processes."""

import errno
import json
import os
import random
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from colorquant.storage import ALLOWED_ROOTS, STORES
from colorquant_airflow.allowed import ALL
from colorquant_airflow.environment import airflow_environment

PROJECT = Path(__file__).resolve().parents[2]
DAG_ID = "kmeans_image_compression"
#: Marks the processes of a home's services. AIRFLOW_HOME cannot do that: a user may export it for Airflow's commands,
#: and start other programs from the same shell.
SERVICES_OF = "KMEANS_SERVICES_OF"
_BYTES_FOR_EACH_JOB = 1_500_000_000
# Below net.ipv4.ip_local_port_range, above the ports that services are known by.
_PORTS = range(20_000, 32_768)


@dataclass(frozen=True)
class AirflowHome:
    """A folder with an Airflow of its own: SQLite, local executor, logs, secrets.

    Attributes
    ----------
    folder : Path
        The AIRFLOW_HOME.
    jobs_at_once : int
        Slots of the pool ``spark``.
    """

    folder: Path
    jobs_at_once: int

    @classmethod
    def of_this_checkout(cls) -> Self:
        """The home in the checkout (or in KMEANS_AIRFLOW_HOME), with a pool that fits this machine."""
        folder = Path(os.environ.get("KMEANS_AIRFLOW_HOME", PROJECT / ".airflow")).absolute()
        by_memory = psutil.virtual_memory().available // _BYTES_FOR_EACH_JOB
        return cls(folder, max(1, min(os.cpu_count() or 1, by_memory)))

    @property
    def lock_file(self) -> Path:
        """Locked while a process of this project runs an Airflow in this home."""
        return self.folder / "services.lock"

    @property
    def log_file(self) -> Path:
        """The output of Airflow's services."""
        return self.folder / "services.log"

    @property
    def database(self) -> Path:
        """Airflow's SQLite database, where its settings put it by default."""
        return self.folder / "airflow.db"

    def make(self) -> None:
        """Make the folder, readable by its owner only, because Airflow writes the UI's password with the default mode.

        The processes keep their umask for outputs, reports and published files.

        Raises
        ------
        PermissionError
            If it is another user's folder, and open to all.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def password(self) -> str:
        """Password of the UI's user ``admin``, which Airflow generates when it starts for the first time."""
        passwords = self.folder / "simple_auth_manager_passwords.json.generated"
        return json.loads(passwords.read_text())["admin"]

    def environment(self, port: int, schedule: bool) -> dict[str, str]:
        """Environment of all processes of this Airflow.

        Parameters
        ----------
        port : int
            Of the API server and UI, on 127.0.0.1.
        schedule : bool
            Whether the DAG runs at night by its schedule.
        """
        theirs = airflow_environment()
        ours = {
            "AIRFLOW_HOME": str(self.folder),
            SERVICES_OF: str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # By default Airflow asks DNS for this machine's full name, which may take seconds, or fail.
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # The executor starts this number of idle workers: for the Spark jobs, and one for the other tasks.
            "AIRFLOW__CORE__PARALLELISM": str(self.jobs_at_once + 1),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secret("api"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret("jwt"),
            # A task fails if the API server does not answer its first call in time. The default of 5 s is too short
            # while Spark jobs use all cores.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # Fixed ports would clash with another Airflow on this machine.
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), theirs.get("PATH", os.defpath)]),
            "PYTHONWARNINGS": "ignore",
            # `services.end_processes_of` finds processes by their environment in /proc. Airflow names its processes
            # with setproctitle, which would overwrite that.
            "SPT_NOENV": "1",
        }
        if not schedule:
            ours["COMPRESSION_SCHEDULE"] = "none"
            # Who waits for `make run` sees that it is late; and it has no triggerer, which would tell.
            ours["COMPRESSION_DEADLINE"] = ""
        # Whoever starts this Airflow is its only user, and names folders on the command line.
        everything = ",".join(["/", *(f"{scheme}://" for scheme in STORES)])
        allowed = {ALLOWED_ROOTS: everything, "COMPRESSION_ALLOWED_CONNECTIONS": ALL}
        theirs |= {name: value for name, value in allowed.items() if not theirs.get(name)}
        # Nobody expects that a private Airflow removes results by itself.
        theirs = {"COMPRESSION_MAINTENANCE_SCHEDULE": "none"} | theirs
        if not theirs.get("AIRFLOW_CONN_SPARK_DEFAULT"):
            host = f"local[{min(2, os.cpu_count() or 1)}]"
            theirs["AIRFLOW_CONN_SPARK_DEFAULT"] = json.dumps({"conn_type": "spark", "host": host})
        return theirs | ours

    def _secret(self, name: str) -> str:
        file = self.folder / f"{name}.secret"
        if not file.exists():
            self.make()
            with open(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as stream:
                stream.write(secrets.token_hex(32))
        return file.read_text()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free, and likely to be free in a minute, when a service of Airflow binds it.

    The kernel gives none of these ports to a connection of another program, as it does with those that it chooses.
    """
    for port in random.SystemRandom().sample(_PORTS, 100):
        if is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, "no TCP port of 127.0.0.1 is free")


def is_free(port: int) -> bool:
    """Whether a server can use a TCP port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # As a server does: what was closed just now is free.
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
