"""Notices of failed and late runs, questions, worse quality and vanished images: to the log, and by a notifier."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from colorquant_airflow.allowed import with_folders
from colorquant_airflow.dag.planning import planning_task
from colorquant_airflow.dag.settings import notifier_arguments, notifier_path
from colorquant_airflow.links import answer_path
from colorquant_airflow.storage_connection import use_storage

if TYPE_CHECKING:
    from colorquant.report import Review, Summary

logger = logging.getLogger(__name__)

_MAX_LISTED = 20


def notify_of_failure(context: Mapping[str, Any]) -> None:
    """Say which run failed and why. This is the DAGs' ``on_failure_callback``.

    The notice goes to the log of the DAG processor, which runs the callbacks of DAGs. If COMPRESSION_NOTIFIER is the
    import path of an Airflow notifier, that is called too, with the arguments in COMPRESSION_NOTIFIER_ARGUMENTS (a JSON
    object). Arguments that the notifier renders may contain ``{{ failure.subject }}`` and ``{{ failure.message }}``.

    Raises
    ------
    ValueError
        If the arguments are not a JSON object. Errors of the notifier are raised too.
    """
    lines = [*_failures(context), f"Reason given by Airflow: {context.get('reason') or 'none'}"]
    _send(context, " failed", lines)


def notify_of_news(context: Mapping[str, Any], summary: "Summary", report: str) -> None:
    """Say what is worse since the previous run, though the run succeeded: lower quality, and images that vanished.

    Each is new in one run only, so there is one notice. It goes where that of a failed run goes. An error of the
    notifier is logged: the report and what is published are good without it.

    Parameters
    ----------
    context : mapping
        Of the task that reports.
    summary : Summary
        Of the run.
    report : str
        Path of its page.
    """
    changes = summary.changes
    if changes is None or not (changes.regressed or changes.removed):
        return
    told, lines = [], []
    if changes.regressed:
        told.append(f"the quality of {changes.count('regressed')} outputs regressed")
        lines.append(
            "The originals of these outputs are unchanged, and they are worse than before: settings or software have "
            "changed. If that is not wanted, go back to the former settings, or trigger a run with a higher quality."
        )
        moves = [
            f"- {move.image!r}, k = {move.k}: PSNR {_decibels(move.psnr_db_before)} to {_decibels(move.psnr_db)}, "
            f"SSIM {move.ssim_before:.4f} to {move.ssim:.4f}"
            for move in changes.regressed
        ]
        lines += _first(moves, changes.count("regressed"))
    if changes.removed:
        told.append(f"{changes.count('removed')} images vanished")
        lines.append(
            f"These images were in {summary.images_folder} in the previous run, {changes.run_id}, and are not there "
            "now. If they were not removed on purpose, put them back and trigger a run: it publishes them again."
        )
        lines += _first([f"- {name!r}" for name in changes.removed], changes.count("removed"))
    try:
        _send(context, f": {', '.join(told)}", [*lines, f"The report is {report}"], logging.WARNING)
    except Exception:
        logger.exception("The notifier failed")


def notify_of_question(context: Mapping[str, Any], review: "Review", subject: str, report: str, until: str) -> None:
    """Say that a run waits for a person, what it would change, and where to answer. Errors are logged."""
    from airflow.sdk import conf

    address = conf.get("api", "base_url", fallback="").rstrip("/")
    found = review.difference
    lines = [
        f"{subject} What is published stays as it is until somebody answers, and for good where nobody does until "
        f"{until} (UTC). Until then no further run starts."
    ]
    lines += _first([f"- {name!r} would be removed" for name in found.removed], len(found.removed))
    lines += [f"The report is {report}", f"Answer here: {address}{answer_path(context['dag'].dag_id, review.run_id)}"]
    try:
        _send(context, " waits for approval", lines, logging.WARNING)
    except Exception:
        logger.exception("The notifier failed")


async def notify_of_late_run(context: Mapping[str, Any]) -> None:
    """Say that a run is not done by its deadline. This is the callback of the DAGs' ``DeadlineAlert``.

    Parameters
    ----------
    context : mapping
        What Airflow's triggerer knows: ``dag_run`` and ``deadline``, as the REST API has them.
    """
    from asgiref.sync import sync_to_async

    # A notifier need not be able to work asynchronously.
    await sync_to_async(_notify_of_late_run)(context)


def _notify_of_late_run(context: Mapping[str, Any]) -> None:
    run = context["dag_run"]
    lines = [
        f"It was queued at {run['queued_at']}, its deadline was {context['deadline']['deadline_time']}, and it goes "
        "on. See in Airflow which tasks run or wait: jobs may be slow or stuck, the pool may be full, an earlier run "
        "may not be done, or a person is to approve what is published. What was published before stays until the run "
        "ends."
    ]
    _send({**context, "run_id": run["dag_run_id"], "dag_id": run["dag_id"]}, " is not done by its deadline", lines)


def _send(context: Mapping[str, Any], what: str, lines: list[str], level: int = logging.ERROR) -> None:
    # Jinja does not evaluate a value that it inserts, so a file may be called {{ ds }}.png.
    subject = f"Image compression: run {context['run_id']} of {_dag_id(context)}{what}"
    failure = {"subject": subject, "message": _with_address(context, lines)}
    logger.log(level, "%s\n%s", failure["subject"], failure["message"])
    if notifier := notifier_path():
        from airflow.sdk.module_loading import import_string

        import_string(notifier)(**notifier_arguments())({**context, "failure": failure})


def _dag_id(context: Mapping[str, Any]) -> str:
    return context["dag"].dag_id if "dag" in context else context["dag_id"]


def _decibels(psnr_db: float | None) -> str:
    return "lossless" if psnr_db is None else f"{psnr_db:.2f} dB"


def _first(lines: list[str], count: int) -> list[str]:
    more = count - _MAX_LISTED
    return lines[:_MAX_LISTED] + ([f"- and {more} more"] if more > 0 else [])


def _with_address(context: Mapping[str, Any], lines: list[str]) -> str:
    from airflow.sdk import conf

    address = conf.get("api", "base_url", fallback=None)
    if address:
        run = quote(context["run_id"], safe="")
        return "\n".join([*lines, f"{address.rstrip('/')}/dags/{_dag_id(context)}/runs/{run}"])
    return "\n".join(lines)


def _failures(context: Mapping[str, Any]) -> list[str]:
    """The failed jobs of the report; or why the report cannot be read, because a notice must not depend on it."""
    where = f"see the logs of the tasks, that of {planning_task(context['dag'])} first."
    try:
        return _reported(context)
    except FileNotFoundError:
        return [f"There is no report: {where}"]
    except Exception as error:  # A wrong path, an object store that refuses or does not answer, a foreign file.
        return [f"The report cannot be read ({type(error).__name__}: {error}): {where}"]


def _reported(context: Mapping[str, Any]) -> list[str]:
    from colorquant.jobs import run_folder
    from colorquant.report import REVIEW, Review, k_text, read_summary

    params = context.get("params") or {}
    if "output" not in params:
        return []
    use_storage(params)
    folder = run_folder(with_folders(params)["output"], context["run_id"])
    summary = read_summary(folder / "summary.json")
    failures, count = summary.first_failures(_MAX_LISTED)
    totals = summary.totals
    lines = [f"{totals.failed} of {totals.jobs} jobs failed; the report is {folder / 'summary.html'}"]
    named = [f"- {image!r}, k = {', '.join(map(k_text, ks))}: {reason}" for image, reason, ks in failures]
    lines += _first(named, count)
    lines += [f"- {name!r} was not read: {reason}" for name, reason in summary.unreadable.items()]
    with suppress(FileNotFoundError):
        review = Review.read(folder / REVIEW)
        lines += [f"Nothing is published: {review.answer}."] if review.approved is False else []
    return lines
