"""The environment variables of spark-submit: those of a list, since a job decodes files that nobody vouches for.

Airflow's processes have its keys, its database's password and its connections in their environment. A job gets what
Java, Spark, Python and its object store need, and what COMPRESSION_JOB_ENVIRONMENT names.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from colorquant_airflow.operators.class_archive import spark_home
from colorquant_airflow.operators.spark_conf import SHORT_LIVED

_PASSED = re.compile(
    # The system: where programs, homes, temporary files and libraries are; language and time.
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|LD_LIBRARY_PATH|LD_PRELOAD|XDG_\w+"
    r"|JAVA_HOME|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|_JAVA_OPTIONS"
    r"|PYTHON\w+|VIRTUAL_ENV|CONDA_\w+|NUMBA_\w+|OMP_\w+|OPENBLAS_\w+|MKL_\w+|OPENCV_\w+|MALLOC_\w+"
    # Clusters and their tickets.
    r"|SPARK_\w+|PYSPARK_\w+|HADOOP_\w+|YARN_\w+|KRB5\w*|KUBECONFIG|KUBERNETES_\w+"
    # Object stores, and the way to them: a job reads and writes with its run's credentials.
    r"|AWS_\w+|FSSPEC_S3(?:_\w+)?|(?:https?|all|no)_proxy|(?:HTTPS?|ALL|NO)_PROXY"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    # Limits of images, and the folders that are allowed; and the mark by which `make run` finds its processes.
    r"|COMPRESSION_MAX_\w+|COMPRESSION_ALLOWED_\w+|KMEANS_SERVICES_OF"
)
# Spark's own secrets come from its file of properties.
_NEVER = re.compile(r"(?!AWS_|FSSPEC_)\w*(?:SECRET|PASSWORD|TOKEN|CREDENTIAL)\w*")


def submit_environment() -> dict[str, str]:
    """The environment of spark-submit, with what makes it start sooner and keep file names intact.

    Its scripts start a Python process to find Spark, and a JVM to make one command line.
    """
    ours = {"SPARK_LAUNCHER_OPTS": SHORT_LIVED}
    installed = shutil.which("spark-submit")
    if installed and Path(installed).parent == Path(sys.executable).parent and (home := spark_home()):
        ours["SPARK_HOME"] = str(home)
    named = os.environ.get("COMPRESSION_JOB_ENVIRONMENT", "").split()
    environment = ours | {
        name: value
        for name, value in os.environ.items()
        if name in named or (_PASSED.fullmatch(name) and not _NEVER.fullmatch(name))
    }
    if environment.get("LC_ALL") in ("C", "POSIX"):
        # In these locales a JVM replaces each character of its arguments that is not ASCII by a question mark. Image
        # paths are arguments.
        environment["LC_ALL"] = "C.UTF-8"
    return environment
