"""A server in front of an object store's emulator, which refuses some requests as real stores do.

    python -m tests.store_front http://127.0.0.1:PORT [--busy N] [--deny METHOD ...] [--deny-lists]

It prints its port. ``--busy`` refuses the first N requests of each method and path (503, or 429 as Google),
``--deny`` all requests of a method, ``--deny-lists`` requests that list objects (403).
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROJECT = Path(__file__).resolve().parent.parent
SLOW_DOWN = "<Error><Code>{}</Code><Message>Please reduce your request rate.</Message></Error>"
DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@contextmanager
def in_front_of(upstream: str, *options: str) -> Iterator[str]:
    """The address of such a server, in a process of its own."""
    command = [sys.executable, "-m", "tests.store_front", upstream, *options]
    server = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()  # It ends with the process, too.
        assert port, "the server has not started"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    arguments: argparse.Namespace
    seen: Counter[tuple[str, str]] = Counter()

    def answer(self) -> None:
        body = self._body()
        parts = urlsplit(self.path)
        is_google = parts.path.startswith(("/storage/", "/upload/", "/download/"))
        self.seen[self.command, parts.path] += 1
        if self.seen[self.command, parts.path] <= self.arguments.busy:
            code = "SlowDown" if "list-type" in parts.query or not self.headers.get("x-ms-version") else "ServerBusy"
            self._send(429 if is_google else 503, SLOW_DOWN.format(code), is_google)
        elif self.command in self.arguments.deny or (self.arguments.deny_lists and self._lists(parts)):
            self._send(403, DENIED, is_google)
        else:
            self._pass_on(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def _lists(self, parts: Any) -> bool:
        query = parse_qs(parts.query, keep_blank_values=True)
        return bool(query.keys() & {"list-type", "prefix"} or query.get("comp") == ["list"])

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, message: str, as_json: bool) -> None:
        if as_json:
            (said,) = re.findall("<Message>(.*)</Message>", message)
            message = json.dumps({"error": {"code": status, "message": said}})
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if as_json else "application/xml")
        self.send_header("Content-Length", str(len(message)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(message.encode())

    def _pass_on(self, body: bytes) -> None:
        upstream = http.client.HTTPConnection(urlsplit(self.arguments.upstream).netloc, timeout=60)
        skipped = ("transfer-encoding", "content-length", "connection", "expect")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
        upstream.request(self.command, self.path, body=body, headers=headers)
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        upstream.close()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream")
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--deny", nargs="+", default=[])
    parser.add_argument("--deny-lists", action="store_true")
    _Front.arguments = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Front)
    print(server.server_port, flush=True)
    server.serve_forever()
