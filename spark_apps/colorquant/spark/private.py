"""Everything that this package uses of PySpark and py4j beyond their public interfaces.

An upgrade may move any of it without notice, so nothing of the kind stands elsewhere, and each name has a test that
fails by that name (``test_private``). PySpark is imported on first use: some of this is needed before it is loaded.
"""

import os

#: Environment variable by which the JVM of spark-submit tells the driver's Python that it is the parent process.
GATEWAY_PORT = "PYSPARK_GATEWAY_PORT"

#: Setting of Spark: the Python module that is started as the daemon, from which workers are forked.
DAEMON_MODULE = "spark.python.daemon.module"

_TRACEBACK = "Traceback (most recent call last):"


def is_started_by_spark_submit() -> bool:
    """Whether the parent of this process is the JVM of spark-submit."""
    return GATEWAY_PORT in os.environ


def connect_to_jvm() -> None:
    """Connect to the JVM of spark-submit, or start one. Only then does a new SparkConf hold spark-submit's settings."""
    from pyspark import SparkContext

    SparkContext._ensure_initialized()


def remove_numpy_converters() -> None:
    """Keep PySpark from importing pandas and unittest at the first call to the JVM.

    Its converters of numpy's arrays and scalars do so to find out whether numpy is installed. py4j asks them about
    every argument, and none of the arguments that this package gives to the JVM is numpy's.
    """
    from py4j.protocol import INPUT_CONVERTER

    INPUT_CONVERTER[:] = [each for each in INPUT_CONVERTER if not type(each).__name__.startswith("Numpy")]


def run_worker_daemon() -> None:
    """Fork workers for the JVM until it goes away."""
    from pyspark.daemon import manager

    manager()


def error_of_worker(error: Exception) -> str | None:
    """What a worker's Python raised, as the last lines of its traceback: ``module.Class: message``.

    Spark's error holds the traceback of the worker and the stack traces of the JVM in one text.

    Returns
    -------
    str or None
        One line; None where no worker's Python raised the error.
    """
    before, found, traceback = str(error).partition("\n\tat ")[0].rpartition(_TRACEBACK)
    lines = traceback.splitlines() if found else []
    # Frames are indented, the error is not. Spark adds its own code for "an error in Python".
    start = next((number for number, line in enumerate(lines) if line and not line[0].isspace()), len(lines))
    said = [line for line in map(str.strip, lines[start:]) if line and not line.startswith("SQLSTATE: ")]
    return " ".join(said) or None
