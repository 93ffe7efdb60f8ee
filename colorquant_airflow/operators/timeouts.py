"""How long a Spark application may take, or wait, before its task is stopped: settings of the deployment."""

from colorquant_airflow.durations import timeout

#: Of one image at one palette size.
JOB_TIMEOUT = timeout("COMPRESSION_JOB_TIMEOUT", 2 * 60)
#: Until a job has its first worker of a Spark cluster.
WORKER_TIMEOUT = timeout("COMPRESSION_WORKER_TIMEOUT", 10)
#: Of the application that compresses a whole library.
CORPUS_TIMEOUT = timeout("COMPRESSION_CORPUS_TIMEOUT", 2 * 24 * 60)
