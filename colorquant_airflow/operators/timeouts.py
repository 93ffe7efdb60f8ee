"""How long a Spark application may take before it is stopped: settings of the deployment."""

import os
import re
from datetime import timedelta


def timeout(variable: str, minutes: int) -> timedelta:
    """The minutes that an environment variable gives, or these where it is not set.

    Raises
    ------
    ValueError
        Where it is no whole number of minutes, at least 1: Airflow shows the sentence as the DAG's import error.
    """
    text = os.environ.get(variable, "").strip() or str(minutes)
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise ValueError(f"{variable}={text!r} is no time-out: give whole minutes, for example 120")
    return timedelta(minutes=int(text))


#: Of one image at one k.
JOB_TIMEOUT = timeout("COMPRESSION_JOB_TIMEOUT", 2 * 60)
#: Of the application that compresses a whole library.
CORPUS_TIMEOUT = timeout("COMPRESSION_CORPUS_TIMEOUT", 2 * 24 * 60)
