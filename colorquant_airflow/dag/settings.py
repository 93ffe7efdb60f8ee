"""Settings of the deployment that only a run would stumble over: the DAG files check them when they are parsed."""

import json
import os
import re
from contextlib import suppress
from typing import Any

from colorquant.errors import NotAllowed
from colorquant.jobs import full_check_after
from colorquant.limits import Limits
from colorquant.retention import Keep
from colorquant.storage import root_of
from colorquant_airflow.durations import minutes, timeout

#: Minutes for which a run waits for a person by default.
MAX_WAIT = 12 * 60


def check_settings() -> None:
    """Raise ValueError for a setting that cannot be used. The message names it; Airflow shows it as an import error."""
    Limits.of_environment()
    full_check_after()
    Keep.of_environment()
    minutes("COMPRESSION_DEADLINE", None, "deadline")
    timeout("COMPRESSION_APPROVAL_TIMEOUT", MAX_WAIT)
    notifier_path()
    notifier_arguments()
    _names_of_variables()
    with suppress(NotAllowed):  # Whether the list of allowed folders can be read, whatever it allows.
        root_of(os.sep)


def _names_of_variables() -> None:
    names = os.environ.get("COMPRESSION_JOB_ENVIRONMENT", "")
    if not all(re.fullmatch(r"[A-Za-z_]\w*", name) for name in names.split()):
        raise ValueError(f"COMPRESSION_JOB_ENVIRONMENT={names!r} are not names of variables, separated by spaces")


def switched_on(variable: str) -> bool:
    """Whether an environment variable is 1. Not set, it is 0. Raises ValueError for any other text."""
    value = os.environ.get(variable) or "0"
    if value not in ("0", "1"):
        raise ValueError(f"{variable}={value!r} is neither 0 nor 1.")
    return value == "1"


def notifier_path() -> str | None:
    """The import path of the notifier that COMPRESSION_NOTIFIER names. Raises ValueError for any other text."""
    path = os.environ.get("COMPRESSION_NOTIFIER") or None
    if path and not re.fullmatch(r"\w+(\.\w+)+", path):
        raise ValueError(f"COMPRESSION_NOTIFIER={path!r} is not an import path, as package.module.Notifier")
    return path


def notifier_arguments() -> dict[str, Any]:
    """The arguments of the notifier. Raises ValueError where COMPRESSION_NOTIFIER_ARGUMENTS is not a JSON object."""
    text = os.environ.get("COMPRESSION_NOTIFIER_ARGUMENTS") or "{}"
    try:
        arguments = json.loads(text)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ValueError(f"COMPRESSION_NOTIFIER_ARGUMENTS is not a JSON object: {text}")
    return arguments
