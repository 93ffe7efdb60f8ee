"""A listener of Airflow: where a service starts, there is a pool for the Spark jobs."""

from typing import Any

from colorquant_airflow import private
from colorquant_airflow.pool import make_pool


class PoolMaker:
    """Makes the pool, with one slot, where there is none."""

    @private.hookimpl
    def on_starting(self, component: Any) -> None:
        """Make the pool when a scheduler, DAG processor or triggerer starts; a task's process has no database."""
        if type(component).__name__ == "Job":
            make_pool()
