"""Compress a library of images at several palette sizes, one Spark job for each (image, k), and report on it.

`plan_jobs` lists the images and makes the jobs, `compress_image` is one spark-submit for each job that is not done
already, `summarize` reads what they left and writes the report. See docs/architecture.md.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # A bare checkout works, whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from orchestration.operators import CompressImageOperator  # noqa: E402  (needs the path above)
from orchestration.params import setting_params  # noqa: E402
from orchestration.spark_conf import SPARK_CONF  # noqa: E402

SCHEDULE = os.environ.get("COMPRESSION_SCHEDULE", "0 2 * * *")
TIMEZONE = os.environ.get("COMPRESSION_TIMEZONE", "UTC")

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
"""


@dag(
    dag_id="kmeans_image_compression",
    # No start date: the first scheduled run is the next night's, and not one of the past.
    schedule=None if SCHEDULE.lower() == "none" else CronTriggerTimetable(SCHEDULE, timezone=TIMEZONE),
    catchup=False,
    max_active_runs=1,
    tags=["images", "spark", "k-means"],
    default_args={"owner": "image-compression"},
    doc_md=DOCUMENTATION,
    params={
        "images": Param(
            os.environ.get("COMPRESSION_IMAGES", str(PROJECT / "include" / "images")),
            type="string",
            minLength=1,
            title="Image folder",
            description="Every image in this folder and below it is compressed.",
        ),
        "ks": Param(
            ["4", "16", "64"],
            type="array",
            items={"type": ["string", "integer"], "pattern": "^ *[1-9][0-9]* *$"},
            minItems=1,
            examples=["2", "4", "8", "16", "32", "64", "128", "256"],
            title="Palette sizes k",
            description="How many colors a compressed image may have: whole numbers from 1 to 256.",
        ),
        "output": Param(
            os.environ.get("COMPRESSION_OUTPUT", str(PROJECT / "output")),
            type="string",
            minLength=1,
            title="Output folder",
            description="Compressed images go to its folder `compressed`, reports to `runs`.",
        ),
        "max_failures": Param(
            0,
            type="integer",
            minimum=0,
            title="Failures allowed",
            description="The run fails, after the report is written, if more jobs than this fail.",
        ),
        "force": Param(False, type="boolean", title="Compress again what is there already"),
        **setting_params(),
    },
)
def kmeans_image_compression() -> None:
    @task(retries=1, retry_delay=timedelta(seconds=10))
    def plan_jobs() -> list[dict[str, object]]:
        """List the images and make the jobs. If it fails: the message says which parameter to correct."""
        from airflow.configuration import conf
        from airflow.sdk.exceptions import AirflowFailException

        from colorquant.plan import InvalidPlan, plan_run, run_folder
        from colorquant.settings import InvalidSetting, Settings, options

        context = get_current_context()
        params, run_id = context["params"], context["run_id"]
        try:
            plan = plan_run(
                run_id,
                params["images"],
                params["ks"],
                params["output"],
                settings=Settings.parse({name: params[name] for name in options()}),
                max_jobs=conf.getint("core", "max_map_length"),
                force=params["force"],
            )
        except (InvalidPlan, InvalidSetting) as error:
            raise AirflowFailException(str(error)) from None
        plan.write(run_folder(params["output"], run_id) / "plan.json")
        print(f"{len(plan.jobs)} jobs, {len(plan.reused)} of them done already")
        return plan.submissions()

    compress_image = CompressImageOperator.partial(
        task_id="compress_image",
        application=str(PROJECT / "spark_apps" / "compress_image.py"),
        conn_id="spark_default",
        conf=SPARK_CONF,
        map_index_template="{{ task.name }}",
        pool="spark",
        retries=2,
        retry_delay=timedelta(seconds=30),
        retry_exponential_backoff=True,
        max_retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=2),
        doc_md="One spark-submit of `compress_image.py`. If it fails: the last line of its log says why.",
    )

    @task(trigger_rule="all_done", retries=1, retry_delay=timedelta(seconds=10))
    def summarize() -> dict[str, object]:
        """Write the report of the run. If it fails: look at the report for the jobs that failed, and why."""
        from airflow.sdk.exceptions import AirflowFailException

        from colorquant.plan import Plan, run_folder
        from colorquant.report import summarize_run

        context = get_current_context()
        params = context["params"]
        folder = run_folder(params["output"], context["run_id"])
        try:
            plan = Plan.read(folder / "plan.json")
        except FileNotFoundError:
            raise AirflowFailException("There is no plan to report on: see the log of plan_jobs.") from None
        summary = summarize_run(plan, folder)
        print(f"Report: {folder / 'summary.html'}\n{summary.table()}")
        if summary.totals.failed > params["max_failures"]:
            raise AirflowFailException(
                f"{summary.totals.failed} of {len(plan.jobs)} jobs failed, and max_failures is "
                f"{params['max_failures']}. The report is written: {folder / 'summary.html'}"
            )
        return {"report": str(folder / "summary.html"), "jobs": len(plan.jobs), "failed": summary.totals.failed}

    jobs = plan_jobs()
    compressed = compress_image.expand_kwargs(jobs)
    [jobs, compressed] >> summarize()


kmeans_image_compression()
