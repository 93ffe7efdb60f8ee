"""An Airflow connection opens a bucket as what it says, on a real S3 server, and is refused where it cannot."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from colorquant.errors import StoreUnavailable
from colorquant.storage import paths, read
from colorquant_airflow.storage_connection import ConnectionRefused, storage_environment, storage_options
from tests.more_stores import Emulator
from tests.object_store import SECRET, serving


@pytest.fixture
def opened(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The content of an object, read with the options of a connection and with nothing of the environment."""
    paths.put("s3://library/an object", b"content")
    for name in s3:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COMPRESSION_ALLOWED_CONNECTIONS", "store")

    def open_it(extra: dict[str, Any], **fields: str) -> bytes:
        connection = {"conn_type": "aws", "extra": extra} | fields
        monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
        options = storage_options("store")
        with paths.using(lambda: options):
            return read("s3://library/an object")

    return open_it


def test_keys_are_the_login_or_in_the_extra_and_the_endpoint_may_be_that_of_s3(opened: Any, endpoint: str) -> None:
    assert opened({"endpoint_url": endpoint}, login="user", password=SECRET) == b"content"
    keys = {"aws_access_key_id": "user", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    services = {"s3": {"endpoint_url": endpoint}, "emr": {"anything": 1}}
    assert opened(keys | {"endpoint_url": "http://127.0.0.1:9", "service_config": services}) == b"content"
    unsigned = {"config_kwargs": {"signature_version": "unsigned", "s3": {"addressing_style": "path"}}}
    with pytest.raises(StoreUnavailable, match="Access Denied|Forbidden"):
        opened(unsigned | {"endpoint_url": endpoint})


def test_a_profile_is_looked_up_where_the_process_runs(
    opened: Any, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(f"[of a team]\naws_access_key_id = user\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    assert opened({"profile_name": "of a team", "endpoint_url": endpoint}) == b"content"
    with pytest.raises(StoreUnavailable, match="nobody"):
        opened({"profile_name": "nobody", "endpoint_url": endpoint})


@pytest.fixture
def encrypted() -> Iterator[str]:
    """An S3 server with a certificate of its own making."""
    with serving("--ssl") as address:
        yield f"https://{address}"


def test_certificates_are_verified_unless_the_connection_says_otherwise(opened: Any, encrypted: str) -> None:
    extra = {"endpoint_url": encrypted}
    with pytest.raises(StoreUnavailable, match="(?i)certificate|SSL"):
        opened(extra, login="user", password=SECRET)
    with pytest.raises(FileNotFoundError):  # It answers: there is no such bucket.
        opened(extra | {"verify": False}, login="user", password=SECRET)


@pytest.mark.parametrize(
    "unread",
    [
        {"external_id": "y", "s3_config_file": "x"},
        {"aws_iam_role": "r"},
    ],
)
def test_what_is_not_read_is_refused_by_name_and_not_dropped(
    opened: Any, endpoint: str, unread: dict[str, Any]
) -> None:
    names = ", ".join(sorted(unread))
    with pytest.raises(ConnectionRefused, match=f"'store', which storage_connection names, has {names} in its extra"):
        opened({"endpoint_url": endpoint} | unread, login="user", password=SECRET)


def test_the_provider_that_assumes_roles_is_named_where_it_is_not_installed(
    opened: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colorquant_airflow.storage_connection._amazon_hook", lambda name: None)
    with pytest.raises(ConnectionRefused, match="has role_arn in its extra.* install apache-airflow-providers-amazon"):
        opened({"endpoint_url": endpoint, "role_arn": "arn:aws:iam::1:role/r"}, login="user", password=SECRET)


@pytest.mark.parametrize(
    ("connection", "options"),
    [
        ({"conn_type": "google_cloud_platform"}, {"gs": {}}),
        (
            {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": '{"a": 1}', "project": "p", "scope": ""}},
            {"gs": {"token": {"a": 1}, "project": "p"}},
        ),
        ({"conn_type": "google_cloud_platform", "extra": {"key_path": "/key.json"}}, {"gs": {"token": "/key.json"}}),
        ({"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}}, {"gs": {"token": "anon"}}),
        (
            {"conn_type": "wasb", "login": "account", "password": SECRET},
            {"az": {"connection_string": f"DefaultEndpointsProtocol=https;AccountName=account;AccountKey={SECRET}"}},
        ),
        (
            {"conn_type": "wasb", "host": "https://account.blob.example", "extra": {"sas_token": SECRET}},
            {
                "az": {
                    "connection_string": "BlobEndpoint=https://account.blob.example;AccountName=account;"
                    f"SharedAccessSignature={SECRET}"
                }
            },
        ),
        (
            {
                "conn_type": "wasb",
                "host": "account.blob.example",
                "login": "id",
                "password": SECRET,
                "extra": {"tenant_id": "tenant"},
            },
            {
                "az": {
                    "account_name": "account",
                    "account_host": "account.blob.example",
                    "tenant_id": "tenant",
                    "client_id": "id",
                    "client_secret": SECRET,
                }
            },
        ),
        ({"conn_type": "wasb", "extra": {"connection_string": SECRET}}, {"az": {"connection_string": SECRET}}),
    ],
)
def test_connections_of_google_and_azure_are_options_of_their_libraries(
    connection: dict[str, Any], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPRESSION_ALLOWED_CONNECTIONS", "store")
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    assert storage_options("store") == options
    (scheme,) = options
    assert storage_environment({"storage_connection": "store"}) == {
        f"FSSPEC_{scheme.upper()}": json.dumps(options[scheme])
    }


@pytest.mark.parametrize(
    ("connection", "sentence"),
    [
        (
            {"conn_type": "google_cloud_platform", "extra": {"impersonation_chain": "x"}},
            "has impersonation_chain in its",
        ),
        ({"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": "{"}}, "has a keyfile_dict that is not JSON"),
        ({"conn_type": "wasb", "extra": {"managed_identity_client_id": "x"}}, "has managed_identity_client_id in its"),
        ({"conn_type": "adls"}, "has the type 'adls': name one of type aws, google_cloud_platform, wasb"),
    ],
)
def test_what_is_not_read_of_google_and_azure_is_refused_too(
    connection: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPRESSION_ALLOWED_CONNECTIONS", "store")
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    with pytest.raises(ConnectionRefused, match=sentence):
        storage_options("store")


def test_a_key_of_azure_in_the_environment_does_not_replace_that_of_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Azure's library would take it first: the run would go on as somebody else."""
    monkeypatch.setenv("COMPRESSION_ALLOWED_CONNECTIONS", "store")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "of the operator")
    connection = {"conn_type": "wasb", "login": "account", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
    assert list(storage_options("store")["az"]) == ["connection_string"]
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "wasb", "host": "account.blob.example"}))
    with pytest.raises(ConnectionRefused, match="would use AZURE_STORAGE_CONNECTION_STRING of the environment"):
        storage_options("store")


def test_the_keys_of_a_role_are_asked_for_once_in_a_while(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page asks for each of its pictures."""
    asked = []

    class Hook:
        region_name = "eu-west-1"

        def get_credentials(self, region_name: str) -> Any:
            asked.append(region_name)
            return SimpleNamespace(access_key="key", secret_key=SECRET, token=f"token {len(asked)}")

    monkeypatch.setattr("colorquant_airflow.storage_connection._amazon_hook", lambda name: Hook())
    monkeypatch.setattr("colorquant_airflow.storage_connection._roles", {})
    monkeypatch.setenv("COMPRESSION_ALLOWED_CONNECTIONS", "store")
    for arn in ("arn:aws:iam::1:role/r", "arn:aws:iam::1:role/other"):
        connection = {"conn_type": "aws", "extra": {"role_arn": arn}}
        monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))
        found = [storage_options("store")["s3"]["token"] for _ in range(3)]
        assert len(set(found)) == 1
    assert len(asked) == 2


@pytest.mark.stores
def test_a_role_is_assumed_by_the_hook_of_the_amazon_provider(opened: Any, endpoint: str, tmp_path: Path) -> None:
    """Moto's S3 server is also a server of STS, and knows the keys that it gave."""
    role = {
        "role_arn": "arn:aws:iam::123456789012:role/reader",
        "assume_role_kwargs": {"DurationSeconds": 900, "ExternalId": "of us"},
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "service_config": {"sts": {"endpoint_url": endpoint}},
    }
    assert opened(role, login="user", password=SECRET) == b"content"
    options = storage_options("store")["s3"]
    assert options["key"] != "user" and options["secret"] != SECRET and options["token"]
    with pytest.raises(ConnectionRefused, match="gives no credentials: .*127.0.0.1:9"):
        opened(
            role | {"service_config": {"sts": {"endpoint_url": "http://127.0.0.1:9"}}}, login="user", password=SECRET
        )
    with pytest.raises(ConnectionRefused, match="has external_id in its extra"):
        opened(role | {"external_id": "x"}, login="user", password=SECRET)


@pytest.mark.stores
def test_a_connection_of_google_or_azure_opens_its_store(store: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("library", "an object", b"content")
    for name in store.behind(store.address):
        monkeypatch.delenv(name)
    connections = {
        "gs": {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}},
        "az": {"conn_type": "wasb", "extra": store.options(store.address)},
    }
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.address)  # What Google's libraries read.
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connections[store.scheme]))
    options = storage_options("store")
    with paths.using(lambda: options):
        assert read(f"{store.scheme}://library/an object") == b"content"
