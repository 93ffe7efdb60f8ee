"""The notice of a failed run: written to the log, and sent by the notifier that the deployment names."""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from colorquant_airflow.allowed import with_folders
from colorquant_airflow.dag.planning import planning_task
from colorquant_airflow.dag.settings import notifier_arguments, notifier_path
from colorquant_airflow.storage_connection import use_storage

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
    # Jinja does not evaluate a value that it inserts, so a file may be called {{ ds }}.png.
    failure = {"subject": _subject(context), "message": _message(context)}
    logger.error("%s\n%s", failure["subject"], failure["message"])
    if notifier := notifier_path():
        from airflow.sdk.module_loading import import_string

        import_string(notifier)(**notifier_arguments())({**context, "failure": failure})


def _subject(context: Mapping[str, Any]) -> str:
    return f"Image compression: run {context['run_id']} of {context['dag'].dag_id} failed"


def _message(context: Mapping[str, Any]) -> str:
    from airflow.sdk import conf

    lines = [*_failures(context), f"Reason given by Airflow: {context.get('reason') or 'none'}"]
    address = conf.get("api", "base_url", fallback=None)
    if address:
        run = quote(context["run_id"], safe="")
        lines.append(f"{address.rstrip('/')}/dags/{context['dag'].dag_id}/runs/{run}")
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
    from colorquant.report import k_text, read_summary

    params = context.get("params") or {}
    if "output" not in params:
        return []
    use_storage(params)
    folder = run_folder(with_folders(params)["output"], context["run_id"])
    summary = read_summary(folder / "summary.json")
    failures = summary.failures()
    totals = summary.totals
    lines = [f"{totals.failed} of {totals.jobs} jobs failed; the report is {folder / 'summary.html'}"]
    for image, reason, ks in failures[:_MAX_LISTED]:
        lines.append(f"- {image!r}, k = {', '.join(map(k_text, ks))}: {reason}")
    lines += [f"- {name!r} was not read: {reason}" for name, reason in summary.unreadable.items()]
    if len(failures) > _MAX_LISTED:
        lines.append(f"- and {len(failures) - _MAX_LISTED} more")
    return lines
