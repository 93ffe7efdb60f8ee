"""The end of a run: the report, a question to a person, and the published file worth keeping of each image.

The package ``colorquant`` is imported when a task runs: a DAG file is parsed every few seconds.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from colorquant_airflow.allowed import with_folders
from colorquant_airflow.dag.assets import REPORT
from colorquant_airflow.dag.metrics import send_metrics
from colorquant_airflow.dag.notification import notify_of_news, notify_of_question
from colorquant_airflow.dag.planning import planning_task, sentence_of
from colorquant_airflow.dag.question import Question, question_of
from colorquant_airflow.dag.settings import MAX_WAIT
from colorquant_airflow.storage_connection import use_storage
from colorquant_airflow.xcoms import PLANNED, PUBLISHED, REPORTED

_MAX_NAMED = 20

if TYPE_CHECKING:
    from airflow.sdk import Context

    from colorquant.jobs import Plan
    from colorquant.publish import Edition
    from colorquant.report import Review, Summary


def summarize(context: "Context", patience: timedelta = timedelta(minutes=MAX_WAIT)) -> dict[str, Any] | Question:
    """Write the report of the run, and publish if the run's parameters ask for it.

    Parameters
    ----------
    context : Context
        Of the task.
    patience : timedelta
        How long a person has to answer.

    Returns
    -------
    dict or Question
        The report's path and totals, which are also those of the asset's event; or what a person is to be asked before
        anything is published. Then ``finish`` does the rest.

    Raises
    ------
    AirflowFailException
        If there is no plan; if a disk or a store refuses to be read or written; or, after the report is written, if
        somebody ended the run, if more jobs failed than are allowed, or the folder to publish to is not one of this
        project; or, after all else is done, if a part of the library could not be read or published.
    """
    with _failing_on_refusal():
        return _summarize(context, patience)


def finish(context: "Context", approved: bool, answer: str) -> dict[str, Any]:
    """Publish a run that a person was asked about, or leave what is published as it is.

    Parameters
    ----------
    context : Context
        Of the task.
    approved : bool
        Whether to publish.
    answer : str
        Who has answered, as a sentence without its end: "admin has approved it".

    Returns
    -------
    dict
        As ``summarize``.

    Raises
    ------
    AirflowFailException
        As ``summarize``; and where it is not approved.
    """
    from colorquant.jobs import run_folder
    from colorquant.report import REVIEW, Review, read_summary

    params = with_folders(context["params"])
    use_storage(params)
    with _failing_on_refusal():
        plan = _plan_of(context, params["output"])
        folder = run_folder(params["output"], context["run_id"])
        review = Review.read(folder / REVIEW).answered(approved, answer)
        # A try that fails at a disk or a store, and the notice of the run's failure, read the answer.
        review.write(folder / REVIEW)
        print(f"The publication: {answer}.")
        if not approved:
            _announce_refusal(context, f"{answer}.")
            raise AirflowFailException(
                f"Nothing is published: {answer}. What was published before stays. To publish, trigger the DAG again: "
                f"finished jobs are reused. The report is written: {folder / 'summary.html'}"
            )
        return _finish(context, plan, read_summary(folder / "summary.json"), folder, review)


@contextmanager
def _failing_on_refusal() -> Iterator[None]:
    """Within the block, an error of a disk or a store that refuses ends the task: a retry would end the same."""
    from colorquant.storage import is_refusal

    try:
        yield
    except Exception as error:
        if not is_refusal(error):
            raise
        raise AirflowFailException(sentence_of(error)) from None


def _summarize(context: "Context", patience: timedelta) -> dict[str, Any] | Question:
    from colorquant.jobs import run_folder
    from colorquant.report import REVIEW, summarize_run

    params = with_folders(context["params"])
    use_storage(params)
    plan = _plan_of(context, params["output"])
    folder = run_folder(params["output"], context["run_id"])
    page = folder / "summary.html"
    summary = summarize_run(plan, folder)
    print(f"Report: {page}\n{summary.table()}")
    if summary.changes:
        print(summary.changes.sentence())
    context["ti"].xcom_push(REPORTED, _reported(summary, folder))
    send_metrics(context["ti"].dag_id, summary)
    if summary.totals.failed > params["max_failures"]:
        notify_of_news(context, summary, str(page))
        _announce_refusal(context, "more jobs failed than max_failures allows.")
        raise AirflowFailException(
            f"{summary.totals.failed} of {summary.totals.jobs} jobs failed, and max_failures is "
            f"{params['max_failures']}. The report is written: {page}"
        )
    if untried := summary.untried:
        # Whatever max_failures allows: whoever marks a run as failed, or as success, does not want it published.
        sentence = f"{untried} of {summary.totals.jobs} jobs left no result: {_why_untried(folder)}"
        _announce_refusal(context, sentence)
        raise AirflowFailException(
            f"{sentence} Trigger the DAG again: finished jobs are reused. The report is written: {page}"
        )
    review = None
    if params["publish"] and params["approval"]:
        review = _review(context, plan, summary, folder)
        if review.approved is None and not review.difference.nothing:
            review.write(folder / REVIEW)
            until = (datetime.now(UTC) + patience).isoformat(timespec="minutes")
            context["ti"].xcom_push(PUBLISHED, {"waits": until})
            question = question_of(context["dag"].dag_id, plan, summary, review)
            print(f"Waiting for a person: {question.subject}")
            notify_of_question(context, review, question.subject, str(page), until)
            notify_of_news(context, summary, str(page))
            return question
    return _finish(context, plan, summary, folder, review)


def _review(context: "Context", plan: "Plan", summary: "Summary", folder: Path) -> "Review":
    """What a person is to see; with the answer, where an earlier try of this run has asked the same."""
    from colorquant.errors import InvalidRecord
    from colorquant.publish import difference
    from colorquant.report import REVIEW, Review, candidates_of
    from colorquant.storage import location

    published = with_folders(context["params"])["publish"]
    with _telling_refusal(context):
        found = difference(candidates_of(plan, summary, folder), location(published), _edition(context, plan, summary))
    review = Review.of(summary, published, found)
    with suppress(FileNotFoundError, InvalidRecord):
        before = Review.read(folder / REVIEW)
        if review.is_approved_as(before):
            return before
    return review


def _finish(
    context: "Context", plan: "Plan", summary: "Summary", folder: Path, review: "Review | None"
) -> dict[str, Any]:
    page, reported = folder / "summary.html", _reported(summary, folder)
    problems = _publish(context, plan, summary, folder, review) if context["params"]["publish"] else []
    # Not before: after an error of a disk or a store the task is tried again. Who was asked was told before.
    if review is None or review.approved is None:
        notify_of_news(context, summary, str(page))
    if plan.unreadable:
        problems.insert(0, _unreadable_sentence(plan.unreadable))
    if problems:
        raise AirflowFailException(f"{' '.join(problems)} All else is done. The report is written: {page}")
    context["outlet_events"][REPORT].extra = reported
    return reported


def _reported(summary: "Summary", folder: Path) -> dict[str, Any]:
    from colorquant.report import read_repetition

    repetition = read_repetition(folder / "summary.json")
    return {
        "report": str(folder / "summary.html"),
        "repeats": repetition.same_run_id if repetition else None,
        "regressed": summary.changes.count("regressed") if summary.changes else 0,
        **_totals(summary),
    }


def _why_untried(folder: Path) -> str:
    from colorquant.errors import InvalidRecord
    from colorquant.jobs import JobFailure

    with suppress(OSError, InvalidRecord):
        return f"the palette that they have in common was not found. {JobFailure.read(folder / 'palettes.json').reason}"
    return "somebody ended the run before them."


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


def _edition(context: "Context", plan: "Plan", summary: "Summary") -> "Edition":
    from colorquant.publish import Edition

    return Edition(
        run_id=summary.run_id,
        planned_at=plan.planned_at,
        written_at=summary.written_at,
        unreadable=plan.unreadable.keys(),
        anyway=context["params"]["publish_anyway"],
    )


def _publish(context: "Context", plan: "Plan", summary: "Summary", folder: Path, review: "Review | None") -> list[str]:
    """Publish the run; return a sentence for each image whose file of this run is not published."""
    from colorquant.publish import publish
    from colorquant.report import candidates_of
    from colorquant.storage import location

    published = with_folders(context["params"])["publish"]
    edition = _edition(context, plan, summary)
    if review and review.approved:
        edition = replace(edition, may_drop=review.difference.removed)
    with _telling_refusal(context):
        done = publish(candidates_of(plan, summary, folder), location(published), edition)
    count = len(done.manifest.files)
    print(f"Published: {count} files in {published}", *done.problems, sep="\n")
    context["ti"].xcom_push(PUBLISHED, {"folder": published, "files": count, "problems": done.problems[:_MAX_NAMED]})
    unnamed = len(done.problems) - _MAX_NAMED
    return done.problems[:_MAX_NAMED] + ([f"And {unnamed} more, in the log."] if unnamed > 0 else [])


@contextmanager
def _telling_refusal(context: "Context") -> Iterator[None]:
    """Within the block, tell why nothing is published, whatever is raised; what lasts ends the task."""
    from colorquant.errors import InvalidLocation, PublishFailed

    try:
        yield
    except (PublishFailed, InvalidLocation) as error:
        _announce_refusal(context, str(error))
        raise AirflowFailException(f"Nothing is published: {error}") from None
    except Exception as error:
        said = f"{sentence_of(error)}. Trigger the run again when the cause is gone: outputs are kept."
        _announce_refusal(context, said)
        raise


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
