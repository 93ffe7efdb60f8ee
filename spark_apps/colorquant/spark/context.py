"""The application's SparkContext, and how workers come by this package."""

import os
import re
import sys
from pathlib import Path

from py4j.protocol import INPUT_CONVERTER
from pyspark import SparkConf, SparkContext, SparkFiles

from colorquant.spark.shipping import package_archive

#: How often a task is tried where ``retry_tasks`` asks for it.
TASK_TRIES = 8


def start_context(name: str, retry_tasks: bool = False) -> SparkContext:
    """The application's one SparkContext, with this package importable by its workers.

    Parameters
    ----------
    retry_tasks : try a task again whose process died, also with the master ``local``, where Spark by default does not.
    """
    _convert_no_arrays()
    # Only after this does a SparkConf hold what spark-submit was given.
    SparkContext._ensure_initialized()
    conf = SparkConf().setAppName(name)
    if retry_tasks:
        conf.set("spark.task.maxFailures", str(TASK_TRIES))
        if plain := re.fullmatch(r"local(?:\[(\d+|\*)\])?", conf.get("spark.master") or ""):
            conf.setMaster(f"local[{plain[1] or 1},{TASK_TRIES}]")
    if not is_local(conf.get("spark.master") or ""):
        context = SparkContext(conf=conf)
        # Executors fetch it when they start, however late; Spark removes this folder at the end.
        folder = Path(SparkFiles.getRootDirectory()) / "shipped"
        folder.mkdir()
        context.addPyFile(str(package_archive(folder)))
        return context
    # Workers on this machine run the driver's Python, also where another one comes first in PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # They import the same files, and so find the kernels that are compiled already. Their daemon
    # imports them once, before it forks; numpy's own threads, of no use here, would not survive the fork.
    conf.set("spark.python.daemon.module", "colorquant.spark.worker_daemon")
    conf.setExecutorEnv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    conf.setExecutorEnv("OPENBLAS_NUM_THREADS", "1")
    return SparkContext(conf=conf)


def _convert_no_arrays() -> None:
    """Keep PySpark from importing pandas and unittest at the first call to the JVM.

    Its converters of numpy's arrays and scalars do, to see whether numpy is there. They are asked about every argument,
    and none that we give to the JVM is numpy's.
    """
    INPUT_CONVERTER[:] = [each for each in INPUT_CONVERTER if not type(each).__name__.startswith("Numpy")]


def is_local(master: str) -> bool:
    """Whether a master runs all its workers on this machine, with this user's files."""
    return master.split("[")[0] == "local"
