"""The application's SparkContext, and how workers find this package."""

import os
import re
import sys
import sysconfig
from pathlib import Path

from pyspark import SparkConf, SparkContext, SparkFiles

from colorquant.spark.private import DAEMON_MODULE, connect_to_jvm, remove_numpy_converters
from colorquant.spark.shipping import package_archive

#: How often Spark tries a task that failed, where ``retry_tasks`` asks for it.
TASK_TRIES = 8

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def start_context(name: str, retry_tasks: bool = False) -> SparkContext:
    """Start the application's one SparkContext, with this package importable by its workers.

    Parameters
    ----------
    name : str
        Of the application, as Spark's pages show it.
    retry_tasks : bool
        Whether a task whose process died is tried again also with the master ``local``, where Spark by default does
        not retry.
    """
    remove_numpy_converters()
    connect_to_jvm()
    conf = SparkConf().setAppName(name)
    if retry_tasks:
        conf.set("spark.task.maxFailures", str(TASK_TRIES))
        if plain := re.fullmatch(r"local(?:\[(\d+|\*)\])?", conf.get("spark.master") or ""):
            conf.setMaster(f"local[{plain[1] or 1},{TASK_TRIES}]")
    if not is_local(conf.get("spark.master") or ""):
        context = SparkContext(conf=conf)
        # Executors fetch the archive when they start, however late; Spark removes this folder at the end.
        folder = Path(SparkFiles.getRootDirectory()) / "shipped"
        folder.mkdir()
        context.addPyFile(str(package_archive(folder)))
        return context
    # Workers on this machine run the driver's Python, even if another one comes first in PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # They import the same files as the driver, and so find the kernels that it has compiled. Their daemon imports them
    # once, before it forks; numpy's own threads, of no use here, would not survive the fork.
    conf.set(DAEMON_MODULE, "colorquant.spark.worker_daemon")
    if not _is_installed():
        conf.setExecutorEnv("PYTHONPATH", str(_PACKAGE_PARENT))
    conf.setExecutorEnv("OPENBLAS_NUM_THREADS", "1")
    return SparkContext(conf=conf)


def _is_installed() -> bool:
    """Whether Python finds this package without a path. On PYTHONPATH, site-packages would hide standard modules."""
    return str(_PACKAGE_PARENT) in {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")}


def is_local(master: str) -> bool:
    """Whether a master runs all its workers on this machine, with this user's files."""
    return master.split("[")[0] == "local"
