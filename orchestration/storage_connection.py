"""The credentials of an object store: from an Airflow connection to the environment of the processes that need them."""

import json
import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from colorquant.storage import OPTIONS


def storage_environment(params: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables for what a run reads and writes; none where its parameters name no connection.

    The connection is one of type ``aws``, as for Airflow's own hooks: login and password are the key and its secret;
    its extra may have ``endpoint_url``, ``region_name``, ``aws_session_token`` and ``config_kwargs``.

    Raises
    ------
    AirflowFailException
        Where there is no such connection.
    """
    name = params.get("storage_connection")
    if not name:
        return {}
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        raise AirflowFailException(
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
    return {OPTIONS: json.dumps({option: value for option, value in options.items() if value})}


def use_storage(params: Mapping[str, Any]) -> None:
    """Give this process, which runs one task, the run's credentials."""
    os.environ.update(storage_environment(params))
