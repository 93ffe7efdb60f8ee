"""The credentials of an object store: from an Airflow connection to those who need them."""

import json
import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from colorquant.storage import OPTIONS


class NoSuchConnection(LookupError):
    """There is no Airflow connection of that name; the message says what to do."""


def storage_options(name: str) -> dict[str, Any]:
    """The options of s3fs that an Airflow connection stands for.

    The connection is one of type ``aws``, as for Airflow's own hooks: login and password are the key and its secret;
    its extra may have ``endpoint_url``, ``region_name``, ``aws_session_token`` and ``config_kwargs``.

    Raises
    ------
    NoSuchConnection
    """
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        raise NoSuchConnection(
            f"There is no Airflow connection {name!r}, which storage_connection names. Make one of type aws, for "
            f"example by the environment variable AIRFLOW_CONN_{name.upper()}."
        ) from None
    extra = connection.extra_dejson
    options = {
        "key": connection.login,
        "secret": connection.password,
        "token": extra.get("aws_session_token"),
        "endpoint_url": extra.get("endpoint_url"),
        "client_kwargs": {"region_name": extra["region_name"]} if extra.get("region_name") else None,
        "config_kwargs": extra.get("config_kwargs"),
    }
    return {option: value for option, value in options.items() if value}


def storage_environment(params: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables for what a run reads and writes; none where its parameters name no connection.

    Raises
    ------
    AirflowFailException
        Where there is no such connection.
    """
    name = params.get("storage_connection")
    if not name:
        return {}
    try:
        return {OPTIONS: json.dumps(storage_options(name))}
    except NoSuchConnection as error:
        raise AirflowFailException(str(error)) from None


def use_storage(params: Mapping[str, Any]) -> None:
    """Give this process, which runs one task, the run's credentials."""
    os.environ.update(storage_environment(params))
