"""Previews are decoded apart from the process that asks: without its secrets, with limits, and it survives anything."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorquant.report.preview_process import PreviewProcess
from tests.conftest import PROJECT
from tests.odd_files import encode, tiff


def _of_process(process: PreviewProcess, name: str) -> str:
    child = process._processes[False]._process
    assert child is not None
    return Path(f"/proc/{child.pid}/{name}").read_text()


def _file(width: int = 60, height: int = 40) -> bytes:
    return encode(Image.new("RGB", (width, height), (10, 20, 30)), "PNG")


def test_the_decoder_knows_no_secret_and_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW_CONN_STORE", "AWS_SECRET_ACCESS_KEY", "FSSPEC_S3"):
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("COMPRESSION_MAX_PREVIEW_MEMORY", "300000000")
    with PreviewProcess() as process:
        assert not isinstance(process.decode(_file(), 30), str)
        variables = {line.partition("=")[0] for line in _of_process(process, "environ").split("\0") if line}
        threads = {"OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"}
        assert variables <= {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME"} | threads
        limits = dict(re.findall(r"^(Max [a-z ]+?)  +\S+ +(\S+)", _of_process(process, "limits"), re.MULTILINE))
        assert [limits[f"Max {name}"] for name in ("data size", "file size", "open files")] == ["300000000", "0", "0"]
        assert os.readlink(f"/proc/{process._processes[False]._process.pid}/cwd") == "/"  # type: ignore[union-attr]


def test_one_process_decodes_many_and_ends_with_the_block() -> None:
    with PreviewProcess() as process:
        assert [process.decode(_file(), side).size for side in (60, 30, 7)] == [(60, 40), (30, 20), (7, 5)]  # type: ignore[union-attr]
        child = process._processes[False]._process
        assert "not an image of a known format" in str(process.decode(b"no image", 9))
        assert process._processes[False]._process is child and child is not None and child.poll() is None
    assert child.poll() is not None


def test_a_decoder_that_dies_or_hangs_costs_one_preview() -> None:
    with PreviewProcess(seconds=5) as process:
        process.decode(_file(), 30)
        assert process._processes[False]._process is not None
        process._processes[False]._process.kill()
        assert "its decoder was ended" in str(process.decode(_file(), 30))
        assert not isinstance(process.decode(_file(), 30), str)
        process._processes[False]._process.send_signal(19)
        assert "that of 5 seconds" in str(process.decode(_file(), 30))
        assert not isinstance(process.decode(_file(), 30), str)


def test_a_file_that_needs_too_much_memory_costs_one_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPRESSION_MAX_PREVIEW_MEMORY", "300000000")
    large = encode(Image.new("L", (12_000, 12_000)).convert("RGB"), "PNG", compress_level=1)
    with PreviewProcess() as process:
        assert isinstance(process.decode(large, 30), str)
        assert not isinstance(process.decode(_file(), 30), str)


def test_a_large_image_takes_no_memory_of_the_process_that_asks(tmp_path: Path) -> None:
    """A CMYK TIFF, which took 12 bytes a pixel of the API server."""
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(np.zeros((4000, 4000, 4), np.uint8), 5))
    code = (
        "import re, sys; from pathlib import Path; from colorquant.report import load_preview\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]) >> 10\n"
        "before = peak(); preview = load_preview(Path(sys.argv[1]), 4096); print(preview.size, peak() - before)"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "spark_apps")}
    run = subprocess.run([sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    size, megabytes = run.stdout.rsplit(" ", 1)
    # The file, 61 MiB, and the preview, 46 MiB twice: as bytes and as an image of four bytes a pixel.
    assert size == "(4000, 4000)" and int(megabytes) < 61 + 46 + 61 + 50


def test_what_is_in_the_pipe_is_read_whole() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    with PreviewProcess() as process:
        preview = process.decode(stream.getvalue(), 900)
    assert np.array_equal(np.asarray(preview), noise)
