"""What the Python tasks of the DAGs do: plan a run, and report on it.

The package that does it is imported when a task runs: a DAG file is parsed every few seconds.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from colorquant.plan import Plan
    from colorquant.report import Summary


def plan_run(params: Mapping[str, Any], run_id: str) -> "Plan":
    """List the images, make the jobs and write the plan.

    Raises
    ------
    AirflowFailException
        For a wrong parameter: the message says which, and what to do. A retry would end the same.
    """
    from airflow.configuration import conf

    from colorquant import plan as planning
    from colorquant.settings import InvalidSetting, Settings, options

    try:
        plan = planning.plan_run(
            run_id,
            params["images"],
            params["ks"],
            params["output"],
            settings=Settings.parse({name: params[name] for name in options()}),
            max_jobs=conf.getint("core", "max_map_length"),
            force=params["force"],
        )
    except (planning.InvalidPlan, InvalidSetting) as error:
        raise AirflowFailException(str(error)) from None
    plan.write(planning.run_folder(params["output"], run_id) / "plan.json")
    print(f"{len(plan.jobs)} jobs, {len(plan.reused)} of them done already")
    return plan


def report_on_run(params: Mapping[str, Any], run_id: str) -> "Summary":
    """Write the report of the run.

    Raises
    ------
    AirflowFailException
        Where there is no plan, or, after the report is written, where more jobs failed than are allowed.
    """
    from colorquant.plan import Plan, run_folder
    from colorquant.report import summarize_run

    folder = run_folder(params["output"], run_id)
    try:
        plan = Plan.read(folder / "plan.json")
    except FileNotFoundError:
        raise AirflowFailException("There is no plan to report on: see the log of plan_jobs.") from None
    summary = summarize_run(plan, folder)
    print(f"Report: {folder / 'summary.html'}\n{summary.table()}")
    if summary.totals.failed > params["max_failures"]:
        raise AirflowFailException(
            f"{summary.totals.failed} of {len(plan.jobs)} jobs failed, and max_failures is "
            f"{params['max_failures']}. The report is written: {folder / 'summary.html'}"
        )
    return summary


def event_of(summary: "Summary", params: Mapping[str, Any]) -> dict[str, Any]:
    """What the asset's event says of a report: where it is, and its totals without those by k."""
    import dataclasses

    from colorquant.plan import run_folder

    totals = dataclasses.asdict(summary.totals)
    del totals["by_k"]
    return {"report": str(run_folder(params["output"], summary.run_id) / "summary.html"), **totals}
