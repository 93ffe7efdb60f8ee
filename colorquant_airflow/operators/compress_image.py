"""The operator of one job: one image at one palette size."""

from typing import TYPE_CHECKING, Any

from colorquant_airflow.applications import IMAGE_APPLICATION
from colorquant_airflow.links import ResultLink
from colorquant_airflow.operators.spark_job import SparkJobOperator

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context


class CompressImageOperator(SparkJobOperator):
    """Submit the application that compresses one image at one palette size.

    Parameters
    ----------
    failure : str
        Path where the job writes why it failed. The plan names it in ``application_args`` too.
    kills : str, optional
        Path of what is known of processes that the image ended (``Job.kills``); None to take no notice of it.
    application : str
        Path of the application.
    **kwargs
        Those of ``SparkSubmitOperator``.
    """

    operator_extra_links = (ResultLink(),)

    def __init__(
        self, *, failure: str, kills: str | None = None, application: str = IMAGE_APPLICATION, **kwargs: Any
    ) -> None:
        super().__init__(application=application, **kwargs)
        self.failure = failure
        self.kills = kills

    def execute(self, context: "Context") -> None:
        """Run the job. Raises AirflowFailException where a retry is useless, AirflowException where it may help."""
        self.run_application(context, self.failure, self.kills)

    # The names are those of Airflow's OpenLineage provider, which calls them where it is installed.
    def get_openlineage_facets_on_start(self) -> "OperatorLineage":
        """The image, for lineage."""
        from colorquant_airflow.operators.lineage import lineage_of_job

        return lineage_of_job(self.argument("image"))

    def get_openlineage_facets_on_complete(self, task_instance: object) -> "OperatorLineage":
        """The image and its output, with k, bytes and quality, for lineage."""
        from colorquant_airflow.operators.lineage import lineage_of_job

        return lineage_of_job(self.argument("image"), self.argument("result"))

    def get_openlineage_facets_on_failure(self, task_instance: object) -> "OperatorLineage":
        """The image, for lineage: a record that is there is of an earlier job."""
        return self.get_openlineage_facets_on_start()
