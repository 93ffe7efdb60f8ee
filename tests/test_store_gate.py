"""The gate of deploy/compose.store.yaml: a real process, between clients and a store whose part the tests play."""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from colorquant_airflow.checkout.home import free_port

PROJECT = Path(__file__).resolve().parent.parent
SCRIPT = PROJECT / "deploy" / "store_gate.py"
COMMAND = [sys.executable, str(SCRIPT)]
# The same with another patience, for a store that does not answer.
IMPATIENT = "import sys, store_gate; store_gate._CONNECT_SECONDS = 0.4; store_gate.main(sys.argv[1:])"
IMPATIENT_COMMAND = [sys.executable, "-B", "-c", IMPATIENT]
# Of every wait: a test that is well waits for milliseconds.
LIMIT = 30.0


@dataclass(frozen=True)
class Gate:
    """A running gate, and the listening socket of its store, if it has one."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    store: socket.socket | None = None

    def client(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), LIMIT)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new connection: the client's and the store's."""
        client = self.client()
        assert self.store is not None
        store, _ = self.store.accept()
        store.settimeout(LIMIT)
        return client, store

    def sockets(self) -> int:
        """How many sockets the process has open."""
        count = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                count += os.readlink(descriptor).startswith("socket:")
        return count

    def said(self) -> str:
        return self.log.read_text()


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _listens(port: int) -> bool:
    """Whether a process listens on a port: without a connection, which would also reach the store."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


@contextmanager
def _running(folder: Path, *arguments: str, command: list[str] = COMMAND) -> Iterator[Gate]:
    port = free_port()
    log = folder / f"gate-{port}.log"
    with open(log, "wb") as stream:
        process = subprocess.Popen([*command, *arguments, str(port)], stderr=stream, cwd=SCRIPT.parent)
    try:
        _wait_until(lambda: process.poll() is not None or _listens(port))
        yield Gate(process, port, log)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate to a store. What a test has done with it, no socket is left at the end."""
    with socket.create_server(("127.0.0.1", 0)) as store:
        store.settimeout(LIMIT)
        with _running(tmp_path, "127.0.0.1", str(store.getsockname()[1])) as running:
            gate = Gate(running.process, running.port, running.log, store)
            at_rest = gate.sockets()
            yield gate
            _wait_until(lambda: gate.sockets() == at_rest)
            with ExitStack() as stack:
                client, accepted = map(stack.enter_context, gate.connect())
                client.sendall(b"?")
                assert accepted.recv(1) == b"?", "and it goes on"


def _send(end: socket.socket, content: bytes) -> None:
    end.sendall(content)
    end.shutdown(socket.SHUT_WR)


def _receive(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(2**16), b""))


def test_large_bodies_arrive_as_they_were_in_both_directions_at_once(gate: Gate) -> None:
    up, down = os.urandom(20_000_000), os.urandom(20_000_001)
    client, store = gate.connect()
    with client, store, ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(_send, client, up), pool.submit(_send, store, down)]
        received = [pool.submit(_receive, store), pool.submit(_receive, client)]
        for each in sent:
            each.result()
        assert [each.result() for each in received] == [up, down]


def test_objects_of_a_store_pass_in_both_directions(s3: dict[str, str], tmp_path: Path) -> None:
    import boto3

    store, content = s3["AWS_ENDPOINT_URL"].removeprefix("http://"), os.urandom(5_000_000)
    with _running(tmp_path, *store.split(":")) as gate:
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{gate.port}")
        client.put_object(Bucket="library", Key="a", Body=content)
        assert client.get_object(Bucket="library", Key="a")["Body"].read() == content
    assert boto3.client("s3").get_object(Bucket="library", Key="a")["Body"].read() == content


def test_connections_are_not_mixed(gate: Gate) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(gate.client()) for _ in range(20)]
        for number, client in enumerate(clients):
            client.sendall(bytes([number]))
        assert gate.store is not None
        for _ in clients:
            store, _ = gate.store.accept()
            stack.enter_context(store).settimeout(LIMIT)
            store.sendall(store.recv(1) * 3)
        assert [client.recv(3, socket.MSG_WAITALL) for client in clients] == [bytes([n] * 3) for n in range(20)]


def test_who_has_said_all_still_gets_the_answer(gate: Gate) -> None:
    """A connection that is closed in one direction is open in the other one."""
    client, store = gate.connect()
    with client:
        with store:
            _send(client, b"request")
            assert _receive(store) == b"request"
            store.sendall(b"late ")
            assert client.recv(5, socket.MSG_WAITALL) == b"late "
            store.sendall(b"answer")
        assert _receive(client) == b"answer"
    client, store = gate.connect()
    with store:
        with client:
            _send(store, b"too busy")
            assert _receive(client) == b"too busy"
            client.sendall(b"the rest of the request")
        assert _receive(store) == b"the rest of the request"


def _vanish(end: socket.socket, abruptly: bool) -> None:
    if abruptly:  # As a process that is killed with unread bytes: a reset.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("who", ["client", "store"])
def test_when_one_side_disappears_the_other_one_is_told(gate: Gate, who: str, abruptly: bool) -> None:
    ends = dict(zip(["client", "store"], gate.connect(), strict=True))
    _vanish(ends.pop(who), abruptly)
    ((_, left),) = ends.items()
    with left, suppress(ConnectionResetError):
        assert left.recv(1) == b""


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("who", ["client", "store"])
def test_when_one_side_disappears_while_it_is_sent_much_the_other_one_is_told(
    gate: Gate, who: str, abruptly: bool
) -> None:
    def send_for_ever(end: socket.socket) -> None:
        while True:
            end.sendall(bytes(2**20))

    ends = dict(zip(["client", "store"], gate.connect(), strict=True))
    gone = ends.pop(who)
    ((_, left),) = ends.items()
    with left, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_for_ever, left)
        assert gone.recv(1) == b"\0"
        _vanish(gone, abruptly)
        with pytest.raises(ConnectionError):  # And not the TimeoutError of somebody who waits.
            sending.result()


@pytest.mark.parametrize("who", ["client", "store"])
def test_who_does_not_read_is_waited_for_and_not_stored_for(gate: Gate, who: str) -> None:
    """The gate has little memory: an image that one side sends faster than the other one reads must not fill it."""
    client, store = gate.connect()
    sender, receiver = (store, client) if who == "client" else (client, store)
    piece, sent = os.urandom(2**20), 0
    with client, store:
        sender.settimeout(1)
        with pytest.raises(TimeoutError):
            while sent < 256 * len(piece):  # Far more than the system's buffers take.
                sent += sender.send(piece[sent % len(piece) :])
        sender.shutdown(socket.SHUT_WR)
        received = _receive(receiver)
    assert received == (piece * (sent // len(piece) + 1))[:sent]


def test_nobody_can_ask_for_another_address(gate: Gate) -> None:
    """Whatever a client says, the store hears it, word for word, and its answer comes back."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        requests = [
            b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (port, port),
            b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (port, port),
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 %d\r\n" % port,
            b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + struct.pack("!H", port),  # SOCKS 5
            b"\x04\x01" + struct.pack("!H", port) + b"\x7f\x00\x00\x01\x00",  # SOCKS 4
            b"GET / HTTP/9.9\r\nContent-Length: -1\r\n\n\0\xff",
            b"",
        ]
        for request in requests:
            client, store = gate.connect()
            with client:
                with store:
                    _send(client, request)
                    assert _receive(store) == request
                    store.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                assert _receive(client) == b"HTTP/1.1 400 Bad Request\r\n\r\n"
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


# --- stores that cannot be reached, and wrong commands ----------------------------------------------------------------


def test_a_store_that_cannot_be_reached_is_named_and_used_when_it_can(tmp_path: Path) -> None:
    port = free_port()
    with _running(tmp_path, "127.0.0.1", str(port)) as gate:
        with gate.client() as client:
            assert client.recv(1) == b"", "closed at once"
        _wait_until(lambda: f"127.0.0.1:{port} cannot be reached: " in gate.said())
        assert gate.said().count("\n") == 1
        with socket.create_server(("127.0.0.1", port)) as store:
            store.settimeout(LIMIT)
            with ExitStack() as stack:
                ends = Gate(gate.process, gate.port, gate.log, store).connect()
                client, accepted = map(stack.enter_context, ends)
                accepted.sendall(b"!")
                assert client.recv(1) == b"!"


@pytest.fixture
def silent() -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A store that does not answer, since its queue of connections is full, and those who are in the queue."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        server.settimeout(LIMIT)
        queue = []
        for _ in range(100):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.5)
            try:
                waiting.connect(server.getsockname())
            except TimeoutError:
                waiting.close()
                break
            queue.append(waiting)
        else:
            pytest.skip("this system's queues are never full")
        yield server, queue


def test_a_store_that_does_not_answer_is_named(
    silent: tuple[socket.socket, list[socket.socket]], tmp_path: Path
) -> None:
    port = str(silent[0].getsockname()[1])
    said = f"127.0.0.1:{port} cannot be reached: no answer\n"
    with _running(tmp_path, "127.0.0.1", port, command=IMPATIENT_COMMAND) as gate:
        with gate.client() as client:
            assert client.recv(1) == b""
        _wait_until(lambda: gate.said() == said)
    check = _run(*IMPATIENT_COMMAND, "--check", "127.0.0.1", port)
    assert (check.returncode, check.stderr) == (1, said)


def test_a_client_that_is_gone_before_the_store_answers_leaves_nothing(
    silent: tuple[socket.socket, list[socket.socket]], tmp_path: Path
) -> None:
    server, queue = silent
    with _running(tmp_path, "127.0.0.1", str(server.getsockname()[1])) as gate:
        at_rest = gate.sockets()
        client = gate.client()
        _wait_until(lambda: gate.sockets() == at_rest + 2)
        _vanish(client, abruptly=True)
        for waiting in queue:
            waiting.close()
        for _ in [*queue, gate]:
            accepted, _ = server.accept()
            with accepted:
                accepted.settimeout(LIMIT)
                assert accepted.recv(1) == b""
        _wait_until(lambda: gate.sockets() == at_rest)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=SCRIPT.parent)


def test_the_check_tells_by_its_status_whether_the_store_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as store:
        reached = _run(*COMMAND, "--check", "127.0.0.1", str(store.getsockname()[1]))
    assert (reached.returncode, reached.stderr) == (0, "")
    port = str(free_port())
    missed = _run(*COMMAND, "--check", "127.0.0.1", port)
    assert missed.returncode == 1
    assert missed.stderr.startswith(f"127.0.0.1:{port} cannot be reached: ") and missed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: HOST, PORT"),
        (["store.example"], "required: PORT"),
        (["store.example", "https"], "'https' is not a port"),
        (["store.example", "0"], "'0' is not a port"),
        (["store.example", "443", "65536"], "'65536' is not a port"),
        (["store.example", "443", "444", "445"], "unrecognized arguments: 445"),
    ],
)
def test_a_wrong_command_is_refused_with_a_sentence(arguments: list[str], sentence: str) -> None:
    run = _run(*COMMAND, *arguments)
    assert run.returncode == 2
    assert sentence in run.stderr and "Traceback" not in run.stderr
