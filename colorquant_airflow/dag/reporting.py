"""The end of a run: its report is written, and the file worth keeping of each image is published.

The package ``colorquant`` is imported when a task runs: a DAG file is parsed every few seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from colorquant_airflow.allowed import with_folders
from colorquant_airflow.dag.assets import REPORT
from colorquant_airflow.dag.notification import notify_of_news
from colorquant_airflow.dag.planning import planning_task, sentence_of
from colorquant_airflow.storage_connection import use_storage
from colorquant_airflow.xcoms import PLANNED, PUBLISHED, REPORTED

_MAX_NAMED = 20

if TYPE_CHECKING:
    from airflow.sdk import Context

    from colorquant.jobs import Plan
    from colorquant.report import Summary


def summarize(context: "Context") -> dict[str, Any]:
    """Write the report of the run, and publish if the run's parameters ask for it.

    Returns
    -------
    dict
        The report's path and totals, which are also those of the asset's event.

    Raises
    ------
    AirflowFailException
        If there is no plan; if a disk or a store refuses to be read or written; or, after the report is written, if
        somebody ended the run, if more jobs failed than are allowed, or the folder to publish to is not one of this
        project; or, after all else is done, if a part of the library could not be read or published.
    """
    from colorquant.storage import is_refusal

    try:
        return _summarize(context)
    except Exception as error:
        if not is_refusal(error):
            raise
        raise AirflowFailException(sentence_of(error)) from None


def _summarize(context: "Context") -> dict[str, Any]:
    from colorquant.jobs import run_folder
    from colorquant.report import read_repetition, summarize_run

    params = with_folders(context["params"])
    use_storage(params)
    plan = _plan_of(context, params["output"])
    folder = run_folder(params["output"], context["run_id"])
    page = folder / "summary.html"
    summary = summarize_run(plan, folder)
    print(f"Report: {page}\n{summary.table()}")
    if summary.changes:
        print(summary.changes.sentence())
    regressed = len(summary.changes.regressed) if summary.changes else 0
    repetition = read_repetition(folder / "summary.json")
    repeats = repetition.same_run_id if repetition else None
    reported = {"report": str(page), "repeats": repeats, "regressed": regressed, **_totals(summary)}
    context["ti"].xcom_push(REPORTED, reported)
    if summary.totals.failed > params["max_failures"]:
        notify_of_news(context, summary, str(page))
        _announce_refusal(context, "more jobs failed than max_failures allows.")
        raise AirflowFailException(
            f"{summary.totals.failed} of {summary.totals.jobs} jobs failed, and max_failures is "
            f"{params['max_failures']}. The report is written: {page}"
        )
    if untried := sum(row.untried for row in summary.rows):
        # Whatever max_failures allows: whoever marks a run as failed, or as success, does not want it published.
        sentence = f"{untried} of {summary.totals.jobs} jobs left no result: somebody ended the run before them."
        _announce_refusal(context, sentence)
        raise AirflowFailException(
            f"{sentence} Trigger the DAG again: finished jobs are reused. The report is written: {page}"
        )
    problems = _publish(context, plan, summary, folder) if params["publish"] else []
    # Not before: after an error of a disk or a store the task is tried again.
    notify_of_news(context, summary, str(page))
    if plan.unreadable:
        problems.insert(0, _unreadable_sentence(plan.unreadable))
    if problems:
        raise AirflowFailException(f"{' '.join(problems)} All else is done. The report is written: {page}")
    context["outlet_events"][REPORT].extra = reported
    return reported


def _plan_of(context: "Context", output: str) -> "Plan":
    """The plan of the run. Raises AirflowFailException, by what the planning task has told, where there is none."""
    from colorquant.errors import InvalidLocation
    from colorquant.jobs import Plan, run_folder
    from colorquant.storage import is_refusal

    task = planning_task(context["dag"])
    told = context["ti"].xcom_pull(task_ids=task, key=PLANNED) or {}
    if "refused" in told:
        raise AirflowFailException(f"There is no plan to report on: {told['refused']}")
    try:
        return Plan.read(run_folder(output, context["run_id"]) / "plan.json")
    except (InvalidLocation, FileNotFoundError):
        raise AirflowFailException(_no_plan(task, told)) from None
    except Exception as error:
        if not is_refusal(error) and not isinstance(error, ValueError):  # InvalidRecord, and a NUL in the path.
            raise
        cannot = f"The plan of this run cannot be read: {sentence_of(error)}"
        raise AirflowFailException(cannot if told else _no_plan(task, told)) from None


def _no_plan(task: str, told: Mapping[str, Any]) -> str:
    if "folder" in told:
        return (
            f"The plan of this run, {told['folder']}/plan.json, is gone: somebody has removed or moved it since {task} "
            "wrote it. Trigger the DAG again: finished jobs that are still there are reused."
        )
    return f"There is no plan to report on: see the log of {task}. It has none where somebody ended the run before."


def _publish(context: "Context", plan: "Plan", summary: "Summary", folder: Path) -> list[str]:
    """Publish the run; return a sentence for each image whose file of this run is not published."""
    from colorquant.errors import InvalidLocation, PublishFailed
    from colorquant.publish import Edition, publish
    from colorquant.report import candidates_of
    from colorquant.storage import location

    published = with_folders(context["params"])["publish"]
    edition = Edition(
        run_id=summary.run_id,
        planned_at=plan.planned_at,
        written_at=summary.written_at,
        unreadable=plan.unreadable.keys(),
        anyway=context["params"]["publish_anyway"],
    )
    try:
        done = publish(candidates_of(plan, summary, folder), location(published), edition)
    except (PublishFailed, InvalidLocation) as error:
        _announce_refusal(context, str(error))
        raise AirflowFailException(f"Nothing is published: {error}") from None
    except Exception as error:
        said = f"{sentence_of(error)}. Trigger the run again when the cause is gone: outputs are kept."
        _announce_refusal(context, said)
        raise
    count = len(done.manifest.files)
    print(f"Published: {count} files in {published}", *done.problems, sep="\n")
    context["ti"].xcom_push(PUBLISHED, {"folder": published, "files": count, "problems": done.problems[:_MAX_NAMED]})
    unnamed = len(done.problems) - _MAX_NAMED
    return done.problems[:_MAX_NAMED] + ([f"And {unnamed} more, in the log."] if unnamed > 0 else [])


def _unreadable_sentence(unreadable: Mapping[str, str]) -> str:
    named = ", ".join(f"{name!r} ({reason})" for name, reason in unreadable.items())
    return (
        f"These parts of the library were not read: {named}. What is published of them is kept. Correct the rights of "
        "folders or mount them, or exclude them, and trigger the run again."
    )


def _announce_refusal(context: "Context", why: str) -> None:
    """Tell ``make run`` why nothing is published, if the run was to publish."""
    if context["params"]["publish"]:
        context["ti"].xcom_push(PUBLISHED, {"refused": why})


def _totals(summary: "Summary") -> dict[str, Any]:
    """The totals without those of each k, which would make an event too long; they are in the report."""
    import dataclasses

    return {name: value for name, value in dataclasses.asdict(summary.totals).items() if name != "by_k"}
