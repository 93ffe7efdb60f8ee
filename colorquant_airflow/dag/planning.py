"""The beginning of a run: its parameters are checked, its jobs are planned, and the result is announced.

The package ``colorquant`` is imported when a task runs: a DAG file is parsed every few seconds.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from colorquant_airflow.allowed import with_folders
from colorquant_airflow.dag.params import library_params
from colorquant_airflow.storage_connection import use_storage
from colorquant_airflow.xcoms import PLANNED

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

    from colorquant.errors import TooManyJobs
    from colorquant.jobs import Plan
    from colorquant.settings import Settings


def write_plan(context: "Context", without_palettes: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
    """List the images, make the jobs, and write the plan.

    Parameters
    ----------
    context : Context
    without_palettes : callable
        Called where no palette has to be found before the jobs.

    Returns
    -------
    list of dict
        For each pending job, the arguments of its operator that differ from those of the other jobs.

    Raises
    ------
    AirflowFailException
        For a wrong parameter, and where Spark cannot be used: the message says what to do. A retry would end the same.
    """
    from colorquant.jobs import mark_outputs, planning, run_folder
    from colorquant_airflow.spark_master import require_spark

    params, run_id = with_folders(context["params"]), context["run_id"]
    with refusing(context):
        use_storage(params)
        settings = check_params(params)
        folder = run_folder(params["output"], run_id)
        with planning(params["output"], folder):
            plan = _plan(params, run_id, settings)
            if plan.pending():
                require_spark()
            mark_outputs(params["output"])
            plan = replace(plan, pending_before=_pending_before(folder))
            plan.write(folder / "plan.json")
    announce_plan(context, folder)
    print(f"{len(plan.jobs)} jobs, {len(plan.reused)} of them done already", *plan.palette_news, sep="\n")
    if not plan.palettes_to_find():
        without_palettes()
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


@contextmanager
def refusing(context: "Context") -> Iterator[None]:
    """Within the block, tell the UI's pages why nothing is planned, whatever is raised.

    Raises
    ------
    AirflowFailException
        In place of what another try would raise too: wrong parameters, Spark that cannot be used, refusals of a disk
        or a store. All else is raised as it is, and Airflow tries again.
    """
    from colorquant.errors import InvalidRequest
    from colorquant.storage import is_refusal
    from colorquant_airflow.spark_master import UnusableSpark

    try:
        yield
    except Exception as error:
        if is_lasting := isinstance(error, (InvalidRequest, UnusableSpark, AirflowFailException)):
            reason = str(error)
        else:
            reason = sentence_of(error)
        context["ti"].xcom_push(PLANNED, {"refused": reason})
        if is_lasting or is_refusal(error):
            raise AirflowFailException(reason) from None
        raise


def sentence_of(error: Exception) -> str:
    """What an exception says to people: its class too, unless its message is a sentence of this project."""
    from colorquant.errors import StoreUnavailable

    if isinstance(error, StoreUnavailable):
        return error.strerror or str(error)
    return str(error) if isinstance(error, AirflowException) else f"{type(error).__name__}: {error}"


def planning_task(dag: "DAG") -> str:
    """The id of the task that plans a run, the DAG's first: its log says why a run has no plan or report."""
    return ", ".join(task.task_id for task in dag.roots) or "the first task"


def check_params(params: Mapping[str, Any]) -> "Settings":
    """Check all parameters, and the folders, before hours of work that would be lost.

    Returns
    -------
    Settings
        With the colors of a palette that is named by its path: its file is read here only.

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
    try:
        _check_folders(params)
    except (InvalidRequest, PublishFailed) as error:
        problems.append(str(error))
    try:
        settings = _checked_settings(params)
    except InvalidRequest as error:
        problems.append(str(error))
    if problems:
        raise InvalidPlan(" ".join(problems))
    return settings


def _check_folders(params: Mapping[str, Any]) -> None:
    from colorquant.jobs import RunFolders
    from colorquant.publish import refuse_others

    folders = RunFolders.of(params["images"], params["output"], params["publish"], params["weights"])
    if folders.published:
        refuse_others(folders.published)


def _checked_settings(params: Mapping[str, Any]) -> "Settings":
    from colorquant.jobs import parse_ks, parse_target
    from colorquant.palettes import with_colors
    from colorquant.settings import Settings, options

    settings = with_colors(Settings.parse({name: params[name] for name in options()}))
    parse_target(params["target"] or "", parse_ks(params["ks"], settings))
    return settings


def _plan(params: Mapping[str, Any], run_id: str, settings: "Settings") -> "Plan":
    from airflow.sdk import conf

    from colorquant.errors import InvalidPlan, TooManyJobs
    from colorquant.jobs import RunRequest, plan_run

    request = RunRequest(
        run_id=run_id,
        images=params["images"],
        ks=params["ks"],
        output=params["output"],
        settings=settings,
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
