"""Credentials of an object store: from an Airflow connection to the processes that need them."""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from colorquant.storage import OPTIONS
from colorquant_airflow.allowed import may_use, use_allowed_roots

# What the extra of a connection may have, by the names that Airflow's providers have for it.
_OF_AMAZON = frozenset(
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
# What the hook of the Amazon provider reads in addition.
_OF_THE_HOOK = frozenset(
    {
        "assume_role_kwargs",
        "assume_role_method",
        "assume_role_with_saml",
        "assume_role_with_web_identity_federation",
        "assume_role_with_web_identity_federation_audience",
        "assume_role_with_web_identity_token_file",
        "role_arn",
        "session_kwargs",
    }
)
# Keys of a role live for fifteen minutes at least.
_ROLE_SECONDS = 300.0
_roles: dict[str, tuple[float, Any]] = {}
_asking = threading.Lock()
_HOOK = "airflow.providers.amazon.aws.hooks.base_aws"
_OF_GOOGLE = frozenset({"is_anonymous", "key_path", "keyfile_dict", "project"})
_OF_AZURE = frozenset({"connection_string", "sas_token", "tenant_id"})
_KEYS_OF_AZURE = {"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"}


class NoSuchConnection(LookupError):
    """Airflow has no connection of that name; the message says what to do."""


class ConnectionRefused(PermissionError):
    """A run may not use a connection; the message says why, and what to do."""


def storage_options(name: str) -> dict[str, dict[str, Any]]:
    """The options that an Airflow connection stands for: those of the library of its store, by the scheme of its URIs.

    The connection has one of the types of ``_STORES``, as for Airflow's own hooks.

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
    if connection.conn_type not in _STORES:
        raise ConnectionRefused(
            f"The Airflow connection {name!r}, which storage_connection names, has the type {connection.conn_type!r}: "
            f"name one of type {', '.join(_STORES)}."
        )
    scheme, options = _STORES[connection.conn_type]
    return {scheme: {option: value for option, value in options(name, connection).items() if value not in (None, "")}}


def _refuse(name: str, unread: set[str], read: frozenset[str], advice: str) -> None:
    """Raise ConnectionRefused where a field of a connection's extra is not read."""
    if unread:
        raise ConnectionRefused(
            f"The Airflow connection {name!r}, which storage_connection names, has {', '.join(sorted(unread))} in its "
            f"extra, which is not read; what is read: {', '.join(sorted(read))}. {advice}"
        )


def _of_s3(name: str, connection: Connection) -> dict[str, Any]:
    """Options of s3fs. A role is assumed by the hook of the Amazon provider; its keys are those of that moment."""
    extra = connection.extra_dejson
    key, secret = connection.login, connection.password
    token, profile = extra.get("aws_session_token"), extra.get("profile_name")
    if extra.keys() - _OF_AMAZON:
        hook = _amazon_hook(name)
        read = _OF_AMAZON | _OF_THE_HOOK if hook else _OF_AMAZON
        advice = (
            "Where a role is to be assumed, install apache-airflow-providers-amazon, or give profile_name, a profile "
            "of the AWS configuration on each machine that assumes it."
        )
        _refuse(name, extra.keys() - read, read, advice)
        key, secret, token, profile = *_keys(name, hook, connection.get_uri()), None
    of_s3 = (extra.get("service_config") or {}).get("s3") or {}
    config = dict(extra.get("config_kwargs") or {})
    unsigned = config.get("signature_version") == "unsigned"
    if unsigned:
        del config["signature_version"]
    options = {
        "key": key or extra.get("aws_access_key_id"),
        "secret": secret or extra.get("aws_secret_access_key"),
        "token": token,
        "profile": profile,
        "anon": unsigned,
        "endpoint_url": of_s3.get("endpoint_url") or extra.get("endpoint_url"),
        "client_kwargs": {
            option: extra[option] for option in ("region_name", "verify") if extra.get(option) not in (None, "")
        },
        "config_kwargs": config,
    }
    return {option: value for option, value in options.items() if value}


def _amazon_hook(name: str) -> Any:
    """The hook of the Amazon provider; None where the provider is not installed."""
    try:
        return import_module(_HOOK).AwsBaseHook(aws_conn_id=name, client_type="s3")
    except ModuleNotFoundError:
        return None


def _keys(name: str, hook: Any, uri: str) -> tuple[str, str, str | None]:
    """Key, secret and token by the hook, some minutes old at most. Raises ConnectionRefused."""
    # A page asks for each of its pictures, and a store opened with other keys is another one, which is kept.
    with _asking:
        asked_at, keys = _roles.get(uri, (-_ROLE_SECONDS, None))
        if keys is None or time.monotonic() - asked_at > _ROLE_SECONDS:
            try:
                keys = hook.get_credentials(region_name=hook.region_name)
            except Exception as error:  # Of botocore, of the provider, of an identity provider.
                raise ConnectionRefused(
                    f"The Airflow connection {name!r}, which storage_connection names, gives no credentials: "
                    f"{' '.join(str(error).split())}"
                ) from error
            _roles[uri] = time.monotonic(), keys
    return keys.access_key, keys.secret_key, keys.token


def _of_google(name: str, connection: Connection) -> dict[str, Any]:
    """Options of gcsfs. Without a key, the credentials are those of the machine, as for Airflow's hooks."""
    extra = {field: value for field, value in connection.extra_dejson.items() if value not in (None, "", False)}
    advice = "Without a key, Google's default credentials of each machine are used."
    _refuse(name, extra.keys() - _OF_GOOGLE, _OF_GOOGLE, advice)
    key = extra.get("keyfile_dict")
    try:
        key = json.loads(key) if isinstance(key, str) else key
    except ValueError:
        raise ConnectionRefused(
            f"The Airflow connection {name!r}, which storage_connection names, has a keyfile_dict that is not JSON."
        ) from None
    token = "anon" if extra.get("is_anonymous") else key or extra.get("key_path")
    return {"token": token, "project": extra.get("project")}


def _of_azure(name: str, connection: Connection) -> dict[str, Any]:
    """Options of adlfs. Login and password are an account and its key, or of an application if there is a tenant."""
    extra = {field: value for field, value in connection.extra_dejson.items() if value not in (None, "", False)}
    advice = "Without a key, Azure's default credentials of each machine are used."
    _refuse(name, extra.keys() - _OF_AZURE, _OF_AZURE, advice)
    host = connection.host or ""
    host = urlsplit(host if "://" in host else f"//{host}").netloc
    if extra.get("connection_string"):
        return {"connection_string": extra["connection_string"]}
    account = connection.login or host.partition(".")[0]
    key, token = connection.password, extra.get("sas_token")
    if not extra.get("tenant_id") and (key or token):
        # adlfs takes what the environment has before an account and its key, but not before a connection string.
        place = f"BlobEndpoint=https://{host}" if host else "DefaultEndpointsProtocol=https"
        secret = f"AccountKey={key}" if key else f"SharedAccessSignature={str(token).lstrip('?')}"
        place = place if key or host else f"BlobEndpoint=https://{account}.blob.core.windows.net"
        return {"connection_string": f"{place};AccountName={account};{secret}"}
    if others := sorted(_KEYS_OF_AZURE & os.environ.keys()):
        raise ConnectionRefused(
            f"The Airflow connection {name!r}, which storage_connection names, has no key, and Azure's library would "
            f"use {', '.join(others)} of the environment in place of it: unset that, or give a key."
        )
    options: dict[str, Any] = {"account_name": account, "account_host": host}
    if extra.get("tenant_id"):
        options |= {"tenant_id": extra["tenant_id"], "client_id": connection.login}
        options |= {"account_name": host.partition(".")[0], "client_secret": connection.password}
    return options


#: For each type of connection the scheme of its URIs, and how its fields become options.
_STORES: dict[str, tuple[str, Callable[[str, Connection], dict[str, Any]]]] = {
    "aws": ("s3", _of_s3),
    "google_cloud_platform": ("gs", _of_google),
    "wasb": ("az", _of_azure),
}


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
        return {OPTIONS[scheme]: json.dumps(options) for scheme, options in storage_options(name).items()}
    except (NoSuchConnection, ConnectionRefused) as error:
        raise AirflowFailException(str(error)) from None


def use_storage(params: Mapping[str, Any]) -> None:
    """Give this process, which runs one task, the run's credentials, and limit it to the allowed folders.

    Raises AirflowFailException.
    """
    use_allowed_roots()
    os.environ.update(storage_environment(params))
