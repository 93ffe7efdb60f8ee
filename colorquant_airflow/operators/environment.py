"""The environment variables of spark-submit."""

import os
import shutil
import sys
from pathlib import Path

from colorquant_airflow.operators.class_archive import spark_home
from colorquant_airflow.operators.spark_conf import SHORT_LIVED


def submit_environment() -> dict[str, str]:
    """The environment of this process, with what makes spark-submit start sooner and keep file names intact.

    Its scripts start a Python process to find Spark, and a JVM to make one command line.
    """
    ours = {"SPARK_LAUNCHER_OPTS": SHORT_LIVED}
    installed = shutil.which("spark-submit")
    if installed and Path(installed).parent == Path(sys.executable).parent and (home := spark_home()):
        ours["SPARK_HOME"] = str(home)
    environment = ours | os.environ
    if environment.get("LC_ALL") in ("C", "POSIX"):
        # In these locales a JVM replaces each character of its arguments that is not ASCII by a question mark. Image
        # paths are arguments.
        environment["LC_ALL"] = "C.UTF-8"
    return environment
