"""Compress a large library of images in one Spark application, and write a report.

`compress_corpus` is one spark-submit for all images at all palette sizes; `summarize` writes the report. Read in
docs/scaling.md when to use this DAG, and when `kmeans_image_compression`.
"""

import sys
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # The checkout works whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from colorquant_airflow.dag import DAG_DEFAULTS, corpus_schedule, library_params, report_task
from colorquant_airflow.operators import CORPUS_CONF, CORPUS_TIMEOUT, PROPERTIES_FILE, CompressCorpusOperator

DOCUMENTATION = """
### K-Means compression of a whole library in one Spark application

For libraries with more jobs than Airflow can map as tasks: `kmeans_image_compression` refuses them and names this DAG.
The outputs, the records and the report are the same.

1. **compress_corpus** is one `spark-submit`. Spark gives the images to its cores, the largest first, and decodes each
   image once for all its palette sizes. The log shows how many images are done, how fast, and the time left. An image
   that cannot be compressed is a failed row of the report. When the task is stopped and started again, it compresses
   only what is missing.
2. **summarize** runs even if *compress_corpus* failed: it writes `summary.html`, `.csv` and `.json` to the run's folder
   in the output folder, and then fails if more jobs failed than *max_failures* allows.

After a bad run: correct what *summarize* or the report names, and trigger again. Only what is missing is computed.
"""


@dag(
    dag_id="kmeans_corpus_compression",
    schedule=corpus_schedule(),
    doc_md=DOCUMENTATION,
    params=library_params(),
    **DAG_DEFAULTS,
)
def kmeans_corpus_compression() -> None:
    compress_corpus = CompressCorpusOperator(
        task_id="compress_corpus",
        conn_id="spark_default",
        conf=CORPUS_CONF,
        properties_file=PROPERTIES_FILE,
        pool="spark",
        execution_timeout=CORPUS_TIMEOUT,
        doc_md=(
            "One spark-submit of `compress_corpus.py` for the whole library.\n\n"
            "If it fails: the last line of its log says why. Clear it when the cause is gone: it computes what is "
            "missing."
        ),
    )

    compress_corpus >> report_task(execution_timeout=timedelta(hours=6))


kmeans_corpus_compression()
