"""An Airflow connection opens a bucket as what it says, on a real S3 server, and is refused where it cannot."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from colorquant.errors import StoreUnavailable
from colorquant.storage import paths, read
from colorquant_airflow.storage_connection import ConnectionRefused, storage_options
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
        {"role_arn": "arn:aws:iam::1:role/r"},
        {"assume_role_method": "x", "external_id": "y"},
        {"session_kwargs": {"a": 1}},
    ],
)
def test_what_is_not_read_is_refused_by_name_and_not_dropped(
    opened: Any, endpoint: str, unread: dict[str, Any]
) -> None:
    names = ", ".join(sorted(unread))
    with pytest.raises(ConnectionRefused, match=f"'store', which storage_connection names, has {names} in its extra"):
        opened({"endpoint_url": endpoint} | unread, login="user", password=SECRET)
