"""The private Airflow of this checkout: where it keeps its state, and the environment that its processes get."""

import json
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

PROJECT = Path(__file__).resolve().parents[2]
DAG_ID = "kmeans_image_compression"
#: Of Airflow's settings in the caller's environment, which may be of another Airflow, those that are taken over.
_OF_CALLERS = {"AIRFLOW__CORE__MAX_MAP_LENGTH"}
#: Marks the processes of a home's services. AIRFLOW_HOME would not do: who uses Airflow's commands on this home exports
#: it, and then starts an editor from that shell.
SERVICES_OF = "KMEANS_SERVICES_OF"
_BYTES_FOR_EACH_JOB = 1_500_000_000


@dataclass(frozen=True)
class AirflowHome:
    """A folder with an Airflow of its own: SQLite, local executor, logs, secrets.

    Attributes
    ----------
    folder : the AIRFLOW_HOME.
    jobs_at_once : slots of the pool ``spark``.
    """

    folder: Path
    jobs_at_once: int

    @classmethod
    def of_this_checkout(cls) -> Self:
        """The home below the checkout (or where KMEANS_AIRFLOW_HOME says), sized for this machine."""
        folder = Path(os.environ.get("KMEANS_AIRFLOW_HOME", PROJECT / ".airflow")).absolute()
        by_memory = psutil.virtual_memory().available // _BYTES_FOR_EACH_JOB
        return cls(folder, max(1, min(os.cpu_count() or 1, by_memory)))

    @property
    def lock_file(self) -> Path:
        """Locked as long as a process of this project runs an Airflow here."""
        return self.folder / "services.lock"

    @property
    def log_file(self) -> Path:
        """What Airflow's services print."""
        return self.folder / "services.log"

    def make(self) -> None:
        """Make the folder, for its owner's eyes only: Airflow writes the UI's password with the usual mode.

        The processes keep their umask, with which they write outputs, reports and what is published.

        Raises
        ------
        PermissionError
            Where it is another user's, and open to all.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def password(self) -> str:
        """Password of the UI's user ``admin``, which Airflow draws at its first start."""
        passwords = self.folder / "simple_auth_manager_passwords.json.generated"
        return json.loads(passwords.read_text())["admin"]

    def environment(self, port: int, schedule: bool) -> dict[str, str]:
        """Environment of all processes of this Airflow.

        Parameters
        ----------
        port : of the API server and UI, on 127.0.0.1.
        schedule : whether the DAG's nightly schedule is in force.
        """
        ours = {
            "AIRFLOW_HOME": str(self.folder),
            SERVICES_OF: str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # The executor starts as many idle workers as this says: the Spark jobs, and one for the other tasks.
            "AIRFLOW__CORE__PARALLELISM": str(self.jobs_at_once + 1),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secret("api"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret("jwt"),
            # A task fails if the API server takes longer to answer its first call: 5 s by default, too few while
            # Spark jobs use all cores.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # Fixed ports would clash with another Airflow on this machine.
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONWARNINGS": "ignore",
            # Airflow's processes name themselves by setproctitle, which wipes their environment out of /proc unless
            # told not to; `services.end_processes_of` finds them by it.
            "SPT_NOENV": "1",
        }
        if not schedule:
            ours["COMPRESSION_SCHEDULE"] = "none"
        theirs = {
            key: value for key, value in os.environ.items() if key in _OF_CALLERS or not key.startswith("AIRFLOW__")
        }
        theirs.setdefault(
            "AIRFLOW_CONN_SPARK_DEFAULT",
            json.dumps({"conn_type": "spark", "host": f"local[{min(2, os.cpu_count() or 1)}]"}),
        )
        return theirs | ours

    def _secret(self, name: str) -> str:
        file = self.folder / f"{name}.secret"
        if not file.exists():
            self.make()
            with open(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as stream:
                stream.write(secrets.token_hex(32))
        return file.read_text()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
