"""Where the pages of a run are in Airflow's UI, and the links of task instances that lead there."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: Where the API server serves the pages.
PREFIX = "/image-compression"
#: Name of the view in the UI's navigation, which shows the pages in a frame.
VIEW = "image-compression"


class ReportLink(BaseOperatorLink):
    """From the task that summarizes to the run's report."""

    name = "Report"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """The path of the page."""
        return in_frame(f"{run_path(ti_key.dag_id, ti_key.run_id)}/report")


class ResultLink(BaseOperatorLink):
    """From a job's task instance to its image, compared with the original."""

    name = "Result"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """The path of the page."""
        return in_frame(f"{run_path(ti_key.dag_id, ti_key.run_id)}/jobs/{ti_key.map_index}")


def run_path(dag_id: str, run_id: str) -> str:
    """Path of a run's pages on the API server."""
    # Escaped as little as can be: the UI loads a page again in its frame where the path is another one decoded.
    return f"{base_path()}{PREFIX}/runs/{quote(dag_id, safe='')}/{quote(run_id, safe=':+')}"


def in_frame(path: str) -> str:
    """Path of the view that shows a page within Airflow's UI."""
    return f"{base_path()}/plugin/{VIEW}{path}"


def base_path() -> str:
    """Path below which Airflow is served; empty where it has a host for itself."""
    from airflow.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
