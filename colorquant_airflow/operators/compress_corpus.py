"""The operator of the application that compresses a whole library: the run's parameters are its arguments."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorquant.jobs import parse_ks, parse_target, run_folder
from colorquant.settings import Settings, options
from colorquant_airflow.allowed import with_folders
from colorquant_airflow.applications import CORPUS_APPLICATION
from colorquant_airflow.dag import announce_plan, check_params, refusing
from colorquant_airflow.operators.spark_job import SparkJobOperator
from colorquant_airflow.storage_connection import use_storage

if TYPE_CHECKING:
    from airflow.sdk import Context


class CompressCorpusOperator(SparkJobOperator):
    """Submit the application that compresses all images of a library at all palette sizes.

    Parameters
    ----------
    application : str
        Path of the application.
    **kwargs
        Those of ``SparkSubmitOperator``. ``execute`` sets ``name`` and ``application_args``.
    """

    def __init__(self, *, application: str = CORPUS_APPLICATION, **kwargs: Any) -> None:
        super().__init__(application=application, **kwargs)

    def execute(self, context: "Context") -> None:
        """Run the application. A wrong parameter fails at once, and the message names it."""
        params, run_id = with_folders(context["params"]), str(context["run_id"])
        with refusing(context):
            use_storage(params)
            check_params(params)
            arguments = corpus_arguments(params, run_id)
        folder = run_folder(params["output"], run_id)
        failure = str(folder / "application.json")
        announce_plan(context, folder)
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


def _exists(plan: Path) -> bool:
    with suppress(Exception):  # An object store that does not answer must not hide why the application failed.
        return plan.exists()
    return False


def corpus_arguments(params: Mapping[str, Any], run_id: str) -> list[str]:
    """Command line of ``compress_corpus.py``. Raises InvalidPlan and InvalidSetting for a wrong parameter."""
    ks = [str(k).strip() for k in params["ks"] or ()]
    target = parse_target(params["target"] or "", parse_ks(ks))
    settings = Settings.parse({name: params[name] for name in options()})
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
