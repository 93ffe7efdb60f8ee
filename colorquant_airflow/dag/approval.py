"""The operator of the task ``summarize``: it reports, may wait for a person, and publishes.

It waits in Airflow's state ``awaiting_input``, which needs no worker, no slot of a pool and no triggerer. The run does
not wait where its parameter ``approval`` is off, or where publishing would change nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from colorquant_airflow.dag import reporting
from colorquant_airflow.dag.settings import MAX_WAIT
from colorquant_airflow.durations import in_words, timeout
from colorquant_airflow.links import ReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context


#: The answers that a person may choose.
PUBLISH, KEEP = "Publish", "Keep what is published"


class SummarizeOperator(HITLOperator):
    """Write the report of the run and publish; see ``reporting.summarize`` for errors."""

    #: Nothing is rendered: names of images are part of the texts.
    template_fields: Sequence[str] = ()
    operator_extra_links = (ReportLink(),)

    def __init__(self, **options: Any) -> None:
        self.patience = timeout("COMPRESSION_APPROVAL_TIMEOUT", MAX_WAIT)
        super().__init__(subject="", options=[PUBLISH, KEEP], response_timeout=self.patience, **options)

    def execute(self, context: "Context") -> dict[str, Any]:
        """Write the report; publish, or ask."""
        result = reporting.summarize(context, self.patience)
        if isinstance(result, dict):
            return result
        self.subject, self.body = result.subject, result.body
        super().execute(context)
        raise AssertionError("unreachable: the task waits, and Airflow calls execute_complete when there is an answer")

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Publish, or not, as the person has answered; nothing is published where nobody has."""
        if event.get("error_type") == "timeout":
            return reporting.finish(context, False, f"nobody has approved it within {in_words(self.patience)}")
        answer = super().execute_complete(context, event)
        who = (answer["responded_by_user"] or {}).get("name") or "somebody"
        if answer["chosen_options"] == [PUBLISH]:
            return reporting.finish(context, True, f"{who} has approved it")
        return reporting.finish(context, False, f"{who} has refused it")
