"""``colorquant -``: an image from standard input, its output to standard output, and nothing else there."""

import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image

from colorquant.cli.inputs import Task, tasks_of
from colorquant.errors import InvalidInputs
from tests.conftest import photograph

PROJECT = Path(__file__).resolve().parents[3]
Command = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def environment(bare_environment: dict[str, str]) -> dict[str, str]:
    return bare_environment | {"PYTHONPATH": str(PROJECT / "spark_apps")}


@pytest.fixture
def command(tmp_path: Path, environment: dict[str, str]) -> Command:
    """Runs the command in an empty folder; bytes or a file as its standard input, and its outputs as bytes."""

    def run(
        *arguments: str | Path, given: bytes | IO[bytes] | None = b"", **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        stdin = {"input": given} if isinstance(given, bytes) else {"stdin": given}
        return subprocess.run(
            [sys.executable, "-m", "colorquant", *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            timeout=300,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | stdin | options,
        )

    return run


def _encoded(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photograph(seed=1)).save(buffer, kind, **options)
    return buffer.getvalue()


PHOTOGRAPH = _encoded("PNG")


def test_a_pipe_gives_the_bytes_of_the_file_and_nothing_else(command: Command, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(PHOTOGRAPH)
    assert command("one.png", "--k=9").returncode == 0
    by_file = (tmp_path / "compressed" / "one.png").read_bytes()
    by_pipe = command("-", "--k=9", given=PHOTOGRAPH)
    assert (by_pipe.returncode, by_pipe.stdout) == (0, by_file)
    assert by_pipe.stderr.startswith(b"colorquant: standard input -> standard output: k = 9, ")
    assert by_pipe.stderr.count(b"\n") == 1
    with open(tmp_path / "one.png", "rb") as file:
        by_redirection = command("-", "--k=9", "--output", "-", "--quiet", given=file)
    assert (by_redirection.stdout, by_redirection.stderr) == (by_file, b"")
    from_file = command("one.png", "--k=9", "--output=-", "--quiet")
    assert (from_file.returncode, from_file.stdout, from_file.stderr) == (0, by_file, b"")


def test_a_pipe_takes_other_formats_and_writes_the_one_that_is_asked_for(command: Command) -> None:
    run = command("-", "--quality=psnr=25", "--format=webp", given=_encoded("TIFF", tile=(16, 16)))
    assert run.returncode == 0, run.stderr
    shown = Image.open(io.BytesIO(run.stdout))
    assert shown.format == "WEBP"
    assert np.mean((np.asarray(shown.convert("RGB"), float) - photograph(seed=1)) ** 2) <= 255**2 / 10**2.5


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (b"", b"is empty; pipe the content of an image file into it."),
        (b"\0\r\n\x1a" * 1000, b"is not an image of a known format"),
        (PHOTOGRAPH[: len(PHOTOGRAPH) // 2], b"is truncated or damaged"),
    ],
    ids=["empty", "not an image", "truncated"],
)
def test_a_refused_pipe_is_named_and_leaves_standard_output_empty(
    command: Command, given: bytes, reason: bytes
) -> None:
    run = command("-", "--k=4", given=given)
    assert (run.returncode, run.stdout) == (65, b"")
    assert run.stderr.startswith(b"colorquant: 'standard input' ") and reason in run.stderr
    assert run.stderr.count(b"\n") == 1


def test_a_larger_output_leaves_standard_output_empty(command: Command) -> None:
    run = command("-", "--k=256", "--quiet", given=_encoded("JPEG", quality=30))
    assert (run.returncode, run.stdout) == (98, b"")
    assert run.stderr.startswith(b"colorquant: standard input: not written, since ")


def test_a_reader_that_closes_the_pipe_ends_the_command_quietly(environment: dict[str, str], tmp_path: Path) -> None:
    Image.fromarray(photograph(seed=1)).save(tmp_path / "one.png")
    for arguments in (["-", "--k=9", "--quiet"], ["one.png", "--k=9"]):
        read, write = os.pipe()
        os.close(read)
        run = subprocess.run(
            [sys.executable, "-m", "colorquant", *arguments],
            env=environment,
            cwd=tmp_path,
            input=PHOTOGRAPH,
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=300,
        )
        os.close(write)
        assert (run.returncode, run.stderr) == (128 + signal.SIGPIPE, b"")
    assert (tmp_path / "compressed" / "one.png").exists()


@pytest.mark.parametrize("arguments", [["-", "--k=9"], ["one.png", "--k=9", "--force"]])
def test_a_full_disk_behind_standard_output_is_a_sentence(
    command: Command, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "one.png").write_bytes(PHOTOGRAPH)
    with open("/dev/full", "wb") as full:
        run = command(*arguments, given=PHOTOGRAPH, stdout=full)
    assert run.returncode == 1
    assert run.stderr == b"colorquant: standard output cannot be written: No space left on device\n"


def test_a_terminal_is_neither_read_nor_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(PHOTOGRAPH)
    master, slave = pty.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "r+b", buffering=0) as terminal:
        reads = command("-", "--k=4", given=terminal)
        writes = command("one.png", "--k=4", "--output=-", stdout=terminal)
    assert (reads.returncode, reads.stdout, writes.returncode) == (2, b"", 2)
    assert reads.stderr.startswith(b"colorquant: Standard input is a terminal: pipe an image file into it")
    assert writes.stderr.startswith(b"colorquant: Standard output is a terminal: redirect it to a file")


@pytest.mark.parametrize(("redirection", "stream"), [("<&-", b"input"), (">&-", b"output")])
def test_a_closed_stream_is_a_sentence(
    environment: dict[str, str], tmp_path: Path, redirection: str, stream: bytes
) -> None:
    run = subprocess.run(
        ["sh", "-c", f'"$0" -m colorquant - --k 4 {redirection}', sys.executable],
        env=environment,
        cwd=tmp_path,
        input=PHOTOGRAPH,
        capture_output=True,
    )
    assert (run.returncode, run.stderr.startswith(b"colorquant: Standard %s is closed: " % stream)) == (2, True)


def test_an_image_is_not_its_own_standard_output(command: Command, tmp_path: Path) -> None:
    image = tmp_path / "one.png"
    image.write_bytes(PHOTOGRAPH)
    with open(image, "ab") as output, open(image, "rb") as file:
        by_name = command("one.png", "--k=4", "--output=-", stdout=output)
        by_stream = command("-", "--k=4", given=file, stdout=output)
    assert (by_name.returncode, by_stream.returncode) == (2, 2)
    assert by_name.stderr.startswith(b"colorquant: Standard output is the same file as one.png")
    assert by_stream.stderr.startswith(b"colorquant: Standard output is the same file as standard input")
    assert image.read_bytes() == PHOTOGRAPH


@pytest.mark.parametrize(
    ("named", "folder", "message"),
    [
        (["-", "-"], "compressed", "- is standard input, which is one image"),
        (["a.png", "-"], "-", "- is standard input, which is one image"),
        (["-"], "small", "The output of - goes to standard output"),
        (["a.png", "b.png"], "-", "--output - takes one image file"),
        (["folder"], "-", "--output - takes one image file"),
        (["missing.png"], "-", "missing.png does not exist"),
    ],
    ids=str,
)
def test_a_dash_goes_with_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: list[str], folder: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "b.png", "-"):
        (tmp_path / name).write_bytes(PHOTOGRAPH)
    with pytest.raises(InvalidInputs, match=f"^{message}"):
        tasks_of(named, folder)
    with pytest.raises(InvalidInputs, match=f"^{message}"):
        tasks_of(named, folder, force=True)
    assert tasks_of(["./-", "a.png"], "o").tasks[0] == Task(Path("-"), Path("o/-.png"), "-")
