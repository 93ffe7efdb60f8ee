"""What the Python tasks of the DAGs do: plan a run, and report on it.

The package that does it is imported when a task runs: a DAG file is parsed every few seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from colorquant_airflow.dag.assets import REPORT
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.dag.storage_connection import use_storage
from colorquant_airflow.dag.xcoms import PLANNED, PUBLISHED, REPORTED

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

    from colorquant.jobs import Plan
    from colorquant.report import Summary


def plan_jobs(context: "Context") -> list[dict[str, Any]]:
    """List the images, make the jobs, write the plan; return what differs between the pending jobs' spark-submits.

    Raises
    ------
    AirflowFailException
        For a wrong parameter: the message says which, and what to do. A retry would end the same.
    """
    from colorquant.errors import InvalidPlan, InvalidSetting
    from colorquant.jobs import run_folder

    params, run_id = context["params"], context["run_id"]
    try:
        use_storage(params)
        refuse_wrong(params)
        plan = _plan(params, run_id)
    except (InvalidPlan, InvalidSetting, AirflowFailException) as error:
        raise refused(context, error) from None
    folder = run_folder(params["output"], run_id)
    plan.write(folder / "plan.json")
    planned(context, folder)
    print(f"{len(plan.jobs)} jobs, {len(plan.reused)} of them done already")
    return plan.submissions()


def planned(context: "Context", folder: Path) -> None:
    """Tell where the run leaves its plan and its report, and by which connection they are read."""
    connection = context["params"].get("storage_connection")
    context["ti"].xcom_push(PLANNED, {"folder": str(folder), "storage_connection": connection})


def refused(context: "Context", error: Exception) -> AirflowFailException:
    """Tell why nothing is planned; return what fails the task, without a retry."""
    context["ti"].xcom_push(PLANNED, {"refused": str(error)})
    return AirflowFailException(str(error))


def planner(dag: "DAG") -> str:
    """What to look at first where a run has no plan or report: the task that plans it, which is the DAG's first."""
    return ", ".join(task.task_id for task in dag.roots) or "the first task"


def refuse_wrong(params: Mapping[str, Any]) -> None:
    """Refuse unknown parameters, and folders that the run cannot work with: before hours of work that would be lost.

    Raises
    ------
    InvalidPlan
    """
    from colorquant.errors import InvalidFolder, InvalidPlan, PublishFailed
    from colorquant.jobs import RunFolders
    from colorquant.publish import refuse_others

    known = library_params()
    # Airflow lets a trigger's conf have more than the parameters: a misspelled one would be passed over.
    if unknown := sorted(params.keys() - known.keys()):
        raise InvalidPlan(f"There is no parameter {unknown[0]!r}; there are {', '.join(known)}.")
    try:
        places = RunFolders.of(params["images"], params["output"], params["publish"])
        if places.published:
            refuse_others(places.published)
    except (InvalidFolder, PublishFailed) as error:
        raise InvalidPlan(str(error)) from None


def _plan(params: Mapping[str, Any], run_id: str) -> "Plan":
    from airflow.configuration import conf

    from colorquant.errors import InvalidPlan, TooManyJobs
    from colorquant.jobs import RunRequest, plan_run
    from colorquant.settings import Settings, options

    request = RunRequest(
        run_id=run_id,
        images=params["images"],
        ks=params["ks"],
        output=params["output"],
        settings=Settings.parse({name: params[name] for name in options()}),
        force=params["force"],
        target=params["target"] or "",
        pattern=params["pattern"],
        publish=params["publish"],
    )
    try:
        return plan_run(request, max_jobs=conf.getint("core", "max_map_length"))
    except TooManyJobs as error:
        raise InvalidPlan(
            f"The run has {error.count:,} jobs, and Airflow maps at most {error.limit:,}. Trigger the DAG "
            "kmeans_corpus_compression in Airflow's UI (make ui), which compresses all images in one Spark "
            "application; or give fewer k or a smaller folder; or start Airflow (make run, make ui) with "
            f"AIRFLOW__CORE__MAX_MAP_LENGTH={error.count} in the environment."
        ) from None


def summarize(context: "Context") -> dict[str, Any]:
    """Write the report of the run; return its totals, which are also those of the asset's event.

    Raises
    ------
    AirflowFailException
        Where there is no plan, or, after the report is written, where more jobs failed than are allowed, or the folder
        to publish to is another's.
    """
    from colorquant.errors import InvalidLocation
    from colorquant.jobs import Plan, run_folder
    from colorquant.report import summarize_run

    params = context["params"]
    use_storage(params)
    try:
        folder = run_folder(params["output"], context["run_id"])
        plan = Plan.read(folder / "plan.json")
    except (FileNotFoundError, InvalidLocation):
        raise AirflowFailException(
            f"There is no plan to report on: see the log of {planner(context['dag'])}."
        ) from None
    page = folder / "summary.html"
    summary = summarize_run(plan, folder)
    print(f"Report: {page}\n{summary.table()}")
    if summary.changes:
        print(summary.changes.sentence())
    regressed = len(summary.changes.regressed) if summary.changes else 0
    reported = {"report": str(page), "regressed": regressed, **_totals(summary)}
    context["ti"].xcom_push(REPORTED, reported)
    if summary.totals.failed > params["max_failures"]:
        _unpublished(context, "more jobs failed than max_failures allows.")
        raise AirflowFailException(
            f"{summary.totals.failed} of {summary.totals.jobs} jobs failed, and max_failures is "
            f"{params['max_failures']}. The report is written: {page}"
        )
    if params["publish"]:
        _publish(context, plan, summary, folder)
    context["outlet_events"][REPORT].extra = reported
    return reported


def _publish(context: "Context", plan: "Plan", summary: "Summary", folder: Path) -> None:
    from colorquant.errors import InvalidLocation, PublishFailed
    from colorquant.publish import publish
    from colorquant.report import candidates_of
    from colorquant.storage import location

    published = context["params"]["publish"]
    try:
        place = location(published)
        manifest = publish(candidates_of(plan, summary, folder), place, summary.run_id, written_at=summary.written_at)
    except (PublishFailed, InvalidLocation) as error:
        _unpublished(context, str(error))
        raise AirflowFailException(f"Nothing is published: {error}") from None
    except Exception as error:  # A full disk, a folder that is not to be written to, a store that is away: try again.
        _unpublished(context, f"{type(error).__name__}: {error}. The run can be triggered again: outputs are kept.")
        raise
    print(f"Published: {len(manifest.files)} files in {published}")
    context["ti"].xcom_push(PUBLISHED, {"folder": published, "files": len(manifest.files)})


def _unpublished(context: "Context", why: str) -> None:
    """Tell why nothing is published, where that was asked for."""
    if context["params"]["publish"]:
        context["ti"].xcom_push(PUBLISHED, {"refused": why})


def _totals(summary: "Summary") -> dict[str, Any]:
    """The totals without those of each k: an event is a message, and the report has them."""
    import dataclasses

    return {name: value for name, value in dataclasses.asdict(summary.totals).items() if name != "by_k"}
