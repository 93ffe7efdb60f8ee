"""A job whose cluster gives it no worker: Spark waits for ever, and says so in its log every 15 seconds."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from airflow.sdk.exceptions import AirflowException

from colorquant.jobs import EXIT_FAILED, JobFailure
from colorquant.storage import remove

_SAID = "Initial job has not accepted any resources"


class WaitForWorkers:
    """Sees in the lines of spark-submit that a job waits; tells it at once, and ends the job when it waits too long.

    Parameters
    ----------
    master : str
        The URL of the Spark master.
    failure : str
        Path of the job's failure, which says meanwhile what it waits for.
    limit : timedelta
        How long the job may wait for its first worker.
    """

    def __init__(self, master: str, failure: str, limit: timedelta) -> None:
        self._path, self._limit = failure, limit
        self._since: float | None = None
        minutes = round(limit.total_seconds() / 60)
        reason = (
            f"The Spark cluster {master} has no worker with free cores and memory for this job. Start workers, let "
            "other applications end, or lower spark.executor.memory in COMPRESSION_SPARK_CONF. A job waits at most "
            f"{minutes} minutes (COMPRESSION_WORKER_TIMEOUT)."
        )
        #: What is told while the job waits. It is not why a job failed that has gone on.
        self.note = JobFailure.of(EXIT_FAILED, reason)

    def see(self, lines: Iterable[str]) -> Iterator[str]:
        """Pass lines on. Raises AirflowException, with a failure that is not retried, where the job waits too long."""
        for line in lines:
            if _SAID in line:
                self._wait()
            yield line

    def end(self) -> None:
        """Tell no longer that the job waits: it has ended well."""
        if self._since is not None:
            remove(self._path)

    def _wait(self) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            print(self.note.reason)
            self.note.leave(self._path)
        elif now - self._since >= self._limit.total_seconds():
            replace(self.note, retryable=False).leave(self._path)  # So long a wait was the retry.
            raise AirflowException(self.note.reason)
