"""A real S3 server (moto's) in a process of its own, and the environment of its user."""

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from colorquant.storage import ALLOWED_ROOTS, access
from colorquant_airflow.checkout.home import free_port

SECRET = secrets.token_hex(16)


@contextmanager
def serving(*options: str, host: str = "127.0.0.1") -> Iterator[str]:
    """The host and port of an S3 server with some options of moto's."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", host, "-p", str(port)]
    server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            assert server.poll() is None and time.monotonic() < deadline
            try:
                socket.create_connection((host, port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"{host}:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of an S3 server; one for all tests, because s3fs keeps its clients."""
    with serving() as address:
        yield f"http://{address}"


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment that a user of that server has; buckets are empty."""
    import boto3

    variables = {
        "AWS_ACCESS_KEY_ID": "user",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name in access().keys() - {ALLOWED_ROOTS}:  # Of other stores and accounts.
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = boto3.resource("s3")
    for name in ("library", "results"):
        client.create_bucket(Bucket=name)
        client.Bucket(name).objects.delete()
    yield variables
