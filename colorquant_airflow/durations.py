"""Lengths of time that the deployment sets in minutes."""

import os
import re
from datetime import timedelta


def minutes(variable: str, default: int | None, noun: str = "timeout") -> timedelta | None:
    """Read a number of minutes from an environment variable; ``default`` of None: None where it is not set.

    Raises
    ------
    ValueError
        For anything but a whole number of minutes, at least 1. Airflow shows the message as the DAG's import error.
    """
    text = os.environ.get(variable, "").strip() or (str(default) if default is not None else None)
    if text is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise ValueError(f"{variable}={text!r} is not a {noun}: give whole minutes, for example 120")
    return timedelta(minutes=int(text))


def timeout(variable: str, default: int) -> timedelta:
    """Read a timeout as ``minutes``; it has a default, in minutes. Raises ValueError likewise."""
    found = minutes(variable, default)
    assert found is not None
    return found


def in_words(length: timedelta) -> str:
    """A length of time in words: whole hours where it has them, else minutes."""
    count, unit = length.total_seconds() / 60, "minute"
    if count % 60 == 0:
        count, unit = count / 60, "hour"
    return f"{count:.0f} {unit}{'s' if count != 1 else ''}"
