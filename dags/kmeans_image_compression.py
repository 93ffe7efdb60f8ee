"""Compress a library of images at several palette sizes, one Spark job for each (image, k), and write a report.

`plan_jobs` lists the images and makes the jobs; `compress_image` is one spark-submit for each job that is not done yet;
`summarize` reads the results and writes the report. See docs/architecture.md.
"""

import sys
from functools import partial
from pathlib import Path

from airflow.sdk import dag, get_current_context, task

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # The checkout works whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from colorquant_airflow.dag import DAG_DEFAULTS, library_params, nightly_schedule, report_task, skip_task, write_plan
from colorquant_airflow.operators import (
    CORPUS_CONF,
    CORPUS_TIMEOUT,
    JOB_TIMEOUT,
    PROPERTIES_FILE,
    SPARK_CONF,
    CompressImageOperator,
    FindPalettesOperator,
)

DOCUMENTATION = """
### K-Means image compression

Compresses every image of a folder at several palette sizes k by K-Means color quantization on Spark, and writes a
summary report with compression ratios and quality.

1. **plan_jobs** lists the images and makes one job for each (image, k). An output of the same image and settings that
   exists already is reused; its job starts no Spark application.
2. **find_palettes** is one `spark-submit` that finds the palettes that images have in common. It is skipped where the
   parameter *palette* is not `library` or `folder`, or the palettes exist already.
3. **compress_image** is one `spark-submit` for each job. The job of an image that cannot be compressed fails at once,
   with the reason; other failures are retried.
4. **summarize** runs even if jobs failed: it writes `summary.html`, `.csv` and `.json` to the run's folder in the
   output folder, and then fails if more jobs failed than *max_failures* allows.

After a bad run: correct what *summarize* or the report names, and trigger again. Only what is missing is computed. To
repeat one job, clear its instance of *compress_image*; *summarize* then runs too.
"""


@dag(
    dag_id="kmeans_image_compression",
    # Without a start date the first scheduled run is that of the next night, not one of the past.
    schedule=nightly_schedule(),
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
        return write_plan(get_current_context(), without_palettes=partial(skip_task, find_palettes.task_id))

    find_palettes = FindPalettesOperator(
        task_id="find_palettes",
        conn_id="spark_default",
        conf=CORPUS_CONF,
        properties_file=PROPERTIES_FILE,
        pool="spark",
        execution_timeout=CORPUS_TIMEOUT,
        doc_md=(
            "One spark-submit of `find_palettes.py`: it counts the colors of all images, and finds the palettes that "
            "they have in common.\n\n"
            "If it fails: the last line of its log says why. Clear it when the cause is gone."
        ),
    )

    compress_image = CompressImageOperator.partial(
        task_id="compress_image",
        conn_id="spark_default",
        conf=SPARK_CONF,
        properties_file=PROPERTIES_FILE,
        map_index_template="{{ task.name }}",
        # The task before it is skipped where there is no palette to find.
        trigger_rule="none_failed",
        pool="spark",
        execution_timeout=JOB_TIMEOUT,
        doc_md=(
            "One spark-submit of `compress_image.py`: one image at one k. **Result** shows the output.\n\n"
            "If it fails: the last line of its log says why. An image that cannot be compressed is not retried: "
            "correct or remove it. Other jobs were tried three times: clear the instance when the cause is gone."
        ),
    )

    jobs = plan_jobs()
    compressed = compress_image.expand_kwargs(jobs)
    jobs >> find_palettes >> compressed
    [jobs, find_palettes, compressed] >> report_task()


kmeans_image_compression()
