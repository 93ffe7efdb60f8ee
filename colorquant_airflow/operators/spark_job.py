"""The base of this project's operators: spark-submit, with exit codes that have a meaning, and nothing left running."""

import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import psutil
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from colorquant.errors import InvalidRecord
from colorquant.jobs import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    EXIT_WRONG_ARGUMENTS,
    JobFailure,
    note_kill,
    refusal_for_kills,
)
from colorquant.storage import remove
from colorquant_airflow import private, processes
from colorquant_airflow.environment import submit_environment
from colorquant_airflow.operators.class_archive import class_archive
from colorquant_airflow.operators.orphans import parent_death_signal, supervisor_watch
from colorquant_airflow.operators.submit_log import SubmitFailure, SubmitLog
from colorquant_airflow.operators.timeouts import WORKER_TIMEOUT
from colorquant_airflow.operators.waiting import WaitForWorkers
from colorquant_airflow.spark_master import (
    NoAnswer,
    UnusableSpark,
    is_local,
    master_of,
    require_answer,
    spark_connection,
)
from colorquant_airflow.storage_connection import use_storage

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.sdk import Connection, Context

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# What ends a process that asks for too much or crashes. A shell, and a JVM for its driver, report a signal as 128 + it.
_SIGNALS_OF_KILLS = frozenset(
    {signal.SIGKILL, signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV, signal.SIGXCPU, signal.SIGILL, signal.SIGFPE}
)


class SparkJobOperator(SparkSubmitOperator):
    """Submit a Spark application of this project.

    It differs from the provider's operator in nine points:

    - Jinja renders no field: a file may be called ``{{ ds }}.png``;
    - exit codes 65 (the input cannot be compressed) and 2 (wrong arguments) fail at once; other failures are retried;
    - a missing connection, or one to a YARN cluster that is not there, is an error (``spark_master``);
    - a job that waits for a worker of its cluster says so, and ends after a time (``waiting``);
    - of spark-submit's output the line that matters is the reason, and what cannot change is not retried;
    - stopping the task, in whatever way, ends every process of the job, where the provider ends the JVM only;
    - the JVM starts from an archive of its classes (``class_archive``);
    - the job's environment has no secrets of Airflow (``colorquant_airflow.environment``);
    - an image that ended the process of its job twice is refused (``jobs.note_kill``).

    Subclasses implement ``execute`` with ``run_application``.
    """

    template_fields = ()
    _is_stopped = False
    _submit_log = SubmitLog()
    _wait: WaitForWorkers

    def run_application(self, context: "Context", failure: str, kills: str | None = None) -> None:
        """Submit the application, and wait for its end.

        Parameters
        ----------
        failure : str
            Path where the application writes why it failed (``JobFailure``). It becomes the task's error message.
        kills : str, optional
            Path of what is known of processes that the application's image ended (``Job.kills``). An image that ended
            too many is refused before anything starts.

        Raises
        ------
        AirflowFailException
            Where a retry is useless.
        AirflowException
            Where a retry may help.
        """
        use_storage(context.get("params") or {})
        processes.allow_open_files()
        self._submit_log = SubmitLog()
        remove(failure)  # An earlier try may have left one.
        self._refuse_for_kills(kills, failure)
        connection = self._spark_connection(failure)
        self._use_this_python(connection)
        self._wait = WaitForWorkers(master_of(connection), failure, WORKER_TIMEOUT)
        options = (self.conf or {}).get(_JAVA_OPTIONS, "")
        environment = submit_environment(is_local(connection))
        with supervisor_watch(), class_archive(options, environment) as archive:
            if connection.extra_dejson.get("deploy-mode") != "cluster":  # The driver's JVM runs on this machine.
                self.conf = (self.conf or {}) | {_JAVA_OPTIONS: f"{options} {archive}".strip()}
            hook = private.make_hook(self)
            self._make_stoppable(hook, environment)
            try:
                super().execute(context)
                if self._is_stopped:
                    # Airflow lets `execute` go on after `on_kill`. The wait for the processes there has taken
                    # spark-submit's exit code, so the provider sees a 0.
                    raise AirflowException("the task was stopped in the middle of its job")
                self._wait.end()
            except AirflowTaskTimeout:
                reason = f"the job took longer than its time limit of {self.execution_timeout}"
                JobFailure.of(EXIT_FAILED, reason, killed=True).leave(failure)
                self._note_kill(context, kills, reason)
                raise
            except AirflowException as error:
                self._fail(context, error, failure, kills)
            finally:
                # Also after an unforeseen exception: no job may go on after its task has ended.
                self._end_processes()

    def argument(self, name: str) -> str:
        """The value of an argument of the application, which is given as ``--name=value``."""
        start = f"--{name}="
        return next(each.removeprefix(start) for each in self.application_args or () if each.startswith(start))

    def on_kill(self) -> None:
        """End the JVM and all its descendants: the Python driver would go on without the JVM, and could still write."""
        self._is_stopped = True
        if private.hook_of(self) is not None:  # Without one the provider would look the connection up.
            job = self._processes()
            super().on_kill()
            processes.end(job)

    def _make_stoppable(self, hook: "SparkSubmitHook", environment: dict[str, str]) -> None:
        """Let a stop work also before the job has started, or while its process is being started."""
        submit, environment = hook.submit, environment | private.take_environment(hook)

        def submit_unless_stopped(application: str = "") -> str | None:
            if self._is_stopped:
                raise AirflowException("the task was stopped before its job began")
            # The provider has added settings of OpenLineage to a new dict since the hook was made.
            private.use_conf(hook, self.conf or {})
            return submit(application, preexec_fn=parent_death_signal(), env=environment)

        def end_if_stopped() -> None:
            if self._is_stopped:  # When on_kill was called, the process may not have been known.
                self._end_processes()

        hook.submit = submit_unless_stopped  # type: ignore[method-assign,assignment]
        private.before_log(hook, end_if_stopped, lambda lines: self._submit_log.keep(self._wait.see(lines)))

    def _end_processes(self) -> None:
        processes.end(self._processes())

    def _processes(self) -> list[psutil.Process]:
        submit = private.submit_process(private.hook_of(self))
        return processes.tree(submit.pid) if submit is not None and submit.poll() is None else []

    def _spark_connection(self, failure: str) -> "Connection":
        try:
            connection = spark_connection(private.connection_id(self))
            require_answer(connection)
        except UnusableSpark as error:
            JobFailure.of(EXIT_WRONG_ARGUMENTS, str(error)).leave(failure)
            raise AirflowFailException(str(error)) from None
        except NoAnswer as error:
            JobFailure.of(EXIT_FAILED, str(error)).leave(failure)
            raise AirflowException(str(error)) from None
        return connection

    def _use_this_python(self, connection: "Connection") -> None:
        """Run the driver, and in local mode the workers, with the interpreter that has this project's packages.

        In local mode Spark does not ask for the name of this machine, which DNS may not know.
        """
        conf = {"spark.pyspark.driver.python": sys.executable}
        if is_local(connection):
            conf |= {"spark.pyspark.python": sys.executable, "spark.driver.host": "127.0.0.1"}
        self.conf = conf | (self.conf or {})

    def _refuse_for_kills(self, kills: str | None, failure: str) -> None:
        """Raise AirflowFailException for an image that has ended too many processes."""
        if kills and (refusal := refusal_for_kills(kills, str(self.name))):
            JobFailure.of(EXIT_BAD_INPUT, refusal).leave(failure)
            raise AirflowFailException(refusal)

    def _note_kill(self, context: "Context", kills: str | None, reason: str) -> None:
        task = context.get("ti")
        if kills and task is not None:
            with suppress(OSError):  # Without this memory, the image is only tried once more.
                note_kill(kills, f"{task.run_id} {task.map_index} {task.try_number}", reason)

    def _fail(self, context: "Context", error: AirflowException, path: str, kills: str | None) -> NoReturn:
        submit = private.submit_process(private.hook_of(self))
        exit_code = submit.returncode if submit else None
        failure = self._left(path)
        if failure is None:
            said = self._submit_log.failure(exit_code)
            if self._is_stopped:
                said = SubmitFailure(str(error))
            killed = not self._is_stopped and _is_kill(exit_code)
            failure = JobFailure.of(exit_code or EXIT_FAILED, said.reason, killed=killed, lasting=not said.retryable)
            failure.leave(path)
        if failure.killed:
            self._note_kill(context, kills, failure.reason)
        reason = failure.reason
        if (
            exit_code in (EXIT_WRONG_ARGUMENTS, EXIT_BAD_INPUT) or not failure.retryable
        ):  # Another try of the same job would end the same.
            raise AirflowFailException(reason) from None
        raise AirflowException(reason) from error

    def _left(self, path: str) -> JobFailure | None:
        """The failure that the application has left; None where it has left none that can be read."""
        with suppress(OSError, InvalidRecord):
            failure = JobFailure.read(path)
            return None if failure == self._wait.note else failure
        return None


def _is_kill(exit_code: int | None) -> bool:
    """Whether an exit code means that the kernel or a crash ended a process, and not a person who stopped it."""
    return exit_code is not None and (-exit_code in _SIGNALS_OF_KILLS or exit_code - 128 in _SIGNALS_OF_KILLS)
