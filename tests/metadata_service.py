"""Metadata services of clouds that are of no use, and a process that has no credentials but what they would give."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from colorquant.storage import OPTIONS

PROJECT = Path(__file__).resolve().parent.parent
#: Nothing listens on the port 9, so a connection is refused.
REFUSING = "127.0.0.1:9"
_LIMIT = 120.0
_PLAN = """
import sys, time
from colorquant.errors import InvalidPlan, StoreUnavailable
from colorquant.jobs.plan import RunRequest, plan_run
for _ in range(2):
    begun = time.monotonic()
    try:
        plan_run(RunRequest(run_id="run", images=sys.argv[1], ks=[4], output="out"))
    except (InvalidPlan, StoreUnavailable) as error:
        kind = "refused" if isinstance(error, InvalidPlan) else "try again"
        print(kind, time.monotonic() - begun, error, sep="\\t")
"""


@contextmanager
def silent() -> Iterator[str]:
    """The address of a service that accepts connections and never answers, as one behind a firewall."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def halting() -> Iterator[str]:
    """The address of a service that says what it is, as Google's does, and never answers a request for a token."""
    over = threading.Event()

    class Halting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                over.wait(_LIMIT)
                return
            self.send_response(200)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Halting) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            serving.join()


@dataclass(frozen=True)
class Answer:
    """What became of a plan: whether it was refused or may be tried again, after how many seconds, and the sentence."""

    kind: str
    seconds: float
    sentence: str


def plan_twice(images: str, environment: Mapping[str, str], folder: Path) -> list[Answer]:
    """Plan a run twice in a process of its own: the libraries read their environment once."""
    theirs = ("AWS_", "GOOGLE_", "GCE_", "CLOUDSDK_", "AZURE_", "MSI_", "IDENTITY_", *OPTIONS.values())
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(theirs) and not name.lower().endswith("_proxy")
    }
    modules = os.pathsep.join([str(PROJECT / "spark_apps"), os.environ.get("PYTHONPATH", "")])
    kept |= {"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": modules, **environment}
    command = [sys.executable, "-c", _PLAN, images]
    run = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=_LIMIT, cwd=folder)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    answers = [line.split("\t") for line in run.stdout.splitlines()]
    return [Answer(kind, float(seconds), sentence) for kind, seconds, sentence in answers]
