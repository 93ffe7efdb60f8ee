"""The operator of one compression job: spark-submit, with this project's exit codes, and nothing left running."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

from colorquant.records import InvalidRecord, JobFailure

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Exit codes of compress_image.py after which another try of the same job would end the same.
_EXIT_WRONG_ARGUMENTS = 2
_EXIT_BAD_INPUT = 65


class CompressImageOperator(SparkSubmitOperator):
    """Submit ``compress_image.py`` for one (image, k).

    It is the provider's operator but for four things that this project needs:

    - nothing is rendered by Jinja: file names are data, and one may be called ``{{ ds }}.png``;
    - input that cannot be compressed (exit code 65) and wrong arguments (2) fail at once, other failures are retried;
    - a connection that does not exist is an error, where the provider would go on with a YARN cluster;
    - stopping the task ends every process of the job, where the provider ends the JVM only.

    Parameters
    ----------
    failure : path where the job writes why it failed (``JobFailure``), read back for the task's error message.
    """

    template_fields = ()

    def __init__(self, *, failure: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.failure = failure

    def execute(self, context: "Context") -> None:
        """Run the job. Raises AirflowFailException where a retry is useless, AirflowException where it is not."""
        # A reason that an earlier try left must not be taken for this one's.
        Path(self.failure).unlink(missing_ok=True)
        self._use_this_python()
        self._hook = self._get_hook()
        if shutil.which(self._hook._connection["spark_binary"]) is None:
            raise AirflowFailException(
                f"{self._hook._connection['spark_binary']} is not on the PATH of Airflow's workers: "
                "activate the environment of requirements.txt before you start Airflow."
            )
        try:
            super().execute(context)
        except AirflowException as error:
            self._fail(error)

    def on_kill(self) -> None:
        """End the JVM and all that it started: the Python driver would go on without it, and could still write."""
        submit = getattr(self._hook, "_submit_sp", None)
        processes = _process_tree(submit.pid) if submit is not None else []
        super().on_kill()
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=5)

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
            JobFailure(image=str(self.name), k=0, reason=reason, exit_code=exit_code or 1, retryable=True).write(
                self.failure
            )
        if exit_code in (_EXIT_WRONG_ARGUMENTS, _EXIT_BAD_INPUT):
            raise AirflowFailException(reason) from None
        raise AirflowException(reason) from error


def _process_tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; PySpark's worker daemon has a process group of its own, so: by parentage."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
