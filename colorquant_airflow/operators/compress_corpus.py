"""The operator of the application that compresses a whole library: its arguments are the run's parameters."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from colorquant.errors import InvalidPlan, InvalidSetting
from colorquant.jobs import parse_ks, parse_target, run_folder
from colorquant.settings import Settings, options
from colorquant_airflow.dag import steps
from colorquant_airflow.dag.storage_connection import use_storage
from colorquant_airflow.operators.compress_image import CompressImageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class CompressCorpusOperator(CompressImageOperator):
    """Submit ``compress_corpus.py`` for the run's parameters. The rules are those of ``CompressImageOperator``."""

    operator_extra_links = ()  # type: ignore[assignment]  # There is no single result to lead to.

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(failure="", **kwargs)  # It lies in the run's folder, which ``execute`` knows.

    def execute(self, context: "Context") -> None:
        """Run the application. A parameter that is wrong fails at once, and the message says which."""
        params, run_id = context["params"], str(context["run_id"])
        try:
            use_storage(params)
            steps.refuse_wrong(params)
            self.application_args = corpus_arguments(params, run_id)
        except (InvalidPlan, InvalidSetting, AirflowFailException) as error:
            raise steps.refused(context, error) from None
        folder = run_folder(params["output"], run_id)
        steps.planned(context, folder)
        self.name = f"library {params['images']}"
        self.failure = str(folder / "application.json")
        self.application_args.append(f"--failure={self.failure}")
        try:
            super().execute(context)
        except AirflowFailException as error:
            # What the application refuses, a folder without images say; a try before may have planned and done a part.
            if not _is_there(folder / "plan.json"):
                raise steps.refused(context, error) from None
            raise


def _is_there(plan: Path) -> bool:
    with suppress(Exception):  # An object store that does not answer must not take the place of the reason.
        return plan.exists()
    return False


def corpus_arguments(params: Any, run_id: str) -> list[str]:
    """Command line of ``compress_corpus.py``. Raises InvalidPlan and InvalidSetting for a wrong parameter."""
    ks = [str(k).strip() for k in params["ks"] or ()]
    target = parse_target(params["target"] or "", parse_ks(ks))
    settings = Settings.parse({name: params[name] for name in options()})
    arguments = [
        f"--images={params['images']}",
        f"--pattern={params['pattern']}",
        f"--ks={' '.join(ks)}",
        f"--target={target or ''}",
        f"--output={params['output']}",
        f"--publish={params['publish'] or ''}",
        f"--run={run_id}",
        *settings.arguments(),
    ]
    return [*arguments, "--force"] if params["force"] else arguments
