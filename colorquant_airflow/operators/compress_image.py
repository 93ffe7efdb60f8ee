"""The operator of one compression job: spark-submit, with this project's exit codes, and nothing left running."""

import ctypes
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

from colorquant.errors import InvalidRecord
from colorquant.jobs import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_WRONG_ARGUMENTS, JobFailure
from colorquant.storage import remove
from colorquant_airflow.dag.storage_connection import use_storage
from colorquant_airflow.operators import processes
from colorquant_airflow.operators.class_archive import class_archive, spark_home
from colorquant_airflow.operators.spark_conf import SHORT_LIVED
from colorquant_airflow.pages.links import ResultLink

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.sdk import Context

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_PR_SET_PDEATHSIG = 1


class CompressImageOperator(SparkSubmitOperator):
    """Submit ``compress_image.py`` for one (image, k).

    It is the provider's operator but for five things that this project needs:

    - nothing is rendered by Jinja: file names are data, and one may be called ``{{ ds }}.png``;
    - input that cannot be compressed (exit code 65) and wrong arguments (2) fail at once, other failures are retried;
    - a connection that does not exist is an error, where the provider would go on with a YARN cluster;
    - stopping the task, in whatever way, ends every process of the job, where the provider ends the JVM only;
    - the JVM starts from an archive of its classes (``class_archive``).

    Parameters
    ----------
    failure : path where the job writes why it failed (``JobFailure``), read back for the task's error message.
    """

    template_fields = ()
    operator_extra_links = (ResultLink(),)
    _is_stopped = False

    def __init__(self, *, failure: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.failure = failure

    def execute(self, context: "Context") -> None:
        """Run the job. Raises AirflowFailException where a retry is useless, AirflowException where it is not."""
        use_storage(context.get("params") or {})
        # A reason that an earlier try left must not be taken for this one's.
        remove(self.failure)
        self._use_this_python()
        options = (self.conf or {}).get(_JAVA_OPTIONS, "")
        with _ended_with_parent(), class_archive(options) as archive:
            if BaseHook.get_connection(self._conn_id).extra_dejson.get("deploy-mode") != "cluster":
                # The driver's JVM runs here.
                self.conf = (self.conf or {}) | {_JAVA_OPTIONS: f"{options} {archive}".strip()}
            self._hook = self._get_hook()
            if shutil.which(self._hook._connection["spark_binary"]) is None:
                raise AirflowFailException(
                    f"{self._hook._connection['spark_binary']} is not on the PATH of Airflow's workers: "
                    "activate the environment of requirements.txt before you start Airflow."
                )
            self._make_stoppable(self._hook)
            try:
                super().execute(context)
                if self._is_stopped:
                    # Airflow goes on after on_kill. Who waits for the processes there takes spark-submit's exit code
                    # away, and the provider sees a 0.
                    raise AirflowException("the task was stopped in the middle of its job")
            except AirflowException as error:
                self._fail(error)
            finally:
                # Also after what nobody foresaw: a task that has ended must have no job that goes on.
                self._end_processes()

    def on_kill(self) -> None:
        """End the JVM and all that it started: the Python driver would go on without it, and could still write."""
        self._is_stopped = True
        if self._hook is not None:  # Else the provider would look up the connection, which it may be doing just now.
            job = self._processes()
            super().on_kill()
            processes.end(job)

    def _make_stoppable(self, hook: "SparkSubmitHook") -> None:
        """Let a stop count also where it comes before the job, or while its process is being started."""
        submit, read_log = hook.submit, hook._process_spark_submit_log

        def submit_unless_stopped(application: str = "") -> str | None:
            if self._is_stopped:
                raise AirflowException("the task was stopped before its job began")
            return submit(application, preexec_fn=_ending_with_parent(), env=_submit_environment())

        def read_log_unless_stopped(lines: Iterator[str]) -> None:
            if self._is_stopped:  # Now the process is known, which it may not have been when on_kill was called.
                self._end_processes()
            read_log(lines)

        hook.submit = submit_unless_stopped  # type: ignore[method-assign,assignment]
        hook._process_spark_submit_log = read_log_unless_stopped  # type: ignore[method-assign,assignment]

    def _end_processes(self) -> None:
        processes.end(self._processes())

    def _processes(self) -> list[psutil.Process]:
        submit = getattr(self._hook, "_submit_sp", None)
        return processes.tree(submit.pid) if submit is not None and submit.poll() is None else []

    def _use_this_python(self) -> None:
        """Run the driver, and in local mode the workers, by the interpreter that has this project's packages."""
        try:
            connection = BaseHook.get_connection(self._conn_id)
        except AirflowNotFoundException as error:
            raise AirflowFailException(
                f"There is no Airflow connection {self._conn_id!r}. Make one of type spark, for example by the "
                f"environment variable AIRFLOW_CONN_{self._conn_id.upper()}="
                '\'{"conn_type": "spark", "host": "local[2]"}\'.'
            ) from error
        python = {"spark.pyspark.driver.python": sys.executable}
        if (connection.host or "").startswith("local"):
            python["spark.pyspark.python"] = sys.executable
        self.conf = python | (self.conf or {})

    def _fail(self, error: AirflowException) -> NoReturn:
        exit_code = self._hook._submit_sp.returncode if self._hook and self._hook._submit_sp else None
        try:
            reason = JobFailure.read(self.failure).reason
        except (OSError, InvalidRecord):
            reason = f"spark-submit ended with exit code {exit_code}; its last lines are above"
            if self._is_stopped:
                reason = str(error)
            JobFailure.of(exit_code or EXIT_FAILED, reason).leave(self.failure)
        if exit_code in (EXIT_WRONG_ARGUMENTS, EXIT_BAD_INPUT):  # Another try of the same job would end the same.
            raise AirflowFailException(reason) from None
        raise AirflowException(reason) from error


def _submit_environment() -> dict[str, str]:
    """The environment of spark-submit, whose scripts start a Python to find Spark and a JVM to make one command."""
    ours = {"SPARK_LAUNCHER_OPTS": SHORT_LIVED}
    installed = shutil.which("spark-submit")
    if installed and Path(installed).parent == Path(sys.executable).parent and (home := spark_home()):
        ours["SPARK_HOME"] = str(home)
    environment = ours | os.environ
    if environment.get("LC_ALL") in ("C", "POSIX"):
        # There a JVM makes question marks of what is not ASCII in its arguments, and so in an image's path.
        environment["LC_ALL"] = "C.UTF-8"
    return environment


def _ending_with_parent() -> Callable[[], None] | None:
    """What makes a child process end when this one does, however that is (Linux); its Python driver watches it."""
    if not sys.platform.startswith("linux"):
        return None
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return in_child


@contextmanager
def _ended_with_parent() -> Iterator[None]:
    """Within the block, end this task when Airflow's supervisor of it is gone: nobody would take its result.

    Airflow runs a task in a child process of its supervisor. Where an operator is run by hand, by
    ``airflow dags test`` say, the parent is a shell, which may go without that meaning anything.
    """
    parent = os.getppid()
    try:
        is_airflow = any("airflow" in part for part in psutil.Process(parent).cmdline())
    except psutil.Error:
        is_airflow = False
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)  # At which Airflow calls on_kill.
                time.sleep(8.0)
                os.kill(os.getpid(), signal.SIGKILL)

    if is_airflow:
        threading.Thread(target=watch, daemon=True, name="supervisor-watch").start()
    try:
        yield
    finally:
        over.set()
