"""Airflow's services as child processes: one set for each home, started when needed, and all of them ended."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO

import httpx
import psutil

from colorquant_airflow import processes
from colorquant_airflow.checkout.api import AirflowApi
from colorquant_airflow.checkout.home import DAG_ID, PROJECT, SERVICES_OF, AirflowHome, free_port, is_free

_START_TIMEOUT = 180.0
# Airflow waits for its tasks. Spark jobs must end within 10 s after their Airflow was stopped.
_STOP_TIMEOUT = 6.0
_SWEEPS = 5
# Only the notice of a late run needs a triggerer.
_SERVICES_FOR = {
    "run": ("api-server", "scheduler", "dag-processor"),
    "ui": ("api-server", "scheduler", "dag-processor", "triggerer"),
}
# What Airflow's settings expand, and what ends a path in the URL of its database.
_EXPANDED = re.compile(r"[$%{}?#]")


class ServicesFailed(RuntimeError):
    """Airflow could not be started, or ended unexpectedly; the message says where its log is."""


@dataclass(frozen=True)
class Services:
    """A running Airflow.

    Attributes
    ----------
    api : AirflowApi
        The client of its REST API.
    own : bool
        Whether this process has just started it. Then no run in its database can be alive.
    """

    api: AirflowApi
    own: bool


@contextmanager
def airflow_services(
    home: AirflowHome, purpose: str, port: int | None = None, schedule: bool = False
) -> Iterator[Services]:
    """Within the block, run the Airflow of a home.

    If ``make ui`` runs it already, that one is used. Otherwise processes that a killed Airflow left behind are ended,
    the services are started, and at the end of the block they and all their descendants are ended.

    Parameters
    ----------
    purpose : str
        "run" or "ui".
    port : int, optional
        Of the API server and UI; by default a free one.
    schedule : bool
        Whether the DAG runs at night by its schedule.

    Raises
    ------
    ServicesFailed
    """
    for folder in (PROJECT, home.folder):
        if odd := _EXPANDED.search(str(folder)):
            raise ServicesFailed(
                f"Airflow cannot work in a folder whose path has a {odd[0]!r}: {folder}; rename or move it, or name "
                "another home with KMEANS_AIRFLOW_HOME"
            )
    try:
        home.make()
        lock = open(home.lock_file, "a+")
    except OSError as error:
        raise ServicesFailed(
            f"{home.folder} cannot be used ({error.strerror}); name a folder of your own with "
            "KMEANS_AIRFLOW_HOME=/your/folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Services(_join(home, lock.name), own=False)
            return
        end_processes_of(home)
        if port and not is_free(port):
            raise ServicesFailed(f"port {port} of 127.0.0.1 is taken by another program; name another one with PORT")
        port = port or free_port()
        _write_holder(lock.name, purpose, port)
        environment = home.environment(port, schedule)
        services: dict[str, subprocess.Popen[bytes]] = {}
        try:
            with open(home.log_file, "wb") as log:
                _prepare_database(home, environment, log)
                for name in _SERVICES_FOR[purpose]:
                    services[name] = _started([name], environment, log)
            yield Services(_wait_until_ready(home, services, port), own=True)
        finally:
            _stop(home, list(services.values()))


def interrupt_on_signals() -> None:
    """Let Ctrl-C, ``kill`` and a closed terminal raise KeyboardInterrupt, so that the services are stopped.

    Ctrl-C needs this too: a shell starts a background job with SIGINT ignored, and Python inherits that.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def end_processes_of(home: AirflowHome) -> None:
    """Kill the services of a home, their tasks and Spark jobs; a mark in their environment identifies them."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    # A process that is just starting shows no environment, and new ones may start during a sweep.
    for _ in range(_SWEEPS):
        left = [process for process in psutil.process_iter() if process.pid not in own and _belongs(process, home)]
        if not left:
            break
        processes.end(left)


def _belongs(process: psutil.Process, home: AirflowHome) -> bool:
    try:
        return process.environ().get(SERVICES_OF) == str(home.folder)
    except psutil.Error:
        return False


def _join(home: AirflowHome, lock_file: str) -> AirflowApi:
    holder = json.loads(Path(lock_file).read_text() or "{}")
    if holder.get("purpose") != "ui":
        raise ServicesFailed(
            f"another `make {holder.get('purpose', 'run')}` (process {holder.get('pid')}) uses {home.folder}; "
            "wait until it ends, or use another checkout"
        )
    try:
        return AirflowApi(holder["port"], home.password())
    except (httpx.HTTPError, OSError) as error:
        raise ServicesFailed(
            f"the Airflow of `make ui` (process {holder.get('pid')}) is starting or stopping; try again in a moment"
        ) from error


def _write_holder(lock_file: str, purpose: str, port: int) -> None:
    Path(lock_file).write_text(json.dumps({"purpose": purpose, "pid": os.getpid(), "port": port}))


def _started(command: list[str], environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "airflow", *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,  # Ctrl-C then reaches only this process, which stops them in order.
    )


def _prepare_database(home: AirflowHome, environment: dict[str, str], log: IO[bytes]) -> None:
    """Make or migrate the database, unless this version of Airflow has done so: that takes as long as a service."""
    migrated, version_of = home.folder / "airflow.db.version", metadata.version("apache-airflow-core")
    if home.database.exists() and migrated.exists() and migrated.read_text() == version_of:
        return
    migrated.unlink(missing_ok=True)
    if code := _started(["db", "migrate"], environment, log).wait():
        raise ServicesFailed(f"Airflow could not make its database (exit code {code}); see {home.log_file}")
    migrated.write_text(version_of)


def _wait_until_ready(home: AirflowHome, services: dict[str, subprocess.Popen[bytes]], port: int) -> AirflowApi:
    """Wait for a healthy scheduler and DAG processor, and for the DAG to be parsed."""
    started = datetime.now(UTC)
    deadline = time.monotonic() + _START_TIMEOUT
    api = None
    while time.monotonic() < deadline:
        for name, service in services.items():
            if service.poll() is not None:
                raise ServicesFailed(f"Airflow's {name} ended with exit code {service.returncode}; see {home.log_file}")
        if api is None and AirflowApi.is_healthy(port):
            api = AirflowApi(port, home.password())
        if api is not None:
            errors = api.import_errors(since=started)
            if errors:
                raise ServicesFailed("the DAG cannot be imported:\n" + "\n".join(errors))
            if api.is_parsed(DAG_ID, since=started):
                return api
        time.sleep(0.5)
    raise ServicesFailed(f"Airflow was not ready within {_START_TIMEOUT:.0f} s; see {home.log_file}")


def _stop(home: AirflowHome, services: list[subprocess.Popen[bytes]]) -> None:
    for service in services:
        service.terminate()
    deadline = time.monotonic() + _STOP_TIMEOUT
    for service in services:
        with suppress(subprocess.TimeoutExpired):
            service.wait(timeout=max(0.0, deadline - time.monotonic()))
    end_processes_of(home)
