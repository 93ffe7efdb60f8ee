"""Files are decoded apart: a decoder that runs an attacker's code finds no secret, and can only compute."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorquant.decode import process, rights
from colorquant.decode.image_file import read_image
from colorquant.decode.process import DecodingProcess
from colorquant.errors import DecoderEnded, Undecodable
from colorquant.limits import Limits
from tests.conftest import PROJECT, photograph
from tests.odd_files import encode

LIMITS = Limits(pixels=1 << 20, file_bytes=1 << 20)
CONTENT = encode(Image.fromarray(photograph()), "PNG")
# What a decoder tries, and how that ends.
ATTACKS = {
    "a file is read": ("open('/etc/passwd').read()", "PermissionError"),
    "a file is looked for": ("os.stat('/etc/passwd')", "PermissionError"),
    "a file is written": ("open('/tmp/attack', 'w')", "PermissionError"),
    "a connection is opened": ("socket.socket()", "PermissionError"),
    "a process is started": ("os.fork()", "PermissionError"),
    "a program is executed": ("os.execv(sys.executable, ['python'])", "PermissionError"),
    "another process is ended": ("os.kill(os.getppid(), 9)", "PermissionError"),
    "a limit is raised": ("resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))", "ValueError"),
    "too much memory is taken": ("np.ones(10**9, np.uint8)", "MemoryError"),
    "an environment variable is asked for": ("{}[os.environ.get('AWS_SECRET_ACCESS_KEY')]", "KeyError: None"),
}


def _taken_over(monkeypatch: pytest.MonkeyPatch, code: str, before: str = "pass") -> DecodingProcess:
    """A process whose decoder runs some code."""
    attack = f"""
import os, resource, signal, socket, sys
import numpy as np
from colorquant.decode import child, rights
def decode(content, limits):
    if content == b"harmless":
        return np.zeros((2, 2, 3), np.uint8)
    return {code}
child.decoders.decode = decode
{before}
child.serve()
"""
    monkeypatch.setattr(process, "_MAIN", f"exec({attack!r})")
    return DecodingProcess(LIMITS)


@pytest.mark.parametrize(("code", "end"), ATTACKS.values(), ids=ATTACKS)
def test_a_decoder_that_is_taken_over_can_only_compute(monkeypatch: pytest.MonkeyPatch, code: str, end: str) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    decoding = _taken_over(monkeypatch, code)
    with pytest.raises((RuntimeError, MemoryError)) as error:
        decoding.decode(CONTENT)
    assert end in f"{type(error.value).__name__}: {error.value}"
    assert decoding.decode(b"harmless")[0].shape == (2, 2, 3)
    decoding.end()


@pytest.mark.parametrize("code", ["open('/etc/passwd')", "socket.socket()", "os.pipe()"])
def test_limits_alone_keep_files_and_connections_closed(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Where the platform has no filter of system calls, which is said once."""
    decoding = _taken_over(monkeypatch, code, before="rights._SECCOMP._library = None")
    with pytest.raises(RuntimeError, match="Too many open files"):
        decoding.decode(CONTENT)
    decoding.end()


def test_what_the_platform_lacks_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process._warn.cache_clear()
    for _ in range(2):
        decoding = _taken_over(monkeypatch, "None", before="rights._SECCOMP._library = None")
        decoding.decode(b"harmless")
        decoding.end()
    assert caplog.messages == [
        "Images are decoded by a process without a filter of system calls: libseccomp is not installed."
    ]


def test_no_secret_of_this_process_is_in_the_memory_of_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = os.urandom(16).hex()
    monkeypatch.setenv("PYSPARK_GATEWAY_SECRET", secret)
    decoding = DecodingProcess(LIMITS)
    decoding.decode(CONTENT)
    assert decoding._process is not None
    folder = Path(f"/proc/{decoding._process.pid}")
    with (folder / "mem").open("rb", buffering=0) as memory:
        for line in (folder / "maps").read_text().splitlines():
            first, last = (int(number, 16) for number in line.split()[0].split("-"))
            if re.search(r" rw.. ", line) and "[v" not in line:
                memory.seek(first)
                assert secret.encode() not in memory.read(last - first), line
    decoding.end()


@pytest.mark.parametrize("way", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_decoder_that_dies_is_a_failure_with_its_reason(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    decoding = _taken_over(
        monkeypatch,
        "(signal.signal(signal.SIGUSR1, signal.SIG_DFL), os.abort())"
        if way == "SIGABRT"
        else "__import__('time').sleep(600)",
    )
    if way != "SIGABRT":
        decoding.start()
        assert decoding._process is not None
        decoding._process.send_signal(getattr(signal, way))
    with pytest.raises(DecoderEnded, match=f"the process that decodes it has ended \\({way}; "):
        decoding.decode(CONTENT)
    # The next image gets another process.
    assert decoding.decode(b"harmless")[0].shape == (2, 2, 3)
    decoding.end()


def test_a_decoder_that_computes_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "LIMITS", Limits(pixels=1 << 20, file_bytes=1 << 20, seconds=1))
    decoding = _taken_over(monkeypatch, "[None for _ in iter(int, 1)]", before="os.cpu_count = lambda: 1")
    with pytest.raises(Undecodable, match="takes longer than 1 seconds to decode"):
        decoding.decode(CONTENT)


@pytest.mark.parametrize(
    "answer",
    [
        '{"shape": [9, 9, 3], "address": 1, "metadata": {}}',
        '{"shape": [99999, 99999, 3], "address": 1}',
        "[]",
        "{",
        "{}",
    ],
)
def test_nonsense_in_place_of_an_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    code = f"(os.write(1, {answer!r}.encode() + b'\\n'), os._exit(3))"
    decoding = _taken_over(monkeypatch, code)
    with pytest.raises(DecoderEnded):
        decoding.decode(CONTENT)


def test_pixels_are_sent_where_memory_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_read_memory", lambda *_: False)
    decoding = DecodingProcess(LIMITS)
    assert np.array_equal(decoding.decode(CONTENT)[0], photograph())
    decoding.end()


def test_one_process_decodes_many_images_and_ends_with_this_one(
    tmp_path: Path, bare_environment: dict[str, str]
) -> None:
    (tmp_path / "image.png").write_bytes(CONTENT)
    code = f"""
import sys; sys.path.insert(0, {str(PROJECT / "spark_apps")!r})
from colorquant.decode import process, read_image
for _ in range(3):
    read_image({str(tmp_path / "image.png")!r})
print(process._process_for.cache_info().currsize, process._process_for(process.Limits(), False)._process.pid)
"""
    run = subprocess.run([sys.executable, "-c", code], env=bare_environment, capture_output=True, text=True, check=True)
    count, child = run.stdout.split()
    assert (count, Path(f"/proc/{child}").exists()) == ("1", False)


def test_reading_an_image_decodes_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(CONTENT)
    here: list[object] = []
    monkeypatch.setattr("colorquant.decode.decoders.decode", lambda *arguments: here.append(arguments))
    assert np.array_equal(read_image(tmp_path / "image.png").pixels, photograph())
    assert not here and rights.give_up_rights.__doc__
