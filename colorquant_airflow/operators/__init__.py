"""Operators that submit this project's Spark applications, and their settings for one deployment.

All are Airflow's ``SparkSubmitOperator`` with five rules more (``SparkJobOperator`` in ``spark_job``), of which the
most important is: however a task ends, no process of its job goes on. The class archive that shortens the start of
the JVM, the environment of spark-submit and the watch for lost parents are private to this package.
"""

from colorquant_airflow.operators.compress_corpus import CompressCorpusOperator
from colorquant_airflow.operators.compress_image import CompressImageOperator
from colorquant_airflow.operators.find_palettes import FindPalettesOperator
from colorquant_airflow.operators.spark_conf import CORPUS_CONF, PROPERTIES_FILE, SPARK_CONF
from colorquant_airflow.operators.timeouts import CORPUS_TIMEOUT, JOB_TIMEOUT

__all__ = [
    "CORPUS_CONF",
    "CORPUS_TIMEOUT",
    "CompressCorpusOperator",
    "CompressImageOperator",
    "FindPalettesOperator",
    "JOB_TIMEOUT",
    "PROPERTIES_FILE",
    "SPARK_CONF",
]
