"""Credentials of an object store: from an Airflow connection to the processes that need them."""

import json
import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from colorquant.storage import OPTIONS
from colorquant_airflow.allowed import may_use, use_allowed_roots


class NoSuchConnection(LookupError):
    """Airflow has no connection of that name; the message says what to do."""


class ConnectionRefused(PermissionError):
    """A run may not use a connection; the message says why, and what to do."""


def storage_options(name: str) -> dict[str, Any]:
    """The options of s3fs that an Airflow connection stands for.

    The connection has the type ``aws``, as for Airflow's own hooks: login and password are the key and its secret. Its
    extra may have ``endpoint_url``, ``region_name``, ``aws_session_token`` and ``config_kwargs``.

    Raises
    ------
    ConnectionRefused
        Where the operator does not allow it, or it is not one of an object store: its password is somebody else's.
    NoSuchConnection
    """
    if not may_use(name):
        raise ConnectionRefused(
            f"A run may not use the Airflow connection {name!r}, which storage_connection names. Whoever operates this "
            "installation can allow it, with COMPRESSION_ALLOWED_CONNECTIONS."
        )
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        raise NoSuchConnection(
            f"There is no Airflow connection {name!r}, which storage_connection names. Make one of type aws, for "
            f"example with the environment variable AIRFLOW_CONN_{name.upper()}."
        ) from None
    if connection.conn_type != "aws":
        raise ConnectionRefused(
            f"The Airflow connection {name!r}, which storage_connection names, has the type {connection.conn_type!r}: "
            "name one of type aws."
        )
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
    """Environment variables with the credentials of a run; empty if its parameters name no connection.

    Raises
    ------
    AirflowFailException
        If Airflow has no such connection, or the run may not use it.
    """
    name = params.get("storage_connection")
    if not name:
        return {}
    try:
        return {OPTIONS: json.dumps(storage_options(name))}
    except (NoSuchConnection, ConnectionRefused) as error:
        raise AirflowFailException(str(error)) from None


def use_storage(params: Mapping[str, Any]) -> None:
    """Give this process, which runs one task, the run's credentials, and limit it to the allowed folders.

    Raises AirflowFailException.
    """
    use_allowed_roots()
    os.environ.update(storage_environment(params))
