"""A short run of the fuzzer by coverage on each target, and that it sees what it must."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import PROJECT

TARGETS = ("decode", "strip", "tiff", "json")
SECONDS = 3

pytestmark = pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has wheels for Linux on x86-64 only")


def _fuzz(arguments: list[str], code: str = "pass") -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in (*sys.path, str(PROJECT)) if p)}
    command = f"from tests.fuzz import by_coverage; {code}; by_coverage.main()"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", command, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
    )


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_makes_a_reader_fail(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _fuzz([target, f"--seconds={SECONDS}", f"--keep={tmp_path}"])
    assert run.returncode == 0, run.stderr[-3000:]
    (inputs,) = re.findall(r"number_of_executed_units: (\d+)", run.stderr)
    with capsys.disabled():
        print(f"\nfuzz by coverage, {target}: {inputs} inputs in {SECONDS} s")
    seeds = list((PROJECT / "tests" / "fuzz" / "seeds" / {"strip": "decode"}.get(target, target)).iterdir())
    assert int(inputs) > len(seeds) >= 6
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_kind_is_a_failure_whose_input_is_kept(tmp_path: Path) -> None:
    deed = "by_coverage.find_picture = lambda stream, limit: 1 // (stream.read(2) != b'MM')"
    run = _fuzz(["tiff", "--seconds=20", f"--keep={tmp_path}"], deed)
    assert run.returncode != 0 and "ZeroDivisionError" in run.stdout + run.stderr
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("tiff-crash-") and kept.read_bytes()[:2] == b"MM"
