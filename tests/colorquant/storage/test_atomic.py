import fcntl
import multiprocessing
import os
import resource
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from colorquant.storage import atomic
from colorquant.storage.atomic import sha256_of, temporary_folder, write_atomically


def test_writes_into_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "c.bin", b"content")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"content"


def test_pieces_are_written_one_after_the_other_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", (piece for piece in (b"one", b"", b"two")))
    assert (tmp_path / "file").read_bytes() == b"onetwo"

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_atomically(tmp_path / "file", pieces())
    assert (tmp_path / "file").read_bytes() == b"onetwo" and list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("n" * 255), b"content")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"content"


def test_a_failed_write_leaves_the_old_content_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(tmp_path / "file", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def _write_beyond_a_limit(path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        write_atomically(path, bytes(2000))
    except OSError as error:
        os._exit(42 if error.filename == str(path) and "cannot be written" in str(error) else 1)


def test_what_is_too_large_for_the_disk_is_an_error_that_names_the_file_and_leaves_none(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"old")
    process = multiprocessing.get_context("fork").Process(target=_write_beyond_a_limit, args=(tmp_path / "file",))
    process.start()
    process.join()
    assert process.exitcode == 42
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_bytes() == b"old"


def _write_and_die(path: Path) -> None:
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    write_atomically(path, b"new")


def test_what_a_killed_writer_left_is_removed_by_the_next_one_and_nothing_else_is(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(tmp_path / "file",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "file").exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f".tmp-{socket.gethostname()}-")
    elsewhere = tmp_path / ".tmp-anotherhost-1-0"  # Not ours to remove.
    elsewhere.write_bytes(b"")
    (tmp_path / f"{left.name}.folder").mkdir()
    write_atomically(tmp_path / "file", b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"file", elsewhere.name}


def _write_slowly(path: Path, begun: Any, go_on: Any) -> None:
    real = os.replace

    def replace(*names: Any) -> None:
        begun.set()
        go_on.wait(60)
        real(*names)

    # As in another container with the same host name: its process ids mean nothing here.
    os.getpid, os.replace = lambda: 2**22 - 1, replace  # type: ignore[assignment]
    write_atomically(path, b"of another deployment")


def test_two_deployments_with_one_host_name_leave_each_others_files_alone(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    begun, go_on = fork.Event(), fork.Event()
    process = fork.Process(target=_write_slowly, args=(tmp_path / "theirs", begun, go_on))
    process.start()
    assert begun.wait(60)
    with temporary_folder(tmp_path) as folder:
        write_atomically(tmp_path / "ours", b"ours")
        assert folder.is_dir()
    go_on.set()
    process.join()
    assert process.exitcode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "theirs"}


@pytest.mark.parametrize("step", ["_open", "flock"])
def test_a_temporary_file_that_another_writer_takes_for_an_orphan_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The other one comes between two steps: before the file is opened, or before it is locked."""
    module = atomic if step == "_open" else fcntl
    real, taken = getattr(module, step), []

    def after_another_writer(*arguments: Any) -> Any:
        monkeypatch.setattr(module, step, real)
        write_atomically(tmp_path / "theirs", b"theirs")
        taken.append(not list(tmp_path.glob(".tmp-*")))
        return real(*arguments)

    monkeypatch.setattr(module, step, after_another_writer)
    write_atomically(tmp_path / "ours", b"ours")
    assert taken == [True], "the other one has removed it"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"ours": b"ours", "theirs": b"theirs"}


def test_threads_and_processes_that_write_to_one_folder_do_not_disturb_one_another(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for number in range(100):
            write_atomically(tmp_path / f"{writer}-{number}", b"content")

    def write_in_threads(process: int) -> None:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(write, range(3 * process, 3 * process + 3)))

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=write_in_threads, args=(number,)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 600


def test_the_folder_is_synced_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before that, a power cut can undo the rename."""
    steps: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (steps.append(os.readlink(f"/proc/self/fd/{f}")), sync(f)))
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("rename"), replace(*names)))
    write_atomically(tmp_path / "file", b"content")
    assert steps[1:] == ["rename", str(tmp_path)] and steps[0].startswith(f"{tmp_path}/.tmp-")


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
