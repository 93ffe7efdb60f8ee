"""The operator of the application that finds the palettes that images of a run have in common."""

from typing import TYPE_CHECKING, Any

from colorquant.jobs import run_folder
from colorquant_airflow.allowed import with_folders
from colorquant_airflow.applications import PALETTE_APPLICATION
from colorquant_airflow.operators.spark_job import SparkJobOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class FindPalettesOperator(SparkJobOperator):
    """Submit the application that finds the palettes of a run's plan.

    Parameters
    ----------
    application : str
        Path of the application.
    **kwargs
        Those of ``SparkSubmitOperator``. ``execute`` sets ``name`` and ``application_args``.
    """

    def __init__(self, *, application: str = PALETTE_APPLICATION, **kwargs: Any) -> None:
        super().__init__(application=application, **kwargs)

    def execute(self, context: "Context") -> None:
        """Run the application. Raises AirflowFailException where a retry is useless, AirflowException else."""
        params = with_folders(context["params"])
        folder = run_folder(params["output"], str(context["run_id"]))
        failure = str(folder / "palettes.json")
        self.name = f"palettes of {params['images']}"
        self.application_args = [f"--plan={folder / 'plan.json'}", f"--failure={failure}"]
        self.run_application(context, failure)
