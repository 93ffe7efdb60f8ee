"""What the DAGs have in common: runs at a time, retries, the notice of failure, and the task that reports."""

from datetime import timedelta
from typing import Any

from colorquant_airflow.dag.approval import SummarizeOperator
from colorquant_airflow.dag.assets import REPORT
from colorquant_airflow.dag.deadline import deadline
from colorquant_airflow.dag.notification import notify_of_failure
from colorquant_airflow.dag.schedule import RUN_TYPES

#: Arguments of ``@dag``.
DAG_DEFAULTS: dict[str, Any] = {
    "catchup": False,
    "allowed_run_types": RUN_TYPES,
    "max_active_runs": 1,
    "tags": ["images", "spark", "k-means"],
    "default_args": {
        "owner": "image-compression",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=2),
    },
    "on_failure_callback": notify_of_failure,
    "deadline": deadline(),
}


def report_task(**options: Any) -> SummarizeOperator:
    """Make the task ``summarize`` of the current DAG; ``options`` are arguments of its operator."""
    report = SummarizeOperator(
        task_id="summarize",
        outlets=[REPORT],
        doc_md=(
            "Writes the report of the run, failures included, and publishes. With *approval* it waits until a person "
            "has answered, where publishing would change anything.\n\n"
            "If it fails: the last line of its log says why. The report names the jobs that failed, and their reasons."
        ),
        **options,
    )
    # A teardown runs whatever became of the tasks before it, and also where somebody marks the run as failed or as
    # success: Airflow ends the jobs, and then the run has its report and its notice as any other.
    report.as_teardown(on_failure_fail_dagrun=True)
    return report
