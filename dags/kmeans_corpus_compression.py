"""Compress a large library of images in one Spark application, and report on it.

`compress_corpus` is one spark-submit for all images at all palette sizes, `summarize` writes the report. See
docs/scaling.md for when to use this DAG, and when `kmeans_image_compression`.
"""

import sys
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # A bare checkout works, whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from colorquant_airflow.dag.defaults import DAG_DEFAULTS, report_task  # noqa: E402
from colorquant_airflow.dag.params import library_params  # noqa: E402
from colorquant_airflow.dag.schedule import corpus_schedule  # noqa: E402
from colorquant_airflow.operators.compress_corpus import CompressCorpusOperator  # noqa: E402
from colorquant_airflow.operators.spark_conf import CORPUS_CONF, PROPERTIES_FILE  # noqa: E402
from colorquant_airflow.operators.timeouts import CORPUS_TIMEOUT  # noqa: E402

DOCUMENTATION = """
### K-Means compression of a whole library in one Spark application

For libraries of more images than Airflow can map one by one: `kmeans_image_compression` refuses them and names this
DAG. The outputs, the records and the report are the same.

1. **compress_corpus** is one `spark-submit`. Spark deals the images to its cores, the largest first; each is decoded
   once for all its palette sizes. Its log shows how many are done, how fast, and the time left. An image that cannot
   be compressed is a failed row of the report. Stopped and started again, it does only what is missing.
2. **summarize** runs whatever became of it: it writes `summary.html`, `.csv` and `.json` to the run's folder below the
   output folder, and then fails if more jobs failed than *max_failures* allows.

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
        application=str(PROJECT / "spark_apps" / "compress_corpus.py"),
        conn_id="spark_default",
        conf=CORPUS_CONF,
        properties_file=PROPERTIES_FILE,
        pool="spark",
        execution_timeout=CORPUS_TIMEOUT,
        doc_md=(
            "One spark-submit of `compress_corpus.py` for the whole library.\n\n"
            "If it fails: the last line of its log says why. Clear it when the cause is gone: it goes on from there."
        ),
    )

    compress_corpus >> report_task(execution_timeout=timedelta(hours=6))


kmeans_corpus_compression()
