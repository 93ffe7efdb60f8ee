"""Remove the runs that are no longer kept, and the outputs that only they named. See docs/operations.md."""

import sys
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, get_current_context, task

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # The checkout works whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from colorquant_airflow.dag import DAG_DEFAULTS, maintenance_params, maintenance_schedule, prune_outputs

DOCUMENTATION = """
### Old runs and outputs

Removes the runs of the output folder that are no longer kept, and the outputs that no kept run and no published folder
names. Kept are the newest runs of each library (*COMPRESSION_KEEP_RUNS*, 7) and those of the last days
(*COMPRESSION_KEEP_DAYS*, 7), runs that are not finished, and what others left in the folder. Pages of reports are kept
for the newest three runs (*COMPRESSION_KEEP_PAGES*); figures for all of them.

**prune** tells in its log what it removes. With the parameter *dry_run*, the default until the setting
*COMPRESSION_MAINTENANCE_DELETES* is 1, it removes nothing.
"""


@dag(
    dag_id="kmeans_maintenance",
    schedule=maintenance_schedule(),
    doc_md=DOCUMENTATION,
    params=maintenance_params(),
    **DAG_DEFAULTS,
)
def kmeans_maintenance() -> None:
    @task(retry_delay=timedelta(minutes=10), execution_timeout=timedelta(hours=12))
    def prune() -> dict[str, object]:
        """Remove old runs, and the outputs that only they named.

        If it fails: the last line of its log says why. Nothing is harmed; the next try removes the rest.
        """
        return prune_outputs(get_current_context())

    prune()


kmeans_maintenance()
