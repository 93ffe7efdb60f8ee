"""`make audit`: every locked package is looked up, and where that is impossible it says so."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT

BIN = Path(sys.executable).parent


def _audit(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = ["scripts/audit.sh", str(BIN), *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(command, cwd=PROJECT, env=kept | environment, capture_output=True, text=True, timeout=300)


class _Database(ThreadingHTTPServer):
    """A database in which one package may have a vulnerability."""

    def __init__(self, vulnerable: str = "") -> None:
        asked = self.asked = set[str]()

        class Handler(BaseHTTPRequestHandler):
            def _answer(self, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.add(query["package"]["name"])
                affected = [{"package": query["package"], "versions": [query["version"]]}]
                found = [{"id": "TEST-1", "summary": "bad", "affected": affected}]
                self._answer({"vulns": found} if query["package"]["name"] == vulnerable else {})

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self) -> "_Database":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def _locked() -> Iterator[str]:
    """The names of the packages that are locked for every platform."""
    for file in PROJECT.glob("requirements*.txt"):
        yield from re.findall(r"^([\w.-]+)==\S+ \\$", file.read_text(), re.MULTILINE)


def test_all_locked_packages_are_looked_up_and_a_vulnerability_fails() -> None:
    pytest.importorskip("pip_audit")
    with _Database() as database:
        run = _audit(AUDIT_SERVICE=database.url)
        assert run.returncode == 0, run.stderr
        assert "pillow" in database.asked and database.asked >= set(_locked())
    with _Database("pillow") as database:
        run = _audit("--if-reachable", AUDIT_SERVICE=database.url)
        assert (run.returncode, "TEST-1" in run.stdout) == (1, True), run.stderr


def test_without_the_database_it_says_so_and_fails_unless_it_may_be_absent() -> None:
    absent = "http://127.0.0.1:9"
    sentence = f"audit: {absent} cannot be reached from here, so no package was checked.\n"
    for arguments, status in (((), 1), (("--if-reachable",), 0)):
        run = _audit(*arguments, AUDIT_SERVICE=absent)
        assert (run.returncode, run.stderr) == (status, sentence)


def test_ci_calls_it() -> None:
    assert "scripts/audit.sh .venv/bin --if-reachable" in (PROJECT / ".ci" / "run").read_text().splitlines()
