"""Who is told of a run that failed: the log, and whom the deployment names."""

import json
import logging
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from colorquant_airflow.dag.steps import planner
from colorquant_airflow.dag.storage_connection import use_storage

logger = logging.getLogger(__name__)

_MOST_LISTED = 20


def tell_of_failure(context: Mapping[str, Any]) -> None:
    """Say which run failed and why; the DAGs' ``on_failure_callback``.

    It is logged, by the DAG processor, which runs the callbacks of DAGs. Where COMPRESSION_NOTIFIER names an Airflow
    notifier by its import path, that is called too, with the arguments of COMPRESSION_NOTIFIER_ARGUMENTS (JSON). In
    those that the notifier renders, ``{{ failure.subject }}`` and ``{{ failure.message }}`` are what is to be said.

    Raises
    ------
    ValueError
        Where the arguments are no JSON object; whatever the notifier raises.
    """
    # What is inserted by a template is not itself evaluated: a file may be called {{ ds }}.png.
    failure = {"subject": _subject(context), "message": _message(context)}
    logger.error("%s\n%s", failure["subject"], failure["message"])
    notifier = os.environ.get("COMPRESSION_NOTIFIER")
    if notifier:
        from airflow.sdk.module_loading import import_string

        import_string(notifier)(**_arguments())({**context, "failure": failure})


def _arguments() -> dict[str, Any]:
    text = os.environ.get("COMPRESSION_NOTIFIER_ARGUMENTS") or "{}"
    try:
        arguments = json.loads(text)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ValueError(f"COMPRESSION_NOTIFIER_ARGUMENTS is no JSON object: {text}")
    return arguments


def _subject(context: Mapping[str, Any]) -> str:
    return f"Image compression: run {context['run_id']} of {context['dag'].dag_id} failed"


def _message(context: Mapping[str, Any]) -> str:
    from airflow.configuration import conf

    lines = [*_failures(context), f"Reason that Airflow gives: {context.get('reason') or 'none'}"]
    address = conf.get("api", "base_url", fallback=None)
    if address:
        run = quote(context["run_id"], safe="")
        lines.append(f"{address.rstrip('/')}/dags/{context['dag'].dag_id}/runs/{run}")
    return "\n".join(lines)


def _failures(context: Mapping[str, Any]) -> list[str]:
    """What the report says of the failed jobs; where it cannot be read, why: a notice must not depend on it."""
    where = f"see the logs of the tasks, that of {planner(context['dag'])} first."
    try:
        return _reported(context)
    except FileNotFoundError:
        return [f"There is no report: {where}"]
    except Exception as error:  # A wrong place, an object store that is away or refuses, a file of something else.
        return [f"The report cannot be read ({type(error).__name__}: {error}): {where}"]


def _reported(context: Mapping[str, Any]) -> list[str]:
    from colorquant.jobs import run_folder
    from colorquant.report import k_text, read_summary

    params = context.get("params") or {}
    if "output" not in params:
        return []
    use_storage(params)
    folder = run_folder(params["output"], context["run_id"])
    summary = read_summary(folder / "summary.json")
    failures = summary.failures()
    totals = summary.totals
    lines = [f"{totals.failed} of {totals.jobs} jobs failed; the report is {folder / 'summary.html'}"]
    for image, reason, ks in failures[:_MOST_LISTED]:
        lines.append(f"- {image!r}, k = {', '.join(map(k_text, ks))}: {reason}")
    if len(failures) > _MOST_LISTED:
        lines.append(f"- and {len(failures) - _MOST_LISTED} more")
    return lines
