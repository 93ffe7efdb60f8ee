"""Compress a library of images at several palette sizes, one Spark job for each (image, k), and report on it.

`plan_jobs` lists the images and makes the jobs, `compress_image` is one spark-submit for each job that is not done
already, `summarize` reads what they left and writes the report. See docs/architecture.md.
"""

import sys
from pathlib import Path

from airflow.sdk import dag, get_current_context, task

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # A bare checkout works, whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from colorquant_airflow.dag import steps  # noqa: E402  (needs the path above)
from colorquant_airflow.dag.defaults import DAG_DEFAULTS, report_task  # noqa: E402
from colorquant_airflow.dag.params import library_params  # noqa: E402
from colorquant_airflow.dag.schedule import nightly  # noqa: E402
from colorquant_airflow.operators.compress_image import CompressImageOperator  # noqa: E402
from colorquant_airflow.operators.spark_conf import PROPERTIES_FILE, SPARK_CONF  # noqa: E402
from colorquant_airflow.operators.timeouts import JOB_TIMEOUT  # noqa: E402

DOCUMENTATION = """
### K-Means image compression

Compresses every image of a folder at several palette sizes k by K-Means color quantization on Spark, and writes a
summary report with compression ratios and quality.

1. **plan_jobs** lists the images and makes one job for each (image, k). What is done already, with the same input and
   settings, is reused and starts no Spark application.
2. **compress_image** is one `spark-submit` for each job. An image that cannot be compressed fails at once, with the
   reason; anything else is retried.
3. **summarize** runs whatever became of the jobs: it writes `summary.html`, `.csv` and `.json` to the run's
   folder below the output folder, and then fails if more jobs failed than *max_failures* allows.

After a bad run: correct what *summarize* or the report names, and trigger again. Only what is missing is computed. To
repeat one job, clear its instance of *compress_image*; *summarize* follows by itself.
"""


@dag(
    dag_id="kmeans_image_compression",
    # No start date: the first scheduled run is the next night's, and not one of the past.
    schedule=nightly(),
    doc_md=DOCUMENTATION,
    params=library_params(),
    **DAG_DEFAULTS,
)
def kmeans_image_compression() -> None:
    @task
    def plan_jobs() -> list[dict[str, object]]:
        """List the images and make the jobs.

        If it fails: the last line of its log says which parameter or folder to correct. Then trigger the DAG again.
        """
        return steps.plan_jobs(get_current_context())

    compress_image = CompressImageOperator.partial(
        task_id="compress_image",
        application=str(PROJECT / "spark_apps" / "compress_image.py"),
        conn_id="spark_default",
        conf=SPARK_CONF,
        properties_file=PROPERTIES_FILE,
        map_index_template="{{ task.name }}",
        pool="spark",
        execution_timeout=JOB_TIMEOUT,
        doc_md=(
            "One spark-submit of `compress_image.py`: one image at one k. **Result** leads to it.\n\n"
            "If it fails: the last line of its log says why. An image that cannot be compressed is not retried: "
            "correct or remove it. Anything else was tried three times: clear the instance when the cause is gone."
        ),
    )

    jobs = plan_jobs()
    compressed = compress_image.expand_kwargs(jobs)
    [jobs, compressed] >> report_task()


kmeans_image_compression()
