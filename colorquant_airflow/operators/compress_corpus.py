"""The operator of the application that compresses a whole library: the run's parameters are its arguments."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorquant.jobs import parse_ks, parse_target, run_folder
from colorquant_airflow.allowed import with_folders
from colorquant_airflow.applications import CORPUS_APPLICATION
from colorquant_airflow.dag import announce_plan, check_params, refusing
from colorquant_airflow.links import ProgressLink
from colorquant_airflow.operators.spark_job import SparkJobOperator
from colorquant_airflow.storage_connection import use_storage

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from colorquant.settings import Settings


class CompressCorpusOperator(SparkJobOperator):
    """Submit the application that compresses all images of a library at all palette sizes.

    Parameters
    ----------
    application : str
        Path of the application.
    **kwargs
        Those of ``SparkSubmitOperator``. ``execute`` sets ``name`` and ``application_args``.
    """

    operator_extra_links = (ProgressLink(),)

    def __init__(self, *, application: str = CORPUS_APPLICATION, **kwargs: Any) -> None:
        super().__init__(application=application, **kwargs)

    def execute(self, context: "Context") -> None:
        """Run the application. A wrong parameter fails at once, and the message names it."""
        params, run_id = with_folders(context["params"]), str(context["run_id"])
        with refusing(context):
            use_storage(params)
            arguments = corpus_arguments(params, run_id, check_params(params))
        folder = run_folder(params["output"], run_id)
        failure = str(folder / "application.json")
        announce_plan(context, folder)
        self._show_links(context)
        self.name = f"library {params['images']}"
        self.application_args = [*arguments, f"--failure={failure}"]
        try:
            self.run_application(context, failure)
        except Exception:
            # An earlier try may have planned the run and done a part of it.
            if _exists(folder / "plan.json"):
                raise
            with refusing(context):  # The application may have refused the run: there are no images, say.
                raise

    def _show_links(self, context: "Context") -> None:
        """Show the buttons of the task instance now: Airflow does so when the task has ended."""
        task = context["ti"]
        for link in self.operator_extra_links:
            task.xcom_push(link.xcom_key, link.get_link(self, ti_key=task))  # type: ignore[arg-type]

    # The name is that of Airflow's OpenLineage provider, which calls it where it is installed.
    def get_openlineage_facets_on_complete(self, task_instance: object) -> "OperatorLineage | None":
        """The folders of the images and of their outputs, for lineage; None of a run that was refused."""
        from colorquant_airflow.operators.lineage import lineage_of_library

        if not self.application_args:
            return None
        plan = run_folder(self.argument("output"), self.argument("run")) / "plan.json"
        return lineage_of_library(self.argument("images"), self.argument("output"), plan)


def _exists(plan: Path) -> bool:
    with suppress(Exception):  # An object store that does not answer must not hide why the application failed.
        return plan.exists()
    return False


def corpus_arguments(params: Mapping[str, Any], run_id: str, settings: "Settings") -> list[str]:
    """Command line of ``compress_corpus.py``, of parameters and settings that were checked."""
    ks = [str(k).strip() for k in params["ks"] or ()]
    target = parse_target(params["target"] or "", parse_ks(ks, settings))
    arguments = [
        f"--images={params['images']}",
        f"--pattern={params['pattern']}",
        f"--exclude={params['exclude'] or ''}",
        f"--ks={' '.join(ks)}",
        f"--target={target or ''}",
        f"--output={params['output']}",
        f"--publish={params['publish'] or ''}",
        f"--run={run_id}",
        *settings.arguments(),
    ]
    return [*arguments, "--force"] if params["force"] else arguments
