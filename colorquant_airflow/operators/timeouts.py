"""How long a Spark application may take, or wait, before its task is stopped: settings of the deployment."""

import os
import re
from datetime import timedelta


def timeout(variable: str, minutes: int) -> timedelta:
    """Read a number of minutes from an environment variable; ``minutes`` is the default.

    Raises
    ------
    ValueError
        For anything but a whole number of minutes, at least 1. Airflow shows the message as the DAG's import error.
    """
    text = os.environ.get(variable, "").strip() or str(minutes)
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise ValueError(f"{variable}={text!r} is not a timeout: give whole minutes, for example 120")
    return timedelta(minutes=int(text))


#: Of one image at one palette size.
JOB_TIMEOUT = timeout("COMPRESSION_JOB_TIMEOUT", 2 * 60)
#: Until a job has its first worker of a Spark cluster.
WORKER_TIMEOUT = timeout("COMPRESSION_WORKER_TIMEOUT", 10)
#: Of the application that compresses a whole library.
CORPUS_TIMEOUT = timeout("COMPRESSION_CORPUS_TIMEOUT", 2 * 24 * 60)
