"""The beginning of a run: its parameters are checked, its jobs are planned, and the result is announced.

The package ``colorquant`` is imported when a task runs: a DAG file is parsed every few seconds.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowFailException

from colorquant_airflow.allowed import with_folders
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.storage_connection import use_storage
from colorquant_airflow.xcoms import PLANNED

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

    from colorquant.errors import TooManyJobs
    from colorquant.jobs import Plan


def write_plan(context: "Context") -> list[dict[str, Any]]:
    """List the images, make the jobs, and write the plan.

    Returns
    -------
    list of dict
        For each pending job, the arguments of its operator that differ from those of the other jobs.

    Raises
    ------
    AirflowFailException
        For a wrong parameter, and where Spark cannot be used: the message says what to do. A retry would end the same.
    """
    from colorquant.errors import InvalidPlan, InvalidSetting
    from colorquant.jobs import mark_outputs, planning, run_folder
    from colorquant_airflow.spark_master import UnusableSpark, require_spark

    params, run_id = with_folders(context["params"]), context["run_id"]
    try:
        use_storage(params)
        check_params(params)
        folder = run_folder(params["output"], run_id)
        with planning(params["output"], folder):
            plan = _plan(params, run_id)
            if plan.pending():
                require_spark()
            mark_outputs(params["output"])
            plan = replace(plan, pending_before=_pending_before(folder))
            plan.write(folder / "plan.json")
    except (InvalidPlan, InvalidSetting, UnusableSpark, AirflowFailException) as error:
        refuse_run(context, error)
    announce_plan(context, folder)
    print(f"{len(plan.jobs)} jobs, {len(plan.reused)} of them done already")
    return plan.submissions()


def _pending_before(folder: Path) -> tuple[str, ...]:
    """The jobs of the tasks that were mapped before a run was cleared: links of these tasks still lead to them."""
    from colorquant.errors import InvalidRecord
    from colorquant.jobs import Plan

    try:
        before = Plan.read(folder / "plan.json")
    except (OSError, InvalidRecord):
        return ()
    return tuple(job.label for job in before.pending()) or before.pending_before


def announce_plan(context: "Context", folder: Path) -> None:
    """Tell the UI's pages where the run's plan and report will be, and which connection opens them."""
    connection = context["params"].get("storage_connection")
    context["ti"].xcom_push(PLANNED, {"folder": str(folder), "storage_connection": connection})


def refuse_run(context: "Context", error: Exception) -> NoReturn:
    """Tell the UI's pages why nothing is planned, and fail the task without a retry. Raises AirflowFailException."""
    context["ti"].xcom_push(PLANNED, {"refused": str(error)})
    raise AirflowFailException(str(error)) from None


def planning_task(dag: "DAG") -> str:
    """The id of the task that plans a run, the DAG's first: its log says why a run has no plan or report."""
    return ", ".join(task.task_id for task in dag.roots) or "the first task"


def check_params(params: Mapping[str, Any]) -> None:
    """Check all parameters, and the folders, before hours of work that would be lost.

    Raises
    ------
    InvalidPlan
        If a parameter is unknown, has a wrong value, or the run cannot work with a folder. The message names each one.
    """
    from colorquant.errors import InvalidPlan, InvalidRequest, PublishFailed

    known = library_params()
    # Airflow accepts any name in a trigger's conf, so a misspelled parameter would be ignored without a message.
    if unknown := sorted(params.keys() - known.keys()):
        raise InvalidPlan(f"There is no parameter {unknown[0]!r}. The parameters are {', '.join(known)}.")
    problems = []
    for check in (_check_folders, _check_values):
        try:
            check(params)
        except (InvalidRequest, PublishFailed) as error:
            problems.append(str(error))
    if problems:
        raise InvalidPlan(" ".join(problems))


def _check_folders(params: Mapping[str, Any]) -> None:
    from colorquant.jobs import RunFolders
    from colorquant.publish import refuse_others

    folders = RunFolders.of(params["images"], params["output"], params["publish"])
    if folders.published:
        refuse_others(folders.published)


def _check_values(params: Mapping[str, Any]) -> None:
    from colorquant.jobs import parse_ks, parse_target
    from colorquant.settings import Settings, options

    parse_target(params["target"] or "", parse_ks(params["ks"]))
    Settings.parse({name: params[name] for name in options()})


def _plan(params: Mapping[str, Any], run_id: str) -> "Plan":
    from airflow.sdk import conf

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
        exclude=params["exclude"] or "",
        publish=params["publish"],
    )
    try:
        return plan_run(request, max_jobs=conf.getint("core", "max_map_length"))
    except TooManyJobs as error:
        raise InvalidPlan(_ways_out(error)) from None


def _ways_out(error: "TooManyJobs") -> str:
    return (
        f"This run has {error.count:,} jobs, and Airflow maps at most {error.limit:,} tasks. Trigger the DAG "
        "kmeans_corpus_compression instead: it compresses all images in one Spark application. Or choose fewer k or a "
        f"smaller folder. Or set AIRFLOW__CORE__MAX_MAP_LENGTH={error.count} in the environment of Airflow (in a "
        "checkout, of make run and make ui)."
    )
