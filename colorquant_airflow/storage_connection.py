"""Credentials of an object store: from an Airflow connection to the processes that need them."""

import json
import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from colorquant.storage import OPTIONS
from colorquant_airflow.allowed import may_use, use_allowed_roots

# What the extra of a connection may have, by the names that Airflow's Amazon provider has for it.
_READ = frozenset(
    {
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "config_kwargs",
        "endpoint_url",
        "profile_name",
        "region_name",
        "service_config",
        "verify",
    }
)


class NoSuchConnection(LookupError):
    """Airflow has no connection of that name; the message says what to do."""


class ConnectionRefused(PermissionError):
    """A run may not use a connection; the message says why, and what to do."""


def storage_options(name: str) -> dict[str, Any]:
    """The options of s3fs that an Airflow connection stands for.

    The connection has the type ``aws``, as for Airflow's own hooks. Of its fields, those of ``_READ`` are understood.

    Raises
    ------
    ConnectionRefused
        Where the operator does not allow it, it is not one of an object store (its password is somebody else's), or its
        extra has a field that is not understood: a role, say, without which the run would go on as somebody else.
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
    if unread := sorted(extra.keys() - _READ):
        raise ConnectionRefused(
            f"The Airflow connection {name!r}, which storage_connection names, has {', '.join(unread)} in its extra, "
            f"which is not read; what is read: {', '.join(sorted(_READ))}. Where a role is to be assumed, give "
            "profile_name, a profile of the AWS configuration on each machine that assumes it."
        )
    of_s3 = (extra.get("service_config") or {}).get("s3") or {}
    config = dict(extra.get("config_kwargs") or {})
    unsigned = config.get("signature_version") == "unsigned"
    if unsigned:
        del config["signature_version"]
    options = {
        "key": connection.login or extra.get("aws_access_key_id"),
        "secret": connection.password or extra.get("aws_secret_access_key"),
        "token": extra.get("aws_session_token"),
        "profile": extra.get("profile_name"),
        "anon": unsigned,
        "endpoint_url": of_s3.get("endpoint_url") or extra.get("endpoint_url"),
        "client_kwargs": {
            option: extra[option] for option in ("region_name", "verify") if extra.get(option) not in (None, "")
        },
        "config_kwargs": config,
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
