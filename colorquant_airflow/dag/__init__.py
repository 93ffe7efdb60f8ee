"""What a DAG file of this project is made of.

Parameters of the trigger form (``library_params``), schedules, common settings (``DAG_DEFAULTS``), the work of the
Python tasks (``write_plan``, ``report_task``), what the operator of a whole library shares with them (``check_params``,
``announce_plan``, ``refusing``), the notices of failed and of late runs, and maintenance (``prune_outputs``). The DAG
processor imports this package every few seconds, so its modules import numpy, plots and object stores only inside
tasks.
"""

from colorquant_airflow.dag.defaults import DAG_DEFAULTS, report_task
from colorquant_airflow.dag.maintenance import maintenance_params, maintenance_schedule, prune_outputs
from colorquant_airflow.dag.notification import notify_of_late_run
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.dag.planning import announce_plan, check_params, refusing, write_plan
from colorquant_airflow.dag.schedule import corpus_schedule, nightly_schedule
from colorquant_airflow.private import skip_task

__all__ = [
    "DAG_DEFAULTS",
    "announce_plan",
    "check_params",
    "corpus_schedule",
    "library_params",
    "maintenance_params",
    "maintenance_schedule",
    "nightly_schedule",
    "notify_of_late_run",
    "prune_outputs",
    "refusing",
    "report_task",
    "skip_task",
    "write_plan",
]
