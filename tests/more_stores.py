"""Emulators of Google Cloud Storage and Azure Blob Storage, each in a process of its own, for `make test-stores`.

Nothing here can hang: processes are ended by their fixture, and each request has a time limit.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from colorquant.storage import ALLOWED_ROOTS, OPTIONS, access
from colorquant_airflow.checkout.home import free_port

# The account of every Azurite, which its documentation names.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
BUCKETS = ("library", "results")


@dataclass(frozen=True)
class Emulator:
    """A store with two empty buckets. ``put`` makes an object of any name, as a console of the store does."""

    scheme: str
    address: str
    options: Callable[[str], dict[str, Any]]
    put: Callable[[str, str, bytes], None]

    def behind(self, address: str) -> dict[str, str]:
        """The environment of its user, who reaches it at another address."""
        return {OPTIONS[self.scheme]: json.dumps(self.options(address))}


@contextmanager
def _serving(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """The address of a server, once it answers a request in whatever way."""
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(address):
            assert server.poll() is None and time.monotonic() < deadline, (folder / "server.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError:
        pass
    except OSError:
        return False
    return True


@contextmanager
def _google(folder: Path) -> Iterator[Emulator]:
    port = free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    with _serving([*command, "--in-memory", "--quiet"], port, folder) as address:
        for bucket in BUCKETS:
            _post(f"{address}/storage/v1/b?project=tests", json.dumps({"name": bucket}).encode(), "application/json")

        def put(bucket: str, name: str, content: bytes) -> None:
            about = json.dumps({"name": name}).encode()
            parts = b"--x\r\nContent-Type: application/json\r\n\r\n%b\r\n"
            parts += b"--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n%b\r\n--x--"
            url = f"{address}/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
            _post(url, parts % (about, content), "multipart/related; boundary=x")

        yield Emulator("gs", address, lambda address: {"token": "anon", "endpoint_url": address}, put)


def _post(url: str, content: bytes, media_type: str) -> None:
    request = urllib.request.Request(url, content, {"Content-Type": media_type})
    urllib.request.urlopen(request, timeout=20).close()


@contextmanager
def _azure(folder: Path) -> Iterator[Emulator]:
    from azure.storage.blob import BlobServiceClient

    program = os.environ.get("AZURITE") or shutil.which("azurite-blob")
    if program is None:
        pytest.skip("needs Azurite: npm install --global azurite, or AZURITE=path of azurite-blob")
    port = free_port()
    # The client may speak a newer version of the protocol than Azurite knows.
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    with _serving([program, f"--blobPort={port}", *options], port, folder) as address:

        def options_at(address: str) -> dict[str, Any]:
            where = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={address}/{ACCOUNT};"
            return {"connection_string": f"DefaultEndpointsProtocol=http;{where}"}

        client = BlobServiceClient.from_connection_string(
            options_at(address)["connection_string"], connection_timeout=20, read_timeout=20
        )
        for bucket in BUCKETS:
            client.create_container(bucket)

        def put(bucket: str, name: str, content: bytes) -> None:
            client.get_blob_client(bucket, name).upload_blob(content, overwrite=True)

        yield Emulator("az", address, options_at, put)


STARTED = {"gs": _google, "az": _azure}


@pytest.fixture(params=list(STARTED))
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    """An emulator of its own for each test, and the environment of its user."""
    for name in access().keys() - {ALLOWED_ROOTS}:  # Of other stores and accounts.
        monkeypatch.delenv(name)
    with STARTED[request.param](tmp_path_factory.mktemp("emulator")) as emulator:
        for name, value in emulator.behind(emulator.address).items():
            monkeypatch.setenv(name, value)
        yield emulator
