"""Airflow's services as child processes: one set for each home, started when needed, and none left behind."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

from colorquant_airflow.checkout.api import AirflowApi
from colorquant_airflow.checkout.home import DAG_ID, SERVICES_OF, AirflowHome, free_port
from colorquant_airflow.operators import processes

_START_TIMEOUT = 180.0
# Airflow waits for its tasks; Spark jobs are not to live longer than 10 s after their Airflow was stopped.
_STOP_TIMEOUT = 6.0
_SWEEPS = 5


class ServicesFailed(RuntimeError):
    """Airflow could not be started, or stopped by itself; the message says where its log is."""


@dataclass(frozen=True)
class Services:
    """A running Airflow. ``own`` is whether it was started just now, so that no live run can be in its database."""

    api: AirflowApi
    own: bool


@contextmanager
def airflow_services(
    home: AirflowHome, purpose: str, port: int | None = None, schedule: bool = False
) -> Iterator[Services]:
    """Have Airflow run for this home.

    An Airflow that ``make ui`` runs here already is used as it is. Otherwise what a killed one left running is ended,
    the services are started, and stopped at the end with every process that they started.

    Raises
    ------
    ServicesFailed
    """
    try:
        home.make()
    except PermissionError as error:
        raise ServicesFailed(
            f"{home.folder} is another user's; give Airflow a folder of your own by KMEANS_AIRFLOW_HOME=/your/folder"
        ) from error
    with open(home.lock_file, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Services(_join(home, lock.name), own=False)
            return
        end_processes_of(home)
        port = port or free_port()
        _write_holder(lock.name, purpose, port)
        environment = home.environment(port, schedule)
        with open(home.log_file, "wb") as log:
            services = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for this process, which then stops them in order.
            )
        try:
            yield Services(_wait_until_ready(home, services, port), own=True)
        finally:
            _stop(home, services)


def interrupt_on_signals() -> None:
    """Let Ctrl-C, `kill` and a closed terminal end the program by KeyboardInterrupt, so that services are stopped.

    Ctrl-C too: a shell starts a background job with it ignored, which Python would inherit.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def end_processes_of(home: AirflowHome) -> None:
    """Kill what this home's services started, by the mark in its environment: themselves, tasks, and Spark jobs."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    # A process that is just starting shows no environment, and one may start while the others are looked at.
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
            f"another `make {holder.get('purpose', 'run')}` (process {holder.get('pid')}) is at work in {home.folder}; "
            "wait for its end, or use another checkout"
        )
    try:
        return AirflowApi(holder["port"], home.password())
    except (httpx.HTTPError, OSError) as error:
        raise ServicesFailed(
            f"the Airflow of `make ui` (process {holder.get('pid')}) is starting or stopping; try again in a moment"
        ) from error


def _write_holder(lock_file: str, purpose: str, port: int) -> None:
    Path(lock_file).write_text(json.dumps({"purpose": purpose, "pid": os.getpid(), "port": port}))


def _wait_until_ready(home: AirflowHome, services: subprocess.Popen[bytes], port: int) -> AirflowApi:
    """Wait for a healthy scheduler and DAG processor, and for the DAG to be parsed."""
    started = datetime.now(UTC)
    deadline = time.monotonic() + _START_TIMEOUT
    api = None
    while time.monotonic() < deadline:
        if services.poll() is not None:
            raise ServicesFailed(f"Airflow ended with exit code {services.returncode}; see {home.log_file}")
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


def _stop(home: AirflowHome, services: subprocess.Popen[bytes]) -> None:
    services.send_signal(signal.SIGINT)  # What `airflow standalone` stops at.
    try:
        services.wait(timeout=_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        pass
    end_processes_of(home)
