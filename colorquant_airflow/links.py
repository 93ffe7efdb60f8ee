"""Addresses of the pages in Airflow's UI, and the buttons of task instances that lead to them."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: Path at which the API server serves the pages.
PREFIX = "/image-compression"
#: Name of the view in the UI's navigation. It shows the pages in a frame.
VIEW = "image-compression"


class ReportLink(BaseOperatorLink):
    """The button "Report": from the task that summarizes a run to the run's report."""

    name = "Report"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Path of the report's page."""
        return in_frame(f"{run_path(ti_key.dag_id, ti_key.run_id)}/report")


class ProgressLink(BaseOperatorLink):
    """The button "Progress": from the task that compresses a whole library to the run, while it goes on."""

    name = "Progress"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Path of the run's page."""
        return in_frame(run_path(ti_key.dag_id, ti_key.run_id))


class ResultLink(BaseOperatorLink):
    """The button "Result": from a job's task instance to its image, next to the original."""

    name = "Result"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Path of the image's page."""
        return in_frame(f"{run_path(ti_key.dag_id, ti_key.run_id)}/jobs/{ti_key.map_index}")


def run_path(dag_id: str, run_id: str) -> str:
    """Path of a run's pages on the API server."""
    # ":" and "+" stay as they are: the UI loads a page a second time where the path changes when it is decoded.
    return f"{base_path()}{PREFIX}/runs/{quote(dag_id, safe='')}/{quote(run_id, safe=':+')}"


def answer_path(dag_id: str, run_id: str) -> str:
    """Path of the page in Airflow's UI where a person answers what a run waits for."""
    return f"{instance_path(dag_id, run_id, 'summarize')}/required_actions"


def airflow_path(dag_id: str, run_id: str) -> str:
    """Path of a run in Airflow's UI."""
    return f"{base_path()}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def instance_path(dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> str:
    """Path of a task instance, with its log, in Airflow's UI."""
    mapped = "" if map_index is None else f"/mapped/{map_index}"
    return f"{airflow_path(dag_id, run_id)}/tasks/{task_id}{mapped}"


def in_frame(path: str) -> str:
    """Path of the view that shows a page within Airflow's UI."""
    return f"{base_path()}/plugin/{VIEW}{path}"


def base_path() -> str:
    """Path below which Airflow is served; empty if that is the root of its host."""
    from airflow.sdk import conf

    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
